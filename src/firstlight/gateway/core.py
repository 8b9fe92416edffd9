"""The gateway itself: the project's endpoints, the invoker that carries their invocations, and what was counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from firstlight.gateway import joining, telling
from firstlight.gateway.asgi import HeaderList, header_text
from firstlight.gateway.catalogue import Catalogue
from firstlight.gateway.joining import Carry, Joins
from firstlight.gateway.metrics import Metrics
from firstlight.invoke import collecting
from firstlight.invoke.types import ByteStream, Invocation, Invoker, Reply, Report, Throttled
from firstlight.jobs.current import Running, running
from firstlight.project import Project
from firstlight.runtime.errors import FirstlightError
from firstlight.runtime.types import Store

if TYPE_CHECKING:
    from firstlight.jobs.desk import Desk
    from firstlight.versions.registry import Registry


class Gateway:
    """What every wire is given.

    Args:
        project: the project whose endpoints are served.
        invoker: what carries an invocation to its worker.
        store: the records, for the pages that show them; None when nothing keeps any.
        guarded: whether callers have to send a token, so that the pages can say how.
        bundles: folder of the bundle of each model endpoint, by endpoint name.
        jobs: keeps and runs what is answered later; None where nothing does.
        functions: versions, aliases and settings of the functions; None knows ``$LATEST`` alone.
    """

    def __init__(
        self,
        project: Project,
        invoker: Invoker,
        store: Store | None = None,
        guarded: bool = False,
        bundles: Mapping[str, Path] | None = None,
        jobs: Desk | None = None,
        functions: Registry | None = None,
    ) -> None:
        self.project = project
        self.invoker = invoker
        self.store = store
        self.guarded = guarded
        self.jobs = jobs
        self.functions = functions
        self.joins = Joins()
        self.metrics = Metrics()
        self.catalogue = Catalogue(project, bundles or {})
        self._left: set[asyncio.Task[None]] = set()

    def replace(self, project: Project, bundles: Mapping[str, Path] | None = None) -> None:
        """Serve a changed project from now on (the invoker knows it already); what was counted stays."""
        self.project, self.catalogue = project, Catalogue(project, bundles or {})

    async def invoke(self, invocation: Invocation, stops: bool = False, whole: bool = False) -> Reply:
        """Carry one invocation and count it; a retry of one that runs joins that one (``joining``).

        Args:
            stops: end the function's work when this is cancelled because its client has gone. Without it the function
                runs to its end, as on Lambda. A streamed reply ends with its reader in any case.
            whole: join the pieces of a streamed reply, which then has a payload like any other.

        Raises:
            EndpointNotFound, TooManyRequests, PayloadTooLarge: from the invoker.
            Conflict: from ``Joins``.
        """
        carry = self._whole if whole else self._carry
        job = running.get()
        if job is not None:
            return await self._for_job(job, invocation, carry)
        asked = joining.asked.get()
        if asked is not None:
            leave = getattr(self.invoker, "leave", None) if stops else None
            key = asked.key(invocation, whole)
            return await self.joins.invoke(key, invocation, carry, leave, asked.same)
        if stops:
            return await self._until_left(invocation, carry)
        return await carry(invocation)

    async def _for_job(self, job: Running, invocation: Invocation, carry: Carry) -> Reply:
        """Carry an invocation of a job: the job is told the pieces of the first one, cancelling it ends the work."""
        first = not job.requests
        job.began(invocation.request_id)
        try:
            reply = await self._until_left(invocation, carry)
        except Throttled as error:
            job.refused = error
            raise
        if first and reply.stream is not None:
            reply.stream = telling.told(job, reply.stream, reply.content_type)
        return reply

    async def _until_left(self, invocation: Invocation, carry: Carry) -> Reply:
        carrying = asyncio.ensure_future(carry(invocation))
        try:
            return await asyncio.shield(carrying)
        except asyncio.CancelledError:
            leave = getattr(self.invoker, "leave", None)
            if leave is not None:
                leave(invocation.request_id)
            forgotten = asyncio.ensure_future(_unread(carrying))
            self._left.add(forgotten)
            forgotten.add_done_callback(self._left.discard)
            raise

    async def _whole(self, invocation: Invocation) -> Reply:
        reply = await self._carry(invocation)
        if reply.stream is not None:
            reply.payload, reply.stream = await collecting.whole(reply), None
        return reply

    async def _carry(self, invocation: Invocation) -> Reply:
        endpoint = invocation.endpoint
        start = perf_counter()
        self.metrics.started(endpoint)
        outcome, report = "cancelled", None
        counted = True
        try:
            reply = await self.invoker.invoke(invocation)
            outcome, report = reply.outcome, reply.report
            if reply.stream is not None:
                reply.stream = _Counted(reply, reply.stream, self.metrics, endpoint, start)
                counted = False
        except FirstlightError as error:
            outcome = error.code
            raise
        finally:
            if counted:
                self.metrics.ended(endpoint, outcome, perf_counter() - start, report)
        return reply

    def pools(self) -> Mapping[str, Mapping[str, Any]]:
        """What the invoker says of its pools, by endpoint; empty for an invoker that has none."""
        status = getattr(self.invoker, "status", None)
        pools: Mapping[str, Mapping[str, Any]] = status() if status is not None else {}
        return pools

    def awake(self, endpoint: str) -> bool:
        """Whether a worker of the endpoint is running, so that an invocation needs no cold start."""
        pool = self.pools().get(endpoint, {})
        return bool(pool.get("idle", 0) or pool.get("busy", 0))


async def _unread(carrying: asyncio.Future[Reply]) -> None:
    """See to the end of an invocation whose reply nobody will read."""
    try:
        reply = await carrying
    except FirstlightError:
        return
    if reply.stream is not None:
        await reply.stream.aclose()


class _Counted:
    """The stream of a reply, counted as one invocation when it has ended or its reader has left."""

    def __init__(
        self, reply: Reply, stream: ByteStream, metrics: Metrics, endpoint: str, start: float
    ) -> None:
        self._reply = reply
        self._stream = stream
        self._metrics = metrics
        self._endpoint = endpoint
        self._start = start
        self._counted = False

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._stream)
        except StopAsyncIteration:
            self._count()
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._count()

    def _count(self) -> None:
        if not self._counted:
            self._counted = True
            took = perf_counter() - self._start
            self._metrics.ended(self._endpoint, self._reply.outcome, took, self._reply.report)


def timing_headers(report: Report) -> HeaderList:
    """The figures of an invocation as ``Server-Timing``, which browsers show and pages may read, and its warnings.

    Entries, in milliseconds: ``queue`` (a cold start included), ``init`` or ``restore``, ``total`` and the worker's own
    ``preprocess``, ``engine``, ``postprocess``, ...; ``cold`` or ``warm`` without a figure.
    """
    parts = ["cold" if report.cold else "warm", f"queue;dur={report.queue_ms:.2f}"]
    if report.init_ms is not None:
        parts.append(f"init;dur={report.init_ms:.2f}")
    if report.restore_ms is not None:
        parts.append(f"restore;dur={report.restore_ms:.2f}")
    parts.append(f"total;dur={report.duration_ms:.2f}")
    for name, value in report.timings.items():
        if name.isidentifier() and name.isascii():
            parts.append(f"{name};dur={value:.2f}")
    headers = [(b"server-timing", ", ".join(parts).encode("ascii"))]
    if report.warnings:
        headers.append(
            (b"x-firstlight-warnings", header_text(json.dumps([text[:300] for text in report.warnings[:20]])))
        )
    return headers
