"""The part of a server that answers later, put together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desks import event
from firstlight import project as projects
from firstlight.cli.deferring import JOBS, Later, open_jobs
from firstlight.jobs.sqlite import SqliteJobs
from firstlight.project import Asynchronous, Endpoint, Project
from firstlight.runtime.errors import EndpointNotFound, JobError


def project(folder: Path) -> Project:
    found = projects.load(folder, env={})
    own = Endpoint("f", model="starter:qa", asynchronous=Asynchronous(retries=1))
    return replace(
        found, endpoints={"f": own, "g": Endpoint("g", model="starter:qa")}, data_dir=folder / "data"
    )


class Pool:
    def function(self, name: str) -> Any:
        if name != "f":
            raise EndpointNotFound(name)
        return SimpleNamespace(concurrency=3)

    def leave(self, request_id: str, kill_after_s: float | None = None) -> None:
        self.left = (request_id, kill_after_s)


class Functions:
    def asynchronous(self, endpoint: str, qualifier: str) -> Asynchronous:
        if qualifier == "gone":
            raise EndpointNotFound(qualifier)
        return Asynchronous(retries=0)

    def resolve(self, endpoint: str, qualifier: str) -> Any:
        return SimpleNamespace(version="7")


async def test_jobs_that_cannot_be_opened_are_explained_and_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / JOBS).mkdir()
    store, problem = open_jobs(project(tmp_path))
    assert problem.startswith("nothing can be answered later: jobs cannot be opened")
    desk = Later(lambda *_: None).desk_over(store, Pool(), project(tmp_path))  # type: ignore[arg-type]
    await desk.start()
    with pytest.raises(JobError, match="cannot be opened"):
        await desk.submit(event())
    await desk.close()


async def test_the_desk_is_told_what_the_server_is_now(tmp_path: Path) -> None:
    store, problem = open_jobs(project(tmp_path))
    assert problem == ""
    assert isinstance(store, SqliteJobs)
    printed: list[Any] = []
    later, pool = Later(lambda *line: printed.append(line)), Pool()
    later.log("f", "r", "before there is a desk\n")
    desk = later.desk_over(store, pool, project(tmp_path))  # type: ignore[arg-type]
    assert (later._room(), later._policy("f", "x"), later._root()) == ({}, Asynchronous(), Path.cwd())
    gateway = SimpleNamespace(project=project(tmp_path), functions=None)
    later.connect(SimpleNamespace(state=SimpleNamespace(gateway=gateway), inside=None))  # type: ignore[arg-type]
    later.log("f", "r", "after\n")
    assert [line[2] for line in printed] == ["before there is a desk\n", "after\n"]
    assert later._room() == {"f": 3}
    assert later._root() == tmp_path
    assert later._policy("f", "$LATEST").retries == 1
    assert later._policy("nobody", "$LATEST") == Asynchronous()
    with pytest.raises(EndpointNotFound):
        later._version("f", "live")
    gateway.functions = Functions()
    assert later._policy("f", "$LATEST").retries == 0
    assert later._policy("f", "gone").retries == 1
    assert later._version("f", "live") == "7"
    await desk.close()
