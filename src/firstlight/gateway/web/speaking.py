"""An answer that appears on the page as it is generated: the worker's events, then the page's own last one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from time import perf_counter
from typing import Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.events import NotEvents, events
from firstlight.gateway.failures import of_reply
from firstlight.gateway.web import pages
from firstlight.gateway.web.pages import Outcome, View
from firstlight.invoke.types import ByteStream, Reply
from firstlight.runtime.errors import WorkerFailed

MOST_TICKS = 4000
"""Tokens whose times are kept for the drawing."""


class Speaking:
    """The bytes of a page's event stream, a ``ByteStream``.

    Text arrives as ``data:{"text"}``; the last event, ``data:{"html"}``, has the answer as the page shows it, with how
    long it took and when each token came.

    Args:
        view: the page.
        event: what was asked.
        reply: whose stream holds a generating task's events.
        start: reading of ``perf_counter`` when it was asked.
        before: what earlier parts of the same answer said.
    """

    def __init__(
        self,
        view: View,
        event: dict[str, Any],
        reply: Reply,
        stream: ByteStream,
        start: float,
        before: str = "",
    ) -> None:
        self._view = view
        self._event = event
        self._reply = reply
        self._stream = stream
        self._start = start
        self._before = before
        self._ticks: list[float] = []
        self._pieces = self._made()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """The reader has left: the function's work ends."""
        await self._stream.aclose()
        await self._pieces.aclose()

    async def _made(self) -> AsyncGenerator[bytes]:
        last: dict[str, Any] = {}
        problem = None
        try:
            async for event in events(self._stream):
                self._tick()
                if event.get("details") is not None:
                    last = event
                if text := (event.get("token") or {}).get("text"):
                    yield _line({"text": text})
        except NotEvents as error:
            problem = WorkerFailed(f"{self._view.entry.name}: {error}")
        yield _line({"html": str(pages.outcome(self._view, self._outcome(last, problem)))})

    def _tick(self) -> None:
        if len(self._ticks) < MOST_TICKS:
            self._ticks.append((perf_counter() - self._start) * 1000)

    def _outcome(self, last: dict[str, Any], problem: WorkerFailed | None) -> Outcome:
        reply, total_ms = self._reply, (perf_counter() - self._start) * 1000
        if reply.function_error:
            return Outcome(self._event, error=of_reply(reply), report=reply.report, total_ms=total_ms)
        if problem is not None or not last:
            error = problem or WorkerFailed(f"{self._view.entry.name} ended its answer early")
            return Outcome(self._event, error=error, report=reply.report, total_ms=total_ms)
        payload = {"generated_text": last.get("generated_text"), "details": last["details"]}
        return Outcome(
            self._event,
            payload,
            report=reply.report,
            total_ms=total_ms,
            ticks=tuple(self._ticks),
            before=self._before,
        )


def _line(value: dict[str, Any]) -> bytes:
    return b"data:" + dump_json(value) + b"\n\n"
