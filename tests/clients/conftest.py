from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients import conforming, talking
from serving import Server, write_project
from verbs import cli, folder, serve

__all__ = ["cli", "folder", "serve"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(write_project(tmp_path_factory.mktemp("clients"))) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for the token ``s3cret``."""
    with Server(write_project(tmp_path_factory.mktemp("guarded")), "--token", "s3cret") as running:
        yield running


@pytest.fixture(scope="session")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of endpoints that generate text."""
    with Server(talking.write_project(tmp_path_factory.mktemp("talking"))) as running:
        yield running


@pytest.fixture(scope="session")
def conforming_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of functions that do all that Lambda's answers tell apart."""
    with Server(conforming.write_project(tmp_path_factory.mktemp("conforming")), "--reload") as running:
        yield running
