"""What the refusals of registries mean to the user (distribution specification, "Error codes")."""

from __future__ import annotations

import json
import re
import ssl
from typing import Any

from firstlight.runtime.errors import Conflict, FirstlightError, Forbidden, ProjectError, Unauthorized

_AGAIN = "try again; what is there already is not sent again"
_WHO = "ask who runs the registry"
_SAID = {
    404: ("knows no such thing", "check the name; some registries want the repository to be made first"),
    413: ("or a proxy before it takes no pieces of that size", _WHO),
    429: ("has had too many requests", "try again later, or log in as somebody who may ask more often"),
}


def reported(content: bytes) -> tuple[str, str]:
    """Code and message of an answer's errors; both empty where it is not a registry's."""
    try:
        errors: Any = json.loads(content)["errors"]
        return str(errors[0].get("code") or ""), str(errors[0].get("message") or "")
    except (ValueError, TypeError, LookupError, AttributeError):
        return "", ""


def refused(status: int, content: bytes, what: str, host: str, source: str = "") -> FirstlightError:
    """An answer that is not what was asked for.

    Args:
        what: was asked for, ``pushing to host/name``.
        source: where the credentials were found that were sent; empty for none.
    """
    code, message = reported(content)
    told = f": {_line(message or code)}" if message or code else ""
    if status == 401:
        return _unknown(what, host, source)
    if code == "TAG_INVALID" or (status == 409 and "immutable" in message.lower()):
        return Conflict(f"{what}: the tag is taken{told}", "tags do not move there: take another one")
    if status == 403 or code == "DENIED":
        whose = f"the user of {source}" if source else "those who are not logged in"
        hint = "ask who owns the repository for the right"
        return Forbidden(f"{what}: {host} does not allow it to {whose}{told}", hint)
    said, hint = _SAID.get(status, (f"answered {status}", _AGAIN if status >= 500 else _WHO))
    return ProjectError(f"{what}: {host} {said}{told}", hint)


def _unknown(what: str, host: str, source: str) -> Unauthorized:
    if source:
        said = f"{what}: {host} does not take the user and password of {source}"
        return Unauthorized(said, f"log in again: docker login {host}")
    hint = f"docker login {host}, or set FIRSTLIGHT_REGISTRY_HOST, _USER and _PASSWORD"
    return Unauthorized(f"{what}: {host} wants to know who asks", hint)


def unreached(error: BaseException, what: str, host: str) -> FirstlightError:
    """The registry cannot be reached, or the connection fails again and again."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "SSL_CERT_FILE names a file of certificates that are trusted; ask who runs the registry for its own"
        return ProjectError(f"{what}: {host} is not who it says it is ({error.verify_message})", hint)
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        hint = "FIRSTLIGHT_PLAIN_REGISTRIES names registries, with commas between, that are asked without TLS"
        return ProjectError(f"{what}: {host} does not speak TLS", hint)
    reason = _line(str(error)) or type(error).__name__
    return ProjectError(
        f"{what}: {host} cannot be reached: {reason}", f"check the connection and proxies, then {_AGAIN}"
    )


def other(what: str, wanted: str, got: str, host: str) -> FirstlightError:
    """The content is another one than the digest says."""
    hint = "do not use it; ask who runs the registry, or a proxy in between"
    return ProjectError(f"{what} at {host} is not {wanted}: it is {got}", hint)


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", "".join(letter for letter in text if letter.isprintable() or letter == "\n"))[
        :300
    ]
