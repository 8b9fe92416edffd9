"""Headers of a function's answer as each front lets them through."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from firstlight.gateway.asgi import HeaderList
from firstlight.gateway.streams import Malformed

_CONNECTION = frozenset({b"keep-alive", b"te", b"transfer-encoding"})
_REMAPPED = frozenset(
    {
        *(b"authorization", b"connection", b"content-length", b"content-md5", b"date", b"expect", b"host"),
        *(b"max-forwards", b"proxy-authenticate", b"server", b"trailer", b"upgrade", b"user-agent"),
        b"www-authenticate",
    }
)
"""Headers that reach the client as ``x-amzn-remapped-...`` (observed of REST APIs and Function URLs)."""
_OWN = _CONNECTION | {b"connection", b"content-length", b"date", b"server", b"upgrade"}
"""Headers that an HTTP API sets itself."""


def collected(value: Mapping[str, Any], multiple: bool = True) -> HeaderList:
    """The headers in an answer, names in lower case.

    Args:
        multiple: whether ``multiValueHeaders`` counts; its values come first, and a value in both comes once.

    Raises:
        Malformed: a header's name or value is none.
    """
    found: dict[str, list[str]] = {}
    if multiple:
        for name, items in _object(value, "multiValueHeaders").items():
            if not isinstance(items, list):
                raise Malformed("multiValueHeaders holds something that is not a list")
            found.setdefault(name.lower(), []).extend(_texts(items))
    for name, item in _object(value, "headers").items():
        values = found.setdefault(name.lower(), [])
        values += [text for text in _texts([item]) if text not in values]
    return [(_name(name), _value(text)) for name, values in found.items() for text in values]


def remapped(headers: HeaderList) -> HeaderList:
    """As a REST API and a Function URL pass them on."""
    kept = [header for header in headers if header[0] not in _CONNECTION]
    return [(b"x-amzn-remapped-" + name if name in _REMAPPED else name, value) for name, value in kept]


def own(headers: HeaderList) -> HeaderList:
    """As an HTTP API passes them on."""
    return [header for header in headers if header[0] not in _OWN]


def completed(headers: HeaderList, content_type: bytes) -> HeaderList:
    """With a content type, and with a policy that lets a handler's page run its own scripts."""
    names = {name for name, _ in headers}
    more: HeaderList = []
    if b"content-type" not in names:
        more.append((b"content-type", content_type))
    if b"content-security-policy" not in names:
        # The policy of our own pages forbids inline scripts, which a handler's page may well have.
        more.append((b"content-security-policy", b"frame-ancestors 'none'"))
    return [*headers, *more]


def cookies(given: Any) -> HeaderList:
    """``Set-Cookie`` for each cookie.

    Raises:
        Malformed: they are not a list of texts.
    """
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(cookie, str) for cookie in given):
        raise Malformed("cookies is not a list of texts")
    return [(b"set-cookie", _value(cookie)) for cookie in given]


def _texts(items: Iterable[Any]) -> list[str]:
    """Numbers and booleans count as the text JSON has for them; null is no header."""
    texts: list[str] = []
    for item in items:
        if isinstance(item, (dict, list)):
            raise Malformed("a header's value is not text")
        if item is not None:
            texts.append(item if isinstance(item, str) else json.dumps(item))
    return texts


def _name(name: str) -> bytes:
    if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise Malformed("a header's name is not one")
    return name.encode("ascii")


def _value(text: str) -> bytes:
    if any(ord(character) < 32 and character != "\t" for character in text) or "\x7f" in text:
        raise Malformed("a header's value has control characters")
    if text.isascii():
        return text.encode("ascii")
    return quote(text, safe=" ;,/?:@&=+$-_.!~*'()#", errors="replace").encode("ascii")


def _object(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Malformed(f"{key} is not an object")
    return found
