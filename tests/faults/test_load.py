"""Twice as much as an endpoint can do: what is refused is told so, nothing grows, and the others do not notice."""

from __future__ import annotations

import asyncio
import resource

from clients.talking import metric
from faults.figures import Figures
from faults.load import Client, closed_loop, invoke, open_loop
from faults.watching import descriptors, returns_to, threads, until, watched
from serving import Server

GROWTH_MB = 24.0
QUEUE = 1000
"""Invocations that may wait (``scaling.QUEUE_LIMIT``)."""


def raise_limit() -> None:
    """More than a thousand requests of ours may be on their way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))


async def test_twice_the_capacity(server: Server, seconds: float, figures: Figures) -> None:
    raise_limit()
    client = Client(server.url)
    event = invoke("busy", {"text": "x" * 200})
    with returns_to(server):
        _, capacity = await closed_loop(client, event, 8, 3.0)
        async with watched(server) as calm:
            await asyncio.sleep(5)
        queued: list[float] = []
        async with watched(server) as seen:

            async def look() -> None:
                while True:
                    await asyncio.sleep(0.5)
                    queued.append(
                        await asyncio.to_thread(metric, server, "firstlight_queue_depth", endpoint="busy")
                    )

            looking = asyncio.create_task(look())
            # Long enough for the queue to be full for a part of it.
            outcome = await open_loop(
                client, lambda _: event, 2 * capacity, max(seconds, 1.5 * QUEUE / capacity)
            )
            looking.cancel()
        await client.close()
    figures(
        f"open loop, 2 x {capacity:.0f}/s",
        seen,
        sent=outcome.sent,
        answered=outcome.answered,
        throttled=len(outcome.throttled),
        lost=outcome.lost,
        growth_mb=round(seen.growth_mb, 1),
        queue=int(max(queued)),
        p99_s=round(outcome.quantile(0.99), 2),
        throttled_p99_ms=round(outcome.quantile(0.99, 429) * 1000, 1),
        calm_p99_ms=round(calm.canary.quantile(0.99) * 1000, 1),
        generator_late_ms=round(outcome.late * 1000, 1),
    )
    assert outcome.lost == 0
    assert outcome.throttled
    assert all(sample.retry_after for sample in outcome.throttled)
    assert outcome.answered >= 0.4 * capacity * seconds
    assert max(queued) <= QUEUE
    assert seen.growth_mb < GROWTH_MB
    assert threads(server.process.pid) < 64
    assert seen.canary.quantile(0.99) < 20 * calm.canary.quantile(0.99) + 0.1
    await until(lambda: metric(server, "firstlight_queue_depth", endpoint="busy") == 0)


async def test_one_client_that_floods(server: Server, seconds: float, figures: Figures) -> None:
    """Sixty-four connections that send again at once to one endpoint, and somebody else on another."""
    flooding = Client(server.url)
    async with watched(server) as calm:
        await asyncio.sleep(3)
    async with watched(server) as seen:
        outcome, rate = await closed_loop(flooding, invoke("light", {"text": "x"}), 64, seconds / 3)
    await flooding.close()
    figures(
        f"64 connections, {rate:.0f}/s",
        seen,
        sent=outcome.sent,
        answered=outcome.answered,
        throttled=len(outcome.throttled),
        lost=outcome.lost,
        growth_mb=round(seen.growth_mb, 1),
        calm_p99_ms=round(calm.canary.quantile(0.99) * 1000, 1),
    )
    assert outcome.lost == 0
    assert seen.growth_mb < GROWTH_MB
    assert seen.canary.quantile(0.99) < 50 * calm.canary.quantile(0.99) + 0.1
    assert descriptors(server.process.pid) < 256
