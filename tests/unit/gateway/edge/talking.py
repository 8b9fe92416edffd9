"""A server of one application behind the edge, and clients that say to it whatever bytes they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from firstlight.gateway.edge.limits import Limits
from firstlight.gateway.edge.server import Edge


class App:
    """Answers with method, path and body, and does what the path says besides."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope)
        path = scope["path"]
        if path == "/early":
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"no"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            body, more = body + message["body"], message["more_body"]
        if path == "/broken":
            raise ValueError("broken")
        if path == "/slow" and not await self._waited(receive):
            return
        if path == "/last":
            scope["firstlight.respond"](200, [(b"connection", b"close")], b"last")
            return
        if path in ("/stream", "/half"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one ", "more_body": True})
            if path == "/half":
                return
            await send({"type": "http.response.body", "body": b"two", "more_body": False})
            return
        text = b"%s %s %s" % (scope["method"].encode(), path.encode(), body)
        if path == "/large":
            text = b"x" * 30_000_000
        scope["firstlight.respond"](200, [(b"x-a", b"1")], text)

    async def _waited(self, receive: Any) -> bool:
        """Wait until a test lets the answer go; whether the client was there until then."""
        self.waiting.set()
        gone, ready = asyncio.ensure_future(receive()), asyncio.ensure_future(self.go.wait())
        await asyncio.wait((gone, ready), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.left.set()
        gone.cancel()
        ready.cancel()
        return ready.done() and not self.left.is_set()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *pieces: bytes) -> Client:
        for piece in pieces:
            self.writer.write(piece)
        return self

    async def endlessly(self, piece: bytes) -> None:
        """Send it again and again."""
        while True:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer; interim ones are answers too."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        status = int(head[0].split()[1])
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await self.reader.readline(), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
            return status, headers, body
        return status, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def rest(self) -> bytes:
        """What comes until the server hangs up."""
        return await self.reader.read()


class Served:
    """What a test holds: the application, the edge, and how to connect."""

    def __init__(self, app: App, edge: Edge, address: tuple[str, int]) -> None:
        self.app = app
        self.edge = edge
        self._address = address
        self._clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection(*self._address))
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            client.writer.close()


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[Served]:
    """A server with these limits; it looks after its clients every two milliseconds."""
    app, edge = App(), Edge(Limits(**{"look_s": 0.002, "connections": 100, **limits}))
    config = SimpleNamespace(loaded_app=app)
    state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[(b"date", b"today")])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: edge(config, state, {}), "127.0.0.1", 0)
    served = Served(app, edge, server.sockets[0].getsockname())
    try:
        yield served
    finally:
        await served.close()
        while state.connections or state.tasks:
            app.go.set()
            await asyncio.sleep(0)
        server.close()
        await server.wait_closed()


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
