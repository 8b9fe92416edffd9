"""How word leaves this machine, or reaches a file: one POST, or one line, on a thread of its own."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from firstlight import __version__
from firstlight.runtime.errors import FirstlightError

TIMEOUT_S = 10.0
"""Seconds that whoever is told may take for each step of its answer."""


class Undelivered(FirstlightError):
    """Word could not be brought to where it was to go; it is tried again."""

    code = "undelivered"
    status = 502


class Poster:
    """Posts, and hangs up on those who keep it waiting when it is closed. Any number of threads may use it.

    Args:
        timeout_s: seconds for each step of an answer; for all of them together twice as many.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._open: set[http.client.HTTPConnection] = set()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """POST a body once. A redirect is an answer like any other: it is not followed, and no proxy is used.

        Args:
            url: ``http`` or ``https``.

        Returns:
            the status of the answer; the rest of it is not read.

        Raises:
            Undelivered: nobody is there, or the answer is none.
        """
        try:
            parts = urlsplit(url)
            connection = _connection(parts.scheme, parts.netloc.rpartition("@")[2], self._timeout_s)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            known = {"content-type": "application/json", "user-agent": f"firstlight/{__version__}"}
            end = threading.Timer(2 * self._timeout_s, _hang_up, (connection,))
            end.daemon = True
            end.start()
            self._open.add(connection)
            try:
                connection.request("POST", path, body, {**known, **headers})
                return connection.getresponse().status
            finally:
                self._open.discard(connection)
                end.cancel()
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Undelivered(f"{url[:200]}: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """Wait for nobody any more."""
        for connection in tuple(self._open):
            _hang_up(connection)


def append(path: Path, line: bytes) -> None:
    """Append a line to a file, whole or not at all as far as readers of whole lines can tell, and keep it on the disk.

    A line that a killed program left unfinished is ended first.

    Raises:
        Undelivered: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _lock(file)
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            left = (b"\n" if torn else b"") + line + b"\n"
            while left:
                left = left[os.write(file, left) :]
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise Undelivered(f"{path} cannot be written: {error.strerror}") from error


def _connection(scheme: str, place: str, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(place, timeout=timeout_s, context=_trusted())
    if scheme != "http":
        raise Undelivered(f"{scheme}: is not http or https")
    return http.client.HTTPConnection(place, timeout=timeout_s)


@functools.cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """End a connection that another thread reads from, whose other side says a little now and then."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _lock(file: int) -> None:
    """Wait for others that append; closing the file lets go."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX)
