"""HTTP/1.1 between a worker and its Runtime API: parsing by httptools on asyncio's Protocol, no streams, no copies.

One invocation costs one read and one write here, as a worker sends its answer and its next question together.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import httptools

from firstlight.invoke.runtime_api import RuntimeApi, Sink
from firstlight.invoke.runtime_messages import ProtocolError, Request
from firstlight.invoke.types import RESPONSE_LIMIT

_KEPT = frozenset(
    (
        b"content-type",
        b"expect",
        b"firstlight-notes",
        b"lambda-runtime-function-error-body",
        b"lambda-runtime-function-error-type",
        b"lambda-runtime-function-response-mode",
        b"lambda-runtime-invocation-id",
    )
)
_HEAD_LIMIT = 256 * 1024
"""Bytes of a request that has not come to its body."""


class Connection(asyncio.Protocol):
    """One socket of a worker.

    Args:
        api: answers the requests.
    """

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._request: Request | None = None
        self._sink: Sink | None = None
        self._refused: ProtocolError | None = None
        self._limit = 0
        self._soon = b""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's
        self._api.connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            self.close()
            raise  # not the worker's fault
        except httptools.HttpParserError:
            self.close()
            return
        if self._request is None:
            self._head_size += len(data)
            if self._head_size > _HEAD_LIMIT:
                self.close()
        if self._soon and not self._api.is_waiting(self):
            asyncio.get_running_loop().call_soon(self._write_now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._api.lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body = []
        self._url = b""
        self._size = self._head_size = 0
        self._request = self._sink = self._refused = None

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _KEPT:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        headers = self._headers
        request = self._request = Request(self._parser.get_method(), self._url, headers)
        self._limit = RESPONSE_LIMIT
        if b"lambda-runtime-function-response-mode" in headers:
            try:
                self._sink = self._api.begin_stream(request, self)
                self._limit = self._api.limit(request)
            except ProtocolError as refused:
                self._refused = refused
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._body = []
        elif self._sink is not None:
            self._sink.feed(data)
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        if self._request is None:
            return
        try:
            answer = self._answer(self._request)
        except ProtocolError as refused:
            answer = refused.response
        if answer is not None:
            self._write_soon(answer)

    # What the Runtime API calls.

    def write(self, data: bytes) -> None:
        """Send; silently nothing when the worker is gone, as its exit is told elsewhere."""
        if self._soon:
            data, self._soon = self._soon + data, b""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        """Read nothing more until ``resume``: whoever takes a stream is slower than the worker."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def _write_soon(self, data: bytes) -> None:
        """Send after what the event loop has to do now: whoever waits for the answer goes before its confirmation.

        To a worker that has asked for its next invocation already it goes together with that.
        """
        self._soon += data

    def _write_now(self) -> None:
        if self._soon:
            self.write(b"")

    def _answer(self, request: Request) -> bytes | None:
        if self._refused is not None:
            raise self._refused
        if self._sink is not None:
            if self._size > self._limit:
                request.headers[b"lambda-runtime-function-error-type"] = b"Function.ResponseSizeTooLarge"
            return self._api.end_stream(request, self._sink)
        body = self._body
        if self._size > self._limit:
            request.body = None
        else:
            request.body = body[0] if len(body) == 1 else b"".join(body)
        return self._api.handle(request, self)


async def listen_unix(api: RuntimeApi, path: Path) -> asyncio.Server:
    """Serve the Runtime API on a unix socket; its folder must be closed to other users."""
    loop = asyncio.get_running_loop()
    return await loop.create_unix_server(lambda: Connection(api), path=str(path), backlog=4)


async def listen_tcp(api: RuntimeApi) -> tuple[asyncio.Server, str]:
    """Serve it on a free loopback port, for clients that know no unix sockets; the server and ``host:port``."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(api), host="127.0.0.1", port=0, family=socket.AF_INET
    )
    host, port = server.sockets[0].getsockname()[:2]
    return server, f"{host}:{port}"
