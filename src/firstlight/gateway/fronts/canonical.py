"""The two texts of Signature Version 4: the canonical request and the string to sign.

Source: AWS Signature Version 4, "Create a signed AWS API request"; paths as every service but S3 has them: normalised,
and encoded once more.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
SIGNATURE = "X-Amz-Signature"


@dataclass(frozen=True, slots=True)
class Message:
    """What was sent, as far as a signature covers it.

    Args:
        path: percent-encoded, as it was sent.
        query: as it was sent.
        headers: names in lower case, in the order they came.
        digest: hexadecimal SHA-256 of the body.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    digest: str

    def header(self, name: str) -> str | None:
        """The values of a header, joined by commas; None where it was not sent."""
        values = [" ".join(value.split()) for key, value in self.headers if key == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True)
class Scope:
    """Date, region and the part of AWS that a key signs for."""

    date: str
    region: str
    product: str
    terminator: str = "aws4_request"

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.product}/{self.terminator}"


def request(message: Message, signed: Sequence[str]) -> str:
    """The canonical request.

    Args:
        signed: names of the signed headers, in lower case and in the order the signer gave them.
    """
    headers = "".join(f"{name}:{message.header(name) or ''}\n" for name in signed)
    return "\n".join(
        (
            message.method,
            path(message.path),
            query(message.query),
            headers,
            ";".join(signed),
            message.digest,
        )
    )


def string_to_sign(canonical: str, time: str, scope: Scope) -> str:
    """What the signature is made of.

    Args:
        time: when it was signed, ``20261121T200000Z``.
    """
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{time}\n{scope}\n{digest}"


def signature(secret: str, scope: Scope, text: str) -> str:
    """The signature in hexadecimal digits."""
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.product, scope.terminator):
        key = hmac.digest(key, part.encode("utf-8", "replace"), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def path(raw: str) -> str:
    """A path without ``.``, ``..`` and empty segments, encoded once more."""
    kept: list[str] = []
    for segment in raw.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and raw.endswith("/") else ""
    return quote(f"/{'/'.join(kept)}{end}".encode("latin-1", "replace"), safe="/~")


def query(raw: str) -> str:
    """A query string without its signature, each part encoded anew, in order of names and then of values."""
    pairs: list[tuple[str, str]] = []
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if part and unquote_to_bytes(name) != SIGNATURE.encode():
            pairs.append((_again(name), _again(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _again(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")
