"""Signed requests to one AWS service over connections that are kept.

A function is frozen between invocations, and the other side hangs up meanwhile: a kept connection that turns out to be
closed before anything was answered is replaced once. Nothing else is tried again here.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from functools import cache
from urllib.parse import urlsplit

from firstlight.runtime.aws.credentials import Source
from firstlight.runtime.aws.errors import CallFailed
from firstlight.runtime.aws.signing import Scope, signed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext
    from typing import Any

_DEAD = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
"""What a connection that was closed while it was idle comes to."""
_KEPT = 16


def endpoint(service: str, env: Mapping[str, str]) -> str:
    """The URL of a service: ``AWS_ENDPOINT_URL_<SERVICE>``, ``AWS_ENDPOINT_URL``, or the one of the region.

    Args:
        service: as it is in the host's name: ``dynamodb``, ``lambda``, ``sqs``.
    """
    named = env.get(f"AWS_ENDPOINT_URL_{service.upper()}") or env.get("AWS_ENDPOINT_URL")
    if named:
        return named.rstrip("/")
    region = region_of(env)
    return f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def region_of(env: Mapping[str, str]) -> str:
    """The region of an environment."""
    return env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"


@cache
def trust() -> SSLContext:
    """Whom TLS trusts; read once, as it takes as long as all the rest."""
    import ssl

    return ssl.create_default_context()


class Api:
    """One service of AWS. Any number of threads may call it.

    Args:
        name: as it is in the host's name and in signatures.
        env: has region, credentials and, for other servers, endpoints.
        connect_s: seconds that a connection may take to be made.
        read_s: seconds that an answer, or each part of it, may take.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        name: str,
        env: Mapping[str, str],
        *,
        connect_s: float = 3.0,
        read_s: float = 15.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = endpoint(name, env)
        parts = urlsplit(self.url)
        self._host = parts.netloc
        self._scope = Scope(region_of(env), name)
        self._source = Source(env, clock)
        self._connect_s = connect_s
        self._read_s = read_s
        self._clock = clock
        self._free: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._trust = trust() if parts.scheme == "https" else None

    def call(self, target: str, content: Mapping[str, Any], read_s: float | None = None) -> dict[str, Any]:
        """One operation of a service that speaks AWS's JSON protocol 1.0.

        Args:
            target: such as ``DynamoDB_20120810.PutItem``.
            read_s: seconds that this answer may take.

        Raises:
            CallFailed: there was no answer, or it refuses.
        """
        headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": target}
        answer = self.request("POST", "/", "", headers, json.dumps(content).encode(), read_s=read_s)
        body = answer.whole()
        if answer.status != 200:
            raise refusal(answer.status, answer.header("x-amzn-errortype"), body)
        try:
            told: dict[str, Any] = json.loads(body or b"{}")
        except ValueError as error:
            raise CallFailed("NoAnswer", f"{self.url} answered with what is no JSON") from error
        return told

    def request(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        read_s: float | None = None,
    ) -> Answer:
        """Send a request; its answer is to be read to the end, or closed.

        Raises:
            CallFailed: there was no answer.
        """
        every = {"host": self._host, **headers}
        sent = signed(method, path, query, every, body, self._source.get(), self._scope, self._clock())
        target = f"{path}?{query}" if query else path
        connection = self._kept()
        if connection is not None:
            try:
                return self._exchange(connection, method, target, sent, body, read_s)
            except _DEAD:
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                raise CallFailed("NoAnswer", f"{self.url}: {error or type(error).__name__}") from error
        return self._anew(method, target, sent, body, read_s)

    def close(self) -> None:
        """Close the connections that are kept."""
        while (connection := self._kept()) is not None:
            connection.close()

    def keep(self, connection: http.client.HTTPConnection) -> None:
        """Take back a connection whose answer was read to the end."""
        with self._lock:
            if len(self._free) < _KEPT:
                self._free.append(connection)
                return
        connection.close()

    def _anew(
        self, method: str, target: str, headers: dict[str, str], body: bytes, read_s: float | None
    ) -> Answer:
        connection = self._new(self._connect_s if read_s is None else min(read_s, self._connect_s))
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise CallFailed("NoAnswer", f"{self.url} cannot be reached: {error}", sent=False) from error
        try:
            return self._exchange(connection, method, target, headers, body, read_s)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise CallFailed("NoAnswer", f"{self.url}: {error or type(error).__name__}") from error

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes,
        read_s: float | None,
    ) -> Answer:
        connection.sock.settimeout(self._read_s if read_s is None else read_s)
        connection.request(method, target, body, headers)
        return Answer(self, connection, connection.getresponse())

    def _kept(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._free.pop() if self._free else None

    def _new(self, seconds: float) -> http.client.HTTPConnection:
        if self._trust is None:
            return http.client.HTTPConnection(self._host, timeout=seconds)
        return http.client.HTTPSConnection(self._host, timeout=seconds, context=self._trust)


class Answer:
    """The answer to a request, whose body is still on its way."""

    def __init__(
        self, service: Api, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._service = service
        self._connection = connection
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return self._response.headers.get(name) or ""

    def read(self, size: int) -> bytes:
        """That many bytes of the body, fewer only at its end.

        Raises:
            CallFailed: the connection broke off.
        """
        try:
            piece = self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise CallFailed("NoAnswer", f"{self._service.url}: {error or type(error).__name__}") from error
        return piece

    def whole(self) -> bytes:
        """All of the body; the connection can be used again.

        Raises:
            CallFailed: the connection broke off.
        """
        try:
            body = self._response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise CallFailed("NoAnswer", f"{self._service.url}: {error or type(error).__name__}") from error
        self.done()
        return body

    def done(self) -> None:
        """The body was read to its end: keep the connection, where the other side does."""
        if self._response.isclosed() and not self._response.will_close:
            self._service.keep(self._connection)
        else:
            self._connection.close()

    def abort(self) -> None:
        """Have a read that waits on another thread end at once."""
        sock = self._connection.sock
        if sock is not None:
            import contextlib
            import socket

            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Read no more: the other side sees that nobody does."""
        self._response.close()
        self._connection.close()


def refusal(status: int, named: str, body: bytes) -> CallFailed:
    """The error in an answer: its name is in a header or in the body, with a namespace or without."""
    try:
        told = json.loads(body)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    code = (named or str(told.get("__type") or told.get("Code") or "")).partition(":")[0].rpartition("#")[2]
    message = told.get("message") or told.get("Message") or body[:300].decode("utf-8", "replace")
    error = CallFailed(code or f"HTTP{status}", str(message), status, reason=str(told.get("Reason") or ""))
    error.told = told
    return error
