"""HTTP/1.1 as a client of the Runtime API needs it, on a bare socket.

``socket`` and ``http.client`` cost 10 ms of imports, and ``http.client`` cannot send the trailers that end a
streamed answer. The extension module ``_socket`` under them has all that is needed: one connection, kept alive.

Message syntax: RFC 9112 (status line, header fields, chunked bodies with trailers, bodies ended by close).
"""

from __future__ import annotations

import sys
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_PEEK,
    SO_RCVTIMEO,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_NODELAY,
)
from _socket import socket as Socket  # noqa: N812 - it is a class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD_LIMIT = 1 << 20
"""Bytes of a status line and its header fields; a client context alone may have 3,583."""

BODY_LIMIT = 64 << 20
"""Bytes of a body; the largest event Lambda sends has 6 MB."""

_READ = 1 << 16


class WireError(ConnectionError):
    """The other side closed the connection in the middle of a message, or does not speak HTTP/1.1.

    ``unanswered`` is true when not one byte of an answer had come, so that asking again is safe.
    """

    def __init__(self, message: str, unanswered: bool = False) -> None:
        super().__init__(message)
        self.unanswered = unanswered


class Answer:
    """One HTTP response: status, header fields by lower-case name (trailers among them), body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def connect(address: str) -> Socket:
    """A connected stream socket.

    Args:
        address: ``host:port`` or ``[v6]:port`` as in AWS_LAMBDA_RUNTIME_API; ``unix:/path`` is our extension of it.
    """
    if address.startswith("unix:"):
        from _socket import AF_UNIX

        sock = Socket(AF_UNIX, SOCK_STREAM)
        target: str | tuple[str, int] = address[5:]
    else:
        host, _, port = address.rpartition(":")
        six = host.startswith("[")
        sock = Socket(AF_INET6 if six else AF_INET, SOCK_STREAM)
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        target = (host.strip("[]"), int(port))
    try:
        sock.connect(target)
    except OSError as error:
        sock.close()
        raise WireError(f"no Runtime API at {address}: {error.strerror}", unanswered=True) from None
    return sock


class Connection:
    """A kept-alive connection: send a request, receive its answer, one after the other."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock: Socket | None = None
        self._rest = b""
        self._patience = 0.0

    def open(self) -> Socket:
        """The socket, connected when it is not yet."""
        if self._sock is None:
            self._rest = b""
            self._sock = connect(self.address)
            self._patience = 0.0
        return self._sock

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._rest = b""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._sock is not None

    def ended(self) -> bool:
        """Whether the other side has hung up, or this one; costs a system call and takes nothing that was sent."""
        if self._sock is None:
            return True
        try:
            return not self._sock.recv(1, MSG_PEEK | MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, *parts: bytes) -> None:
        """Send bytes in order; small ones leave in one packet.

        Raises:
            WireError: the other side does not listen, or no longer; what it said before may still be received.
        """
        sock = self.open()
        if sum(map(len, parts)) <= _READ:
            parts = (b"".join(parts),)
        try:
            for part in parts:
                sock.sendall(part)
        except OSError as error:
            raise WireError(
                f"the connection to the Runtime API broke: {error.strerror}", unanswered=True
            ) from None

    def wait(self, seconds: float) -> bool:
        """Whether bytes of an answer, or the end of the connection, come within this many seconds."""
        if self._rest:
            return True
        sock = self.open()
        self._wait_at_most(sock, seconds)
        try:
            self._rest = sock.recv(_READ)
        except BlockingIOError:
            return False
        except ConnectionError:
            self._rest = b""
        return True  # the end of the connection too is an answer of a kind: receive() will say so

    def _wait_at_most(self, sock: Socket, seconds: float) -> None:
        """Have the system give up a read after so long; 0 is never.

        Python's own timeout would ask the system four questions for every read, a busy worker waits like this
        before each of its invocations.
        """
        if seconds != self._patience:
            whole, part = divmod(int(seconds * 1e6), 1_000_000)
            timeval = whole.to_bytes(8, sys.byteorder) + part.to_bytes(8, sys.byteorder)
            sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval)
            self._patience = seconds

    def receive(self) -> Answer:
        """The next answer; interim ones (1xx) are passed over.

        Raises:
            WireError: the connection ended or broke HTTP; it is closed then.
        """
        try:
            while True:
                status, headers = self._head()
                if status >= 200:
                    break
            body = self._body(status, headers)
        except BaseException:
            self.close()
            raise
        if "close" in headers.get("connection", "").lower():
            self.close()
        return Answer(status, headers, body)

    def _more(self) -> bytes:
        if self._sock is None:
            raise WireError("the Runtime API closed the connection", unanswered=True)
        self._wait_at_most(self._sock, 0.0)
        try:
            return self._sock.recv(_READ)
        except ConnectionError as error:
            raise WireError(
                f"the connection to the Runtime API broke: {error.strerror}", not self._rest
            ) from None

    def _until(self, mark: bytes, limit: int) -> bytes:
        """Bytes up to a mark, which is dropped."""
        seen = 0
        while (at := self._rest.find(mark, max(seen - len(mark), 0))) < 0:
            seen = len(self._rest)
            if seen > limit:
                raise WireError(f"more than {limit} bytes where a line should have ended")
            more = self._more()
            if not more:
                raise WireError("the Runtime API closed the connection", unanswered=not self._rest)
            self._rest += more
        found = self._rest[:at]
        self._rest = self._rest[at + len(mark) :]
        return found

    def _head(self) -> tuple[int, dict[str, str]]:
        # Client contexts are JSON text in a header: UTF-8, though HTTP promises no more than ASCII.
        lines = self._until(b"\r\n\r\n", HEAD_LIMIT).decode("utf-8", "replace").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        code = rest[:3]
        if not (version.startswith("HTTP/1.") and code.isdecimal() and code.isascii() and len(code) == 3):
            raise WireError(f"not an HTTP/1.1 answer: {lines[0][:80]!r}")
        headers = _fields(lines[1:])
        if version == "HTTP/1.0":
            headers.setdefault("connection", "close")
        return int(code), headers

    def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in (204, 304):
            return b""
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise WireError(
                    f"a transfer encoding that is not spoken here: {headers['transfer-encoding'][:80]!r}"
                )
            return self._chunks(headers)
        if "content-length" in headers:
            return self._exactly(_length(headers["content-length"], 10))
        return self._to_the_end(headers)

    def _exactly(self, count: int) -> bytes:
        if count > BODY_LIMIT:
            raise WireError(f"a body of {count} bytes, over the limit of {BODY_LIMIT}")
        if len(self._rest) >= count:
            body, self._rest = self._rest[:count], self._rest[count:]
            return body
        parts, missing = [self._rest], count - len(self._rest)
        self._rest = b""
        while missing > 0:
            more = self._more()
            if not more:
                raise WireError(f"the connection ended {missing} bytes before the body did")
            parts.append(more[:missing])
            self._rest = more[missing:]
            missing -= len(more)
        return b"".join(parts)

    def _chunks(self, headers: dict[str, str]) -> bytes:
        parts, total = [], 0
        while size := _length(self._until(b"\r\n", 4096).partition(b";")[0].strip().decode("latin-1"), 16):
            total += size
            if total > BODY_LIMIT:
                raise WireError(f"a body of more than {BODY_LIMIT} bytes")
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise WireError("a chunk that is longer than it says")
        lines = []
        while line := self._until(b"\r\n", HEAD_LIMIT):
            lines.append(line.decode("utf-8", "replace"))
        headers.update(_fields(lines))
        return b"".join(parts)

    def _to_the_end(self, headers: dict[str, str]) -> bytes:
        headers["connection"] = "close"
        parts, total = [self._rest], len(self._rest)
        while more := self._more():
            parts.append(more)
            total += len(more)
            if total > BODY_LIMIT:
                raise WireError(f"a body of more than {BODY_LIMIT} bytes")
        return b"".join(parts)


def _fields(lines: Iterable[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise WireError(f"not a header field: {line[:80]!r}")
        headers[name.lower()] = value.strip()
    return headers


def _length(text: str, base: int) -> int:
    digits = "0123456789abcdefABCDEF" if base == 16 else "0123456789"
    if not text or len(text) > 18 or text.strip(digits):
        raise WireError(f"not a length: {text[:80]!r}")
    return int(text, base)
