"""What goes over a Runtime API socket, between bytes and meaning: a worker's requests, its answers, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = b"/2018-06-01/runtime/"
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
}


@dataclass(slots=True)
class Answer:
    """What a worker sent: the body, its type, and the worker's notes (JSON text, empty where it sends none)."""

    body: bytes
    content_type: str
    error_type: str = ""
    notes: bytes = b""


class ProtocolError(Exception):
    """A request the worker may not send now: status, error type, message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.response = response(status, {"errorMessage": message, "errorType": kind})


def response(status: int, body: Mapping[str, str]) -> bytes:
    """A whole HTTP response with a JSON body, as the Runtime API words its refusals."""
    content = json.dumps(body, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def header(value: str) -> bytes:
    """A header's value as bytes: what could end the header early becomes a space."""
    if not value.isprintable():
        value = "".join(c if c.isprintable() else " " for c in value)
    return value.encode()


class Request:
    """One request of a worker. ``body`` is None when it had more bytes than the limit."""

    __slots__ = ("action", "body", "headers", "method")

    def __init__(self, method: bytes, url: bytes, headers: dict[bytes, bytes]) -> None:
        path = url.partition(b"?")[0]
        self.action: tuple[Any, ...] = (
            tuple(path[len(PREFIX) :].split(b"/")) if path.startswith(PREFIX) else ()
        )
        self.method = method
        self.headers = headers
        self.body: bytes | None = b""

    @property
    def streaming(self) -> bool:
        """Whether the worker says that its answer is a stream.

        Raises:
            ProtocolError: the mode is a word the Runtime API does not know.
        """
        mode = self.headers.get(b"lambda-runtime-function-response-mode", b"")
        if mode.lower() not in (b"", b"streaming"):
            raise ProtocolError(400, "InvalidFunctionResponseMode", "Invalid function response mode")
        return bool(mode)

    @property
    def notes(self) -> bytes:
        return self.headers.get(b"firstlight-notes", b"")

    def text(self, name: bytes) -> str:
        """A header's value, empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def content_type(self, default: str) -> str:
        return self.text(b"content-type") or default

    def error(self) -> Answer:
        """The body as an error; one that is too large keeps only its type."""
        kind = self.text(b"lambda-runtime-function-error-type")
        body = self.body
        if body is None:
            body = json.dumps({"errorMessage": "the error was too large to send", "errorType": kind}).encode()
        return Answer(body, "application/json", kind, self.notes)
