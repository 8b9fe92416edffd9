"""The bytes of an answer's head."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in http.HTTPStatus
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = (b"connection", b"close")


def status_line(status: int) -> bytes:
    """The first line; a status without a name of its own goes without one."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def head(status: int, date: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A whole head, the empty line at its end included.

    Args:
        date: header lines that every answer has, each with its end; may be empty.

    Raises:
        ValueError: a name or a value could end its line early.
    """
    lines = [b"%b: %b\r\n" % header for header in headers]
    joined = b"".join(lines)
    count = len(lines)
    if joined.count(b"\r") != count or joined.count(b"\n") != count or b"\0" in joined:
        raise ValueError("a header of the answer has a line end in it")
    return b"%b%b%b\r\n" % (STATUS_LINES.get(status) or status_line(status), date, joined)


def refusal(status: int, text: str) -> bytes:
    """A whole answer to a request that never reached a protocol of ours."""
    body = json.dumps({"error": text}).encode()
    length = (b"content-length", b"%d" % len(body))
    return head(status, b"", [(b"content-type", b"application/json"), length, CLOSE]) + body
