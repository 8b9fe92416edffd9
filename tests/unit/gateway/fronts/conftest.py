from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from firstlight.gateway.core import Gateway
from firstlight.gateway.fronts.front import Walls
from firstlight.gateway.fronts.keys import Keys
from firstlight.gateway.fronts.paths import Fronts
from firstlight.project import Front, Project
from firstlight.runtime.errors import EndpointNotFound
from firstlight.versions.types import Target
from gateways import Client, TableInvoker

NOW = 1_795_291_200.0  # 2026-11-21, 20:00 in UTC, a Saturday


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Functions:
    """As much of a registry as a front asks: where aliases lead."""

    def __init__(self, aliases: dict[tuple[str, str], Target]) -> None:
        self.aliases = aliases

    def resolve(self, endpoint: str, qualifier: str) -> Target:
        if (endpoint, qualifier) not in self.aliases:
            raise EndpointNotFound(f"there is no alias {qualifier!r}")
        return self.aliases[endpoint, qualifier]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> Iterator[Keys]:
    kept = Keys(tmp_path / "keys.sqlite", clock)
    yield kept
    kept.close()


Serving = Callable[..., Client]


@pytest.fixture
def serving(project: Project, invoker: TableInvoker, keys: Keys, clock: Clock) -> Serving:
    """Makes a client of the fronts alone: ``serving(auth="iam", walls=Walls(rest=0))``."""

    def make(walls: Walls | None = None, functions: Any = None, **front: Any) -> Client:
        qa = replace(project.endpoints["qa"], front=Front(**front))
        changed = replace(project, endpoints={**project.endpoints, "qa": qa})
        gateway = Gateway(changed, invoker, functions=Functions(functions) if functions else None)
        fronts = Fronts(gateway, keys, walls or Walls(), clock)
        return Client(Starlette(routes=fronts.routes()))

    return make


@pytest.fixture
def fronts(serving: Serving) -> Client:
    return serving()
