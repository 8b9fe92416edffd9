from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.gateway.app import create_app
from firstlight.project import Project
from gateways import Client, TableInvoker, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@pytest.fixture
def invoker() -> TableInvoker:
    return TableInvoker()


@pytest.fixture
def client(project: Project, invoker: TableInvoker) -> Client:
    return Client(create_app(project, invoker))
