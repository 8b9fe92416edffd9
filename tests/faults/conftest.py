"""Fixtures of the fault tests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.figures import ROWS, Figures, lines, results
from faults.functions import write_project
from serving import Server

RESULTS = "FIRSTLIGHT_FAULTS_RESULTS"


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
def seconds() -> float:
    """How long a load lasts."""
    return float(os.environ.get("FIRSTLIGHT_FAULTS_SECONDS", "15"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the endpoints of ``functions``."""
    with Server(write_project(tmp_path_factory.mktemp("faults") / "project")) as running:
        yield running


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if ROWS:
        terminalreporter.section("what was sent and what became of it")
        for line in lines():
            terminalreporter.write_line(line)
    if file := os.environ.get(RESULTS):
        Path(file).write_text(json.dumps(results(), indent=1) + "\n")
