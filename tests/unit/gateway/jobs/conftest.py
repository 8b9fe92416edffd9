from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.jobs import RequestCarrier
from firstlight.jobs.desk import Desk
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Job, JobEvent, Kind
from firstlight.project import Asynchronous, Project
from gateways import Client, TableInvoker, with_stories


class Counter(Desk):
    """A desk over a real store that knows what it was asked, and that tests can put things on."""

    def __init__(self, path: Path) -> None:
        self.carriers: dict[Kind, Any] = {}
        endpoints = ("sentiment", "qa", "embeddings", "stories", "hello")
        super().__init__(
            SqliteJobs(path),
            self.carriers,
            lambda endpoint, qualifier: Asynchronous(),
            lambda: dict.fromkeys(endpoints, 2),
        )
        self.submitted = 0
        self.waits: list[float] = []

    async def submit(self, job: Job) -> tuple[Job, bool]:
        self.submitted += 1
        return await super().submit(job)

    async def wait(self, job_id: str, seconds: float) -> Job:
        self.waits.append(seconds)
        return await super().wait(job_id, seconds)

    def hold(self) -> None:
        """Begin nothing from now on."""
        self._line.stop()

    async def all(self) -> list[Job]:
        """Whole jobs, the newest first."""
        return [await self.get(job.id) for job in (await self.list()).jobs]

    async def only(self) -> Job:
        (job,) = await self.all()
        return job

    async def ended(self, job_id: str) -> Job:
        job = await self.wait(job_id, 20)
        assert job.status.final
        return job

    def put(self, job: Job) -> None:
        assert self.shelf.store.put(job) is None

    def tell(self, job_id: str, number: int, kind: str, told: dict[str, Any]) -> None:
        self.shelf.store.append(job_id, [JobEvent(number, kind, told, 0.0)])
        self.shelf.notify(job_id)

    async def texts(self, job_id: str) -> str:
        """What its events say of its output."""
        past = self.shelf.store.events(job_id)
        return "".join(event.data["text"] for event in past if event.kind == "output")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path / "jobs.sqlite")
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def app(project: Project, invoker: TableInvoker, desk: Counter) -> Any:
    made = with_stories(create_app(project, invoker, jobs=desk))
    desk.carriers[Kind.REQUEST] = RequestCarrier(made)
    return made


@pytest.fixture
def client(app: Any) -> Client:
    return Client(app)
