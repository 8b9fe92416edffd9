"""The function that works off the queue of jobs: each message of SQS names a job, which is carried as a server does.

A batch is done when its jobs have ended, wait for another attempt (a message of its own says so then), or need nothing
any more. Shortly before the function's own time is over, what still runs goes back to the queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from firstlight.gateway.aws.requests import is_ping
from firstlight.gateway.jobs import RequestCarrier
from firstlight.jobs.carrying import Carrier, EventCarrier
from firstlight.jobs.desk import Desk
from firstlight.jobs.handed import Handed
from firstlight.jobs.hooks import HookCarrier
from firstlight.jobs.shelf import Keeper
from firstlight.jobs.sqs import SqsJobs, job_named
from firstlight.jobs.types import Kind
from firstlight.jobs.webhooks import Messenger
from firstlight.project import Asynchronous
from firstlight.runtime.errors import InvalidInput

_AT_ONCE = 10
"""Jobs of one endpoint that a batch may run together where the project names no concurrency."""
_MARGIN_S = 10.0
"""Seconds that giving back what runs may take."""
_SHORTEST_S, _LONGEST_S = 0.1, 890.0

log = logging.getLogger("firstlight.jobs")


class Working:
    """The function's handler.

    Args:
        app: answers the requests that jobs hold.
        store: keeps the jobs.
        policies: what becomes of the events of an endpoint and qualifier.
        loop: the loop that it lives on.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        app: Any,
        store: SqsJobs,
        policies: Callable[[str, str], Asynchronous],
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._gateway = app.state.gateway
        self._store = store
        self._policies = policies
        self._loop = loop
        self._clock = clock
        self._folder = Path("/tmp")  # noqa: S108 - the only folder that can be written on Lambda
        self._secret = ""

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Work off a batch; on a schedule, look after what waits.

        Returns:
            the messages that have to come again (``ReportBatchItemFailures``).

        Raises:
            InvalidInput: the event is neither.
        """
        if is_ping(event):
            return {"warm": True, "sent": self._store.tend(self._clock())}
        if not isinstance(event, dict) or not isinstance(event.get("Records"), list):
            raise InvalidInput("this function takes messages of its queue", "send jobs to the router")
        named: dict[str, list[str]] = {}
        for record in event["Records"]:
            job_id = job_named(str(record.get("body", "")))
            if job_id is None:
                log.warning("a message names no job and is thrown away: %.200s", record.get("body"))
            else:
                named.setdefault(job_id, []).append(str(record.get("messageId", "")))
        seconds = context.get_remaining_time_in_millis() / 1000 - _MARGIN_S
        failed = self._loop.run_until_complete(
            self._work(list(named), min(max(seconds, _SHORTEST_S), _LONGEST_S))
        )
        again = [message for job_id in failed for message in named[job_id]]
        return {"batchItemFailures": [{"itemIdentifier": message} for message in again]}

    async def _work(self, ids: list[str], seconds: float) -> set[str]:
        """Carry jobs to their ends; those that could not be looked at."""
        taken = asyncio.Event()

        def ended() -> None:
            self._loop.call_soon_threadsafe(taken.set)

        handed = Handed(self._store, ids, ended)
        carriers: dict[Kind, Carrier] = {
            Kind.EVENT: EventCarrier(self._gateway),
            Kind.REQUEST: RequestCarrier(self._app),
        }
        messenger = Messenger(self._secret_folder(), self._clock)
        desk = Desk(
            cast(Keeper, handed), carriers, self._policies, self._room, self._clock, messenger=messenger
        )
        carriers[Kind.HOOK] = HookCarrier(desk, messenger, lambda: self._folder)
        self._gateway.jobs = desk
        last = self._loop.time() + seconds
        await desk.start()
        try:
            await asyncio.wait_for(taken.wait(), seconds)
            await desk.quiet(max(last - self._loop.time(), 0.0))
        except TimeoutError:
            pass
        await desk.close()
        return handed.failed

    def _room(self) -> Mapping[str, int]:
        endpoints = self._gateway.project.endpoints
        return {name: max(_AT_ONCE, endpoint.concurrency) for name, endpoint in endpoints.items()}

    def _secret_folder(self) -> Path:
        """A folder with the secret of webhooks, which is the same for all instances of the function."""
        if not self._secret:
            from firstlight.jobs import signing

            folder = self._folder / "firstlight"
            folder.mkdir(mode=0o700, exist_ok=True)
            self._secret = self._store.secret(signing.made)
            (folder / signing.SECRET).write_text(self._secret + "\n", encoding="ascii")
        return self._folder / "firstlight"
