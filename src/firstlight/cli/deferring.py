"""The part of a server that answers later: the store of jobs, the desk over it, and what the desk needs of the rest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.project import Asynchronous, Project
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, JobError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from firstlight.gateway.core import Gateway
    from firstlight.invoke.logs import LogSink
    from firstlight.invoke.pool import PoolInvoker
    from firstlight.jobs.carrying import Carrier
    from firstlight.jobs.desk import Desk
    from firstlight.jobs.shelf import Keeper
    from firstlight.jobs.types import Kind

JOBS = "jobs.sqlite"
_NOTICE_S = 2.0
"""Seconds that a worker has to notice that its job was canceled, before it is ended."""


def open_jobs(project: Project) -> tuple[Keeper, str]:
    """The jobs of a project, and a sentence where something is wrong with them; a server goes on without them."""
    from firstlight.jobs.sqlite import SqliteJobs
    from firstlight.jobs.unavailable import Unavailable

    try:
        store = SqliteJobs(project.data_dir / JOBS)
    except JobError as error:
        return Unavailable(error), f"nothing can be answered later: {error.message}. {error.hint}".strip()
    return store, store.notice


class Later:
    """The desk of a server, and what it is told: how much room endpoints have, and what becomes of their events.

    Args:
        print_log: where the workers' lines go besides.
    """

    def __init__(self, print_log: LogSink) -> None:
        self._print_log = print_log
        self._desk: Desk | None = None
        self._pool: PoolInvoker | None = None
        self._gateway: Gateway | None = None
        self._carriers: dict[Kind, Carrier] = {}

    def log(self, endpoint: str, request_id: str, text: str) -> None:
        """What a worker wrote."""
        self._print_log(endpoint, request_id, text)
        if self._desk is not None:
            self._desk.log(endpoint, request_id, text)

    def desk_over(self, store: Keeper, pool: PoolInvoker, project: Project) -> Desk:
        """The desk; its carriers come with ``connect``."""
        from firstlight.jobs.desk import Desk
        from firstlight.jobs.hooks import HookCarrier
        from firstlight.jobs.types import Kind
        from firstlight.jobs.webhooks import Messenger

        messenger = Messenger(project.data_dir, time.time)
        self._pool = pool
        self._desk = Desk(
            store,
            self._carriers,
            self._policy,
            self._room,
            leave=lambda request_id: pool.leave(request_id, kill_after_s=_NOTICE_S),
            messenger=messenger,
        )
        self._carriers[Kind.HOOK] = HookCarrier(self._desk, messenger, self._root)
        return self._desk

    def connect(self, app: Starlette) -> None:
        """Let the jobs be carried by an app."""
        if self._desk is None:
            return
        from firstlight.gateway.jobs import RequestCarrier
        from firstlight.jobs.carrying import EventCarrier
        from firstlight.jobs.types import Kind

        self._gateway = app.state.gateway
        self._carriers[Kind.EVENT] = EventCarrier(app.state.gateway, self._version)
        self._carriers[Kind.REQUEST] = RequestCarrier(app)

    def _room(self) -> Mapping[str, int]:
        """By endpoint, how many jobs may run at once: as many as it may have workers."""
        found = {}
        for name in self._gateway.project.endpoints if self._gateway is not None else ():
            try:
                found[name] = self._pool.function(name).concurrency if self._pool is not None else 0
            except EndpointNotFound:  # a reload is under way
                continue
        return found

    def _policy(self, endpoint: str, qualifier: str) -> Asynchronous:
        if self._gateway is None:
            return Asynchronous()
        if self._gateway.functions is not None:
            try:
                return self._gateway.functions.asynchronous(endpoint, qualifier)
            except FirstlightError:  # it is gone, or what was set cannot be read
                pass
        known = self._gateway.project.endpoints.get(endpoint)
        return known.asynchronous if known is not None else Asynchronous()

    def _version(self, endpoint: str, qualifier: str) -> str:
        if self._gateway is None or self._gateway.functions is None:
            raise EndpointNotFound(f"{endpoint} has no version or alias {qualifier!r}")
        return self._gateway.functions.resolve(endpoint, qualifier).version

    def _root(self) -> Path:
        """Where relative paths of destinations start."""
        root = self._gateway.project.root if self._gateway is not None else None
        return root or Path.cwd()
