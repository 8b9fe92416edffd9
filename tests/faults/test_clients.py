"""Clients that are slow, rude or gone: the server's memory stays within bounds, and everybody else is answered."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from faults.figures import Figures
from faults.load import Client, Connection, invoke, receive, request
from faults.watching import returns_to, watched
from serving import Server

INVOKE = "/2015-03-31/functions/light/invocations"
MEMORY_MB = 64.0
"""What the server may need more than it had."""
ANSWER_MB = 6.3
UNREAD_MB = 128
"""Of answers that nobody takes, all together (``edge.limits.Limits.unread``)."""


@contextlib.asynccontextmanager
async def connections(server: Server, count: int) -> AsyncIterator[list[Connection]]:
    """That many clients; all of them hang up hard in the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    client = Client(server.url)
    opened = [await client.connect() for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(0)


async def status(connection: Connection) -> int:
    """Of the next answer; 0 where the server hung up without one."""
    try:
        async with asyncio.timeout(60):
            return (await receive(connection[0])).status
    except (OSError, asyncio.IncompleteReadError):
        return 0


async def push(connection: Connection, data: bytes, times: int = 1) -> int:
    """Send something again and again, for as long as it is taken; how often it was."""
    writer = connection[1]
    for number in range(times):
        try:
            writer.write(data)
            async with asyncio.timeout(30):
                await writer.drain()
        except (OSError, TimeoutError):
            return number
        if writer.is_closing():
            return number
    return times


async def test_readers_who_do_not_read(server: Server, figures: Figures) -> None:
    """Each has an answer of 6 MB waiting that it does not take, and then takes after all."""
    count = 16
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as slow:
            for _, writer in slow:
                raw: socket.socket = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
                writer.write(invoke("patient", {"do": "large", "more": 0}))
            await asyncio.sleep(3)
            codes = Counter(await asyncio.gather(*map(status, slow)))
    figures("reads 6 MB late", seen, sent=count, answered=codes[200])
    assert codes == {200: count}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB + 2 * count * ANSWER_MB


async def test_more_unread_than_there_is_room_for(server: Server, figures: Figures) -> None:
    """Who has taken nothing for longest loses its answer, the others get theirs."""
    count = 4 * UNREAD_MB // 6
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as slow:
            for connection in slow:
                raw: socket.socket = connection[1].get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                connection[1].write(invoke("patient", {"do": "large", "more": 0}))
            await asyncio.sleep(8)
            client = Client(server.url)
            taken = [
                (await client.ask(invoke("patient", {"do": "large", "more": 0}))).status for _ in range(3)
            ]
            await client.close()
            codes = Counter(await asyncio.gather(*map(status, slow)))
    figures("reads none of 512 MB", seen, sent=count + 3, answered=codes[200] + 3, hung_up=codes[0])
    assert taken == [200] * 3
    assert codes[200]
    assert codes[0]
    assert seen.peak_mb < seen.memory[0] + 2 * UNREAD_MB


async def test_writers_who_never_finish(server: Server, figures: Figures) -> None:
    count = 300
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6000000\r\n\r\n".encode()
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as slow:
            for byte in range(20):
                for connection in slow:
                    await push(connection, head[byte : byte + 1] if byte < 10 else head[10:] + b"{")
                await asyncio.sleep(0.1)
    figures("writes a byte now and then", seen, sent=count)
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


async def test_idle_connections(server: Server, figures: Figures) -> None:
    """Half of them never say anything; somebody new is let in all the same."""
    count = 1400
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as idle:
            for connection in idle[::2]:
                connection[1].write(request("/livez", b"", "GET"))
            codes = Counter(await asyncio.gather(*map(status, idle[::2])))
            await asyncio.sleep(2)
    figures("idle connections", seen, sent=count // 2, answered=codes[200], connections=count)
    assert codes == {200: count // 2}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


async def test_a_flood_of_headers(server: Server, figures: Figures) -> None:
    count = 100
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as rude:
            for connection in rude:
                await push(connection, f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n".encode())
            await asyncio.gather(
                *(push(connection, b"x-more: " + b"y" * 8000 + b"\r\n", 200) for connection in rude)
            )
            codes = Counter(await asyncio.gather(*map(status, rude)))
    figures("1.6 MB of headers", seen, sent=count, failed=codes[431], hung_up=codes[0])
    assert set(codes) <= {0, 431}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Transfer-Encoding: chunked"])
async def test_bodies_of_a_hundred_megabytes(server: Server, figures: Figures, framing: str) -> None:
    count, piece = 8, b"x" * (1 << 20)
    block = piece if "Length" in framing else b"%x\r\n" % len(piece) + piece + b"\r\n"
    with returns_to(server):
        async with watched(server) as seen, connections(server, count) as rude:
            head = f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode()
            for connection in rude:
                await push(connection, head)
            taken = await asyncio.gather(*(push(connection, block, 100) for connection in rude))
            codes = Counter(await asyncio.gather(*map(status, rude)))
    figures(
        f"100 MB, {framing.split(':', maxsplit=1)[0]}",
        seen,
        sent=count,
        failed=codes[413],
        hung_up=codes[0],
        most_mb=max(taken),
    )
    assert set(codes) <= {0, 413}
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB + count * ANSWER_MB


BROKEN = [
    b"zz\r\nxx\r\n",
    b"5\r\nabc\r\n0\r\n\r\n",
    b"-1\r\n",
    b"ffffffffffffffffff\r\n",
    b"5;" + b"e" * 200_000 + b"\r\nabcde\r\n0\r\n\r\n",
    b"2\r\n{}\r\n0\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
    b"2\r\n{}",
]


async def test_broken_chunks(server: Server, figures: Figures) -> None:
    codes: Counter[int] = Counter()
    head = f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with returns_to(server):
        async with watched(server) as seen:
            for _ in range(20):
                async with connections(server, len(BROKEN)) as rude:
                    for connection, body in zip(rude, BROKEN, strict=True):
                        await push(connection, head.encode() + body)
                        with contextlib.suppress(OSError):
                            connection[1].write_eof()
                    codes.update(await asyncio.gather(*map(status, rude)))
    figures(
        "broken chunks",
        seen,
        sent=sum(codes.values()),
        failed=sum(codes.values()) - codes[200],
        answered=codes[200],
    )
    assert not [code for code in codes if code >= 500]
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB


@pytest.mark.parametrize("endpoint", ["light", "busy", "patient"])
async def test_gone_at_every_stage(server: Server, figures: Figures, endpoint: str) -> None:
    """A request cut off after every byte; an answer cut off after a while; by a farewell and by a reset."""
    whole = invoke(endpoint, {"do": "stream", "bytes": 100_000, "pieces": 3})
    sent = 0
    with returns_to(server):
        async with watched(server) as seen:
            for reset in (False, True):
                async with connections(server, len(whole) + 20) as leaving:
                    for length, (reader, writer) in enumerate(leaving):
                        writer.write(whole[:length])
                        if length > len(whole):
                            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                                await reader.readexactly(length - len(whole))
                        if reset:
                            linger = struct.pack("ii", 1, 0)
                            writer.get_extra_info("socket").setsockopt(
                                socket.SOL_SOCKET, socket.SO_LINGER, linger
                            )
                        writer.close()
                        sent += 1
            client = Client(server.url)
            answer = await client.ask(invoke("light", {"n": 1}))
            await client.close()
    figures(f"gone at every stage of {endpoint}", seen, sent=sent)
    assert answer.status == 200
    assert seen.peak_mb < seen.memory[0] + MEMORY_MB
