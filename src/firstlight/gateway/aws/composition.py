"""The one place where the gateway's parts on AWS are put together, from the environment of its function.

``FIRSTLIGHT_ROUTER``: folder with ``project.json`` and ``bundles/NAME/bundle.json``. ``FIRSTLIGHT_PROJECT`` and
``FIRSTLIGHT_STAGE`` name the functions, ``FIRSTLIGHT_RECORDS_TABLE`` the records, ``FIRSTLIGHT_JOBS_TABLE`` and
``FIRSTLIGHT_JOBS_QUEUE`` (a URL) what is answered later.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.gateway.app import create_app, explain
from firstlight.gateway.aws.answering import Answering
from firstlight.gateway.aws.door import Door
from firstlight.gateway.catalogue import Catalogue
from firstlight.invoke.aws import AwsInvoker
from firstlight.project import Asynchronous, Project, description
from firstlight.project.names import Names
from firstlight.runtime.bundle import MANIFEST
from firstlight.runtime.errors import ProjectError
from firstlight.runtime.types import Store

if TYPE_CHECKING:
    from firstlight.gateway.aws.working import Working
    from firstlight.jobs.desk import Desk
    from firstlight.jobs.sqs import SqsJobs

FOLDER = "/var/task/.firstlight/router"


def answering(env: Mapping[str, str] = os.environ) -> Answering:
    """The handler of the router.

    Raises:
        ProjectError: the description of the project cannot be read.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    project, catalogue = described(env)
    app = _app(project, catalogue, env, _desk(project, env) if env.get("FIRSTLIGHT_JOBS_TABLE") else None)
    return Answering(Door(app, app.inside, explain), loop)


def working(env: Mapping[str, str] = os.environ) -> Working:
    """The handler of the function that works off the queue.

    Raises:
        ProjectError: the description of the project cannot be read.
    """
    from firstlight.gateway.aws.working import Working

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    project, catalogue = described(env)
    return Working(_app(project, catalogue, env, None), opened(env), policies(project), loop)


def described(env: Mapping[str, str]) -> tuple[Project, Catalogue]:
    """The project, and what its bundles say.

    Raises:
        ProjectError: it cannot be read.
    """
    folder = Path(env.get("FIRSTLIGHT_ROUTER") or FOLDER)
    try:
        project = description.read((folder / "project.json").read_bytes())
    except OSError as error:
        raise ProjectError(f"{folder} has no project.json: {error.strerror}", "deploy again") from error
    bundles = {name: folder / "bundles" / name for name in project.endpoints}
    there = {name: path for name, path in bundles.items() if (path / MANIFEST).is_file()}
    return project, Catalogue(project, there, "listed")


def opened(env: Mapping[str, str]) -> SqsJobs:
    """What keeps the jobs."""
    from firstlight.jobs.sqs import SqsJobs

    return SqsJobs(env["FIRSTLIGHT_JOBS_TABLE"], env["FIRSTLIGHT_JOBS_QUEUE"])


def _app(project: Project, catalogue: Catalogue, env: Mapping[str, str], desk: Desk | None) -> Any:
    names = Names(env.get("FIRSTLIGHT_PROJECT") or project.name, env.get("FIRSTLIGHT_STAGE") or None)
    functions = {endpoint: names.function(endpoint) for endpoint in project.endpoints}
    app = create_app(project, AwsInvoker(functions), store=_records(env), jobs=desk)
    app.state.gateway.catalogue = catalogue
    return app


def _records(env: Mapping[str, str]) -> Store | None:
    table = env.get("FIRSTLIGHT_RECORDS_TABLE")
    if not table:
        return None
    from firstlight.runtime.records.dynamodb_store import DynamoStore

    return DynamoStore(table)


def _desk(project: Project, env: Mapping[str, str]) -> Desk:
    """The desk of the router, which takes jobs and begins none: the queue's function does."""
    from firstlight.jobs.desk import Desk

    return Desk(opened(env), {}, policies(project), dict)


def policies(project: Project) -> Callable[[str, str], Asynchronous]:
    """What becomes of the events of an endpoint, whatever its qualifier."""

    def policy(endpoint: str, _: str) -> Asynchronous:
        known = project.endpoints.get(endpoint)
        return known.asynchronous if known is not None else Asynchronous()

    return policy
