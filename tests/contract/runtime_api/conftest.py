"""A Runtime API and the workers a test starts on it, ended with the test."""

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import BARE, Pipe, Start, WorkerProcess


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a worker on a script: ``start(api, source, NAME="value")``; every keyword is an environment variable."""
    started = []

    def run(
        api: RuntimeApi, source: str | None = None, *, file: str = "script.py", **env: str
    ) -> WorkerProcess:
        variables = {"AWS_LAMBDA_RUNTIME_API": api.address, "LAMBDA_TASK_ROOT": str(tmp_path), **env}
        if source is not None:
            (tmp_path / file).write_text(textwrap.dedent(source))
            if "_HANDLER" not in env:
                variables["FIRSTLIGHT_SCRIPT"] = str(tmp_path / file)
        started.append(WorkerProcess(BARE, variables, tmp_path))
        return started[-1]

    yield run
    for worker in started:
        worker.kill()


@pytest.fixture(params=["tcp", "unix"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RuntimeApi]:
    """A Runtime API over each kind of address."""
    with RuntimeApi(tmp_path / "api.sock" if request.param == "unix" else None) as server:
        yield server


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    """A pipe called ``pipe`` in the folder where the script runs."""
    made = Pipe(tmp_path / "pipe")
    yield made
    made.close()
