"""The local invoker: a pool of workers for every endpoint, scaled to zero."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.invoke import kept, scaling
from firstlight.invoke.assignments import Waiter
from firstlight.invoke.endpoint_pool import Pool
from firstlight.invoke.logs import LogSink
from firstlight.invoke.processes import Launcher
from firstlight.invoke.provisioning import Provisioned
from firstlight.invoke.sharing import Share
from firstlight.invoke.snapshot import SnapshotLauncher
from firstlight.invoke.surroundings import Surroundings
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
        self._spawn = kept.launcher()
        self._fork: Launcher | None = None
        self._may_fork = zygote and available()
        self._folder: Path | None = None
        self._numbers = itertools.count()
        self._around = Surroundings(self._launcher_for, self._socket_path, log_sink, idle_s, queue_limit)
        self._pools: dict[str, Pool] = {}
        self._shares: dict[str, Share] = {}
        self._retiring: dict[asyncio.Task[None], Pool] = {}
        self.replace(specs)

    async def invoke(self, invocation: Invocation) -> Reply:
        """Carry one invocation to a worker and its answer back.

        Raises:
            EndpointNotFound, PayloadTooLarge, Throttled, WorkerFailed.
        """
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.submit(invocation, waiter)
        return await waiter

    def submit(self, invocation: Invocation, waiter: Waiter) -> None:
        """Carry one invocation to a worker; ``waiter`` is given the reply, or the error of one that cannot start.

        Raises:
            EndpointNotFound, PayloadTooLarge, Throttled.
        """
        pool = self._pools.get(invocation.pool)
        if pool is None:
            raise self._unknown(invocation.pool)
        size = len(invocation.payload)
        if size > REQUEST_LIMIT:
            limit = f"limit {REQUEST_LIMIT} bytes"
            raise PayloadTooLarge(
                f"{size} byte payload is too large for the RequestResponse invocation type ({limit})"
            )
        pool.submit(invocation, waiter)

    def leave(self, request_id: str, kill_after_s: float | None = None) -> None:
        """Nobody waits for the reply to an invocation any more: its work ends as soon as its worker notices.

        The reply still comes, with the outcome ``cancelled``; a function that ends before that answers as ever.

        Args:
            kill_after_s: seconds after which a worker that has not asked for more is ended with SIGKILL; None leaves it
                to its deadline.
        """
        for pool in (*self._pools.values(), *self._retiring.values()):
            if pool.leave(request_id, kill_after_s):
                return

    def function(self, name: str) -> WorkerSpec:
        """The spec of an endpoint, or of one of its versions.

        Args:
            name: as ``pool_name`` makes it.

        Raises:
            EndpointNotFound: there is none of that name.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise self._unknown(name)
        return pool.spec

    def replace(self, specs: Mapping[str, WorkerSpec]) -> None:
        """Take over a changed project: an endpoint whose spec is equal keeps its workers, the others' are drained.

        One whose concurrency alone is another keeps its workers too, as far as it may still have them.
        """
        staying = {
            name: pool for name, pool in self._pools.items() if _same_workers(pool.spec, specs.get(name))
        }
        for name, pool in self._pools.items():
            if name not in staying:
                task = asyncio.get_running_loop().create_task(pool.retire(GRACE_S))
                self._retiring[task] = pool
                task.add_done_callback(self._retiring.pop)
        if self._fork is None and self._may_fork and any(_forkable(spec) for spec in specs.values()):
            self._fork = ZygoteLauncher()
        if any(self._fork is None or not _forkable(spec) for spec in specs.values()):
            self._spawn.prepare()
        for name, pool in staying.items():
            pool.adjust(specs[name])
        self._pools = {name: staying.get(name) or self._pool_of(spec) for name, spec in specs.items()}

    def _pool_of(self, spec: WorkerSpec) -> Pool:
        return Pool(spec, self._around, self._shares.setdefault(spec.endpoint, Share()))

    def provisioned(self, name: str) -> Provisioned:
        """How many of the workers that are to be kept ready are.

        Args:
            name: of an endpoint or a version, as ``pool_name`` makes it.

        Raises:
            EndpointNotFound: there is none of that name.
        """
        pool = self._pools.get(name)
        if pool is None:
            raise self._unknown(name)
        return pool.provisioned()

    def status(self) -> dict[str, dict[str, Any]]:
        """By endpoint: workers starting, idle and busy, the queue, pids, and what was done so far."""
        return {name: pool.status() for name, pool in self._pools.items()}

    async def close(self, grace_s: float = GRACE_S) -> None:
        """Take nothing more, let invocations that run end within ``grace_s`` seconds, stop every worker."""
        pools = (*self._pools.values(), *self._retiring.values())
        await asyncio.gather(*(pool.retire(grace_s) for pool in pools))
        if self._fork is not None:
            await self._fork.close()
        await self._spawn.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _launcher_for(self, spec: WorkerSpec) -> Launcher:
        if spec.snap_start:
            return SnapshotLauncher(spec, self._around.log_sink, self._spawn, self._socket_path)
        return self._fork if self._fork is not None and _forkable(spec) else self._spawn

    def _socket_path(self) -> Path:
        if self._folder is None:
            root = tempfile.gettempdir() if len(tempfile.gettempdir()) < _ROOT_LIMIT else "/tmp"  # noqa: S108
            self._folder = Path(tempfile.mkdtemp(prefix="firstlight-", dir=root))
        return self._folder / f"{next(self._numbers)}.sock"

    def _unknown(self, name: str) -> EndpointNotFound:
        known = ", ".join(sorted(self._pools)) or "none"
        return EndpointNotFound(f"there is no endpoint named {name!r}", f"endpoints of this server: {known}")


def _same_workers(one: WorkerSpec, other: WorkerSpec | None) -> bool:
    """Whether workers of the one serve the other too: only how many there may be differs."""
    if one is other:
        return True
    return other is not None and other == replace(
        one, concurrency=other.concurrency, provisioned=other.provisioned
    )


def _forkable(spec: WorkerSpec) -> bool:
    """Whether a zygote has loaded what the worker needs: models yes, users' scripts and other programs no.

    Within walls nothing is forked: a worker that is loaded already is not what starts on Lambda.
    """
    return spec.bundle is not None and spec.command is None and spec.walls is None and not spec.snap_start
