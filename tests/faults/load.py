"""A load generator: raw HTTP/1.1 over asyncio streams, arrivals by schedule or by completion.

In an open loop the schedule says when a request is due, whatever became of those before it, and latency is counted from
then: a server that stalls is seen to stall. In a closed loop each connection sends when it was answered: that measures
how much a server can do, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 60.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one request.

    Attributes:
        latency: seconds from when it was due until its answer was complete.
        status: of the answer; 0 where there was none.
        retry_after: whether the answer says when to come back.
    """

    latency: float
    status: int
    retry_after: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of all requests of a load."""

    samples: list[Sample] = field(default_factory=list)
    late: float = 0.0
    """The most a request left after it was due, seconds: no figure of a generator that cannot keep up is worth much."""

    @property
    def sent(self) -> int:
        return len(self.samples)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(sample.status for sample in self.samples)

    @property
    def answered(self) -> int:
        return self.statuses[200]

    @property
    def throttled(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.status == 429]

    @property
    def lost(self) -> int:
        """Requests with neither an answer nor a refusal."""
        return self.sent - self.answered - len(self.throttled)

    def quantile(self, share: float, status: int = 200) -> float:
        """Seconds within which that share of the answers of one status came; 0 where there are none."""
        return quantile([sample.latency for sample in self.samples if sample.status == status], share)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def request(path: str, body: Any = None, method: str = "POST", **headers: str) -> bytes:
    """The bytes of a request; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def invoke(endpoint: str, event: Any) -> bytes:
    """The bytes of a Lambda invocation that asks for the end of its log."""
    return request(f"/2015-03-31/functions/{endpoint}/invocations", event, X_Amz_Log_Type="Tail")


class Client:
    """Connections to one server, kept open between requests.

    Args:
        url: the server's.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._free: list[Connection] = []

    async def connect(self) -> Connection:
        """A connection of the caller's own."""
        return await asyncio.open_connection(*self._address, limit=1 << 20)

    async def ask(self, data: bytes) -> Answer:
        """Send a request, return its whole answer; a connection that the server closed meanwhile is made anew.

        Raises:
            OSError, asyncio.IncompleteReadError, TimeoutError: there was none.
        """
        while True:
            used = bool(self._free)
            reader, writer = self._free.pop() if used else await self.connect()
            try:
                writer.write(data)
                async with asyncio.timeout(PATIENCE_S):
                    answer = await receive(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()
                if not used:
                    raise
            except BaseException:
                writer.transport.abort()
                raise
            else:
                if answer.headers.get("connection") == "close":
                    writer.close()
                else:
                    self._free.append((reader, writer))
                return answer

    async def sample(self, data: bytes, due: float) -> Sample:
        """Send a request that was due at a reading of the monotonic clock."""
        try:
            answer = await self.ask(data)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return Sample(time.monotonic() - due, 0)
        return Sample(time.monotonic() - due, answer.status, "retry-after" in answer.headers)

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
        for _, writer in self._free:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self._free.clear()


async def receive(reader: asyncio.StreamReader) -> Answer:
    """Read one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join([piece async for piece in chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(first.split()[1]), headers, body)


async def chunks(reader: asyncio.StreamReader) -> Any:
    """The pieces of a chunked body."""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


async def open_loop(client: Client, data: Callable[[int], bytes], rate: float, seconds: float) -> Outcome:
    """Send ``rate`` requests a second for so long, each when it is due; return when all have been answered.

    Args:
        data: the bytes of the n-th request.
    """
    outcome = Outcome()
    running: list[asyncio.Task[Sample]] = []
    start = time.monotonic()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        outcome.late = max(outcome.late, time.monotonic() - due)
        running.append(asyncio.create_task(client.sample(data(number), due)))
    outcome.samples = list(await asyncio.gather(*running))
    return outcome


async def closed_loop(client: Client, data: bytes, connections: int, seconds: float) -> tuple[Outcome, float]:
    """Send on so many connections, each again when it is answered; the outcome, and answers per second."""
    outcome = Outcome()
    start = time.monotonic()

    async def one() -> None:
        while (now := time.monotonic()) < start + seconds:
            outcome.samples.append(await client.sample(data, now))

    await asyncio.gather(*(one() for _ in range(connections)))
    return outcome, outcome.answered / (time.monotonic() - start)
