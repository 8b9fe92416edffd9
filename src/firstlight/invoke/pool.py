"""The local invoker: a pool of workers for every endpoint, scaled to zero."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.invoke import scaling
from firstlight.invoke.endpoint_pool import Pool, Surroundings
from firstlight.invoke.logs import LogSink
from firstlight.invoke.processes import Launcher, SpawnLauncher
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply, WorkerSpec
from firstlight.invoke.zygote import ZygoteLauncher, available
from firstlight.runtime.errors import EndpointNotFound, PayloadTooLarge

GRACE_S = 30.0
"""Seconds that invocations which run have to end at shutdown."""

_ROOT_LIMIT = 70
"""A unix socket's path has at most 104 bytes on some systems."""


class PoolInvoker:
    """Answers invocations with worker processes of this machine. Made and used on one event loop.

    Args:
        specs: the endpoints by name.
        zygote: start the workers of models by forking a process that is loaded already, where the system can.
        log_sink: is given the workers' log lines: endpoint, request id, text.
        idle_s: seconds after which a worker without work is stopped.
        queue_limit: invocations of one endpoint that may wait.
    """

    def __init__(
        self,
        specs: Mapping[str, WorkerSpec],
        *,
        zygote: bool = True,
        log_sink: LogSink | None = None,
        idle_s: float = scaling.IDLE_S,
        queue_limit: int = scaling.QUEUE_LIMIT,
    ) -> None:
        self._spawn = SpawnLauncher()
        self._fork: Launcher | None = None
        self._may_fork = zygote and available()
        self._folder: Path | None = None
        self._numbers = itertools.count()
        self._around = Surroundings(self._launcher_for, self._socket_path, log_sink, idle_s, queue_limit)
        self._pools: dict[str, Pool] = {}
        self._retiring: dict[asyncio.Task[None], Pool] = {}
        self.replace(specs)

    async def invoke(self, invocation: Invocation) -> Reply:
        """Carry one invocation to a worker and its answer back.

        Raises:
            EndpointNotFound, PayloadTooLarge, Throttled, WorkerFailed.
        """
        pool = self._pools.get(invocation.endpoint)
        if pool is None:
            raise self._unknown(invocation.endpoint)
        size = len(invocation.payload)
        if size > REQUEST_LIMIT:
            limit = f"limit {REQUEST_LIMIT} bytes"
            raise PayloadTooLarge(
                f"{size} byte payload is too large for the RequestResponse invocation type ({limit})"
            )
        return await pool.submit(invocation)

    def leave(self, request_id: str) -> None:
        """Nobody waits for the reply to an invocation any more: its work ends as soon as its worker notices.

        The reply still comes, with the outcome ``cancelled``; a function that ends before that answers as ever.
        """
        for pool in (*self._pools.values(), *self._retiring.values()):
            if pool.leave(request_id):
                return

    def function(self, name: str) -> WorkerSpec:
        """The spec of an endpoint.

        Raises:
            EndpointNotFound: there is none of that name.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise self._unknown(name)
        return pool.spec

    def replace(self, specs: Mapping[str, WorkerSpec]) -> None:
        """Take over a changed project: an endpoint whose spec is equal keeps its workers, the others' are drained."""
        kept = {name: pool for name, pool in self._pools.items() if specs.get(name) == pool.spec}
        for name, pool in self._pools.items():
            if name not in kept:
                task = asyncio.get_running_loop().create_task(pool.retire(GRACE_S))
                self._retiring[task] = pool
                task.add_done_callback(self._retiring.pop)
        if self._fork is None and self._may_fork and any(_forkable(spec) for spec in specs.values()):
            self._fork = ZygoteLauncher()
        self._pools = {name: kept.get(name) or Pool(spec, self._around) for name, spec in specs.items()}

    def status(self) -> dict[str, dict[str, Any]]:
        """By endpoint: workers starting, idle and busy, the queue, pids, and what was done so far."""
        return {name: pool.status() for name, pool in self._pools.items()}

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Take nothing more, let invocations that run end within ``grace_s`` seconds, stop every worker."""
        pools = (*self._pools.values(), *self._retiring.values())
        await asyncio.gather(*(pool.retire(grace_s) for pool in pools))
        if self._fork is not None:
            await self._fork.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _launcher_for(self, spec: WorkerSpec) -> Launcher:
        return self._fork if self._fork is not None and _forkable(spec) else self._spawn

    def _socket_path(self) -> Path:
        if self._folder is None:
            root = tempfile.gettempdir() if len(tempfile.gettempdir()) < _ROOT_LIMIT else "/tmp"  # noqa: S108
            self._folder = Path(tempfile.mkdtemp(prefix="firstlight-", dir=root))
        return self._folder / f"{next(self._numbers)}.sock"

    def _unknown(self, name: str) -> EndpointNotFound:
        known = ", ".join(sorted(self._pools)) or "none"
        return EndpointNotFound(f"there is no endpoint named {name!r}", f"endpoints of this server: {known}")


def _forkable(spec: WorkerSpec) -> bool:
    """Whether a zygote has loaded what the worker needs: models yes, users' scripts and other programs no.

    Within walls nothing is forked: a worker that is loaded already is not what starts on Lambda.
    """
    return spec.bundle is not None and spec.command is None and spec.walls is None
