"""Responses of ASGI as the answers that AWS's HTTP fronts take."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from firstlight.gateway.asgi import HeaderList
from firstlight.gateway.aws.requests import Arrived

_COOKIE = b"set-cookie"
_NOT_SENT = frozenset({b"connection", b"content-length", b"transfer-encoding", _COOKIE})
"""Of the connection, which is the front's own; cookies have a place of their own."""


def streamed(status: int, headers: HeaderList, body: Iterator[bytes]) -> dict[str, Any]:
    """An answer that leaves as it is made, after a prelude (``runtime.streaming``)."""
    answer: dict[str, Any] = {"statusCode": status, "headers": _joined(headers), "body": body}
    cookies = _cookies(headers)
    return {**answer, "cookies": cookies} if cookies else answer


def whole(arrived: Arrived, status: int, headers: HeaderList, body: bytes) -> dict[str, Any]:
    """An answer that is complete, in the form that its front reads."""
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    answer: dict[str, Any] = {"statusCode": status, "body": text, "isBase64Encoded": encoded}
    cookies = _cookies(headers)
    if arrived.version == 2:
        return {**answer, "headers": _joined(headers), **({"cookies": cookies} if cookies else {})}
    if not cookies and not arrived.multiple:
        return {**answer, "headers": _joined(headers)}
    several = {name: [value] for name, value in _joined(headers).items()}
    return {**answer, "multiValueHeaders": {**several, **({"set-cookie": cookies} if cookies else {})}}


def _joined(headers: HeaderList) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _texts(header for header in headers if header[0].lower() not in _NOT_SENT):
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _cookies(headers: HeaderList) -> list[str]:
    return [value for _, value in _texts(header for header in headers if header[0].lower() == _COOKIE)]


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        yield name.decode("latin-1").lower(), value.decode("latin-1")
