"""Which bodies are text and which travel as base64.

Function URLs and HTTP APIs go by the request's Content-Type, each by a list of its own (HTTP APIs were tried out: a
form, or a request without a type, is base64). A REST API goes by its ``binaryMediaTypes``; the local ones have those of
``BINARY`` ("Content type conversions in API Gateway", developer guide).
"""

from __future__ import annotations

import base64

BINARY = (
    "application/octet-stream",
    "application/pdf",
    "application/zip",
    "multipart/form-data",
    "image/*",
    "audio/*",
    "video/*",
    "font/*",
)
"""``binaryMediaTypes`` of the local REST APIs."""

_TEXT = ("text", "json", "xml", "javascript")
_TEXT_OF_HTTP_APIS = ("application/json", "application/xml", "application/javascript")


def bare(content_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_binary(content_type: str) -> bool:
    """Whether a media type is one of ``BINARY``."""
    kind = bare(content_type)
    return kind in BINARY or f"{kind.partition('/')[0]}/*" in BINARY


def wants_binary(accept: str) -> bool:
    """Whether a REST API turns base64 into bytes for a client: it looks at the first media type of Accept alone."""
    return is_binary(accept.partition(",")[0])


def of_url(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """The body of a Function URL's event, and whether it is base64; None where there is none."""
    return _text(body, any(word in bare(content_type) for word in _TEXT))


def of_http_api(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """The same of an HTTP API."""
    kind = bare(content_type)
    return _text(body, kind.startswith("text/") or kind in _TEXT_OF_HTTP_APIS)


def _text(body: bytes, text: bool) -> tuple[str | None, bool]:
    """What says it is text and is not UTF-8 travels as bytes."""
    return by_content(body) if text or not body else (base64.b64encode(body).decode("ascii"), True)


def by_declaration(body: bytes, content_type: str) -> tuple[str | None, bool]:
    """The body of a REST API's event: text, whatever is lost of it, unless its type is a binary one."""
    if not body:
        return None, False
    if is_binary(content_type):
        return base64.b64encode(body).decode("ascii"), True
    return body.decode("utf-8", "replace"), False


def by_content(body: bytes) -> tuple[str | None, bool]:
    """A body of which nothing is lost: what is not UTF-8 is base64."""
    if not body:
        return None, False
    try:
        return body.decode("utf-8"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), True
