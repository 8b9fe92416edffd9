"""The one place where adapters are named: from a project to specs, a pool, records and an app.

Everything is imported where it is used: listing endpoints needs no server, and a server no converter.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight import project as projects
from firstlight import starters
from firstlight.cli import output
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import EndpointNotFound, ProjectError, RecordError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from firstlight.cli.preparing import Prepared
    from firstlight.gateway.fronts.keys import Keys
    from firstlight.invoke.logs import LogSink
    from firstlight.invoke.pool import PoolInvoker
    from firstlight.invoke.types import WorkerSpec
    from firstlight.jobs.shelf import Keeper
    from firstlight.runtime.records.sqlite import SqliteStore
    from firstlight.versions.registry import Registry

RECORDS = "records.sqlite"


@dataclass(slots=True)
class Keeping:
    """What is kept of texts now; a reload may change it.

    Attributes:
        store: as in ``RecordPolicy``.
    """

    store: str


def project_here(stage: str | None = None, env: Mapping[str, str] = os.environ) -> Project:
    """The project of this folder or of the nearest above it; the starters where there is none."""
    here = Path.cwd()
    root = projects.find(here)
    project = projects.load(root or here, stage, env)
    if project.file is not None or project.endpoints:
        return starters.with_tasks(project)
    if stage is not None:
        raise ProjectError(
            f"there is no {projects.FILE} here, so no stage {stage!r}", "run it in a project's folder"
        )
    return starters.with_tasks(projects.with_starters(projects.load(None, env=env), starters.names()))


def project_of(models: Iterable[str], env: Mapping[str, str] = os.environ) -> Project:
    """A project of models that are named, in the current folder."""
    from firstlight.project.models import with_models

    return starters.with_tasks(with_models(projects.load(None, env=env), models))


def endpoint_of(project: Project, name: str) -> Endpoint:
    """The endpoint of a name, or one made of a model that is named instead.

    Raises:
        EndpointNotFound: with the nearest name in the hint, or what a script of that name lacks.
    """
    if name in project.endpoints:
        return project.endpoints[name]
    from firstlight.project.models import endpoint_of_model, is_model

    if is_model(name):
        return starters.with_task(endpoint_of_model(name))
    from firstlight.project.checks import close
    from firstlight.runtime.scripts import LOOKED_FOR

    hint = close(name, project.endpoints)
    if project.root is not None and (project.root / "inference" / f"{name}.py").is_file():
        hint = f"inference/{name}.py has nothing to call: {LOOKED_FOR}"
    raise EndpointNotFound(f"{project.name} has no endpoint {name!r}", hint)


def assemble(
    prepared: Prepared,
    store: SqliteStore | None,
    policy: Keeping,
    token: str | None,
    *,
    open_to_others: bool,
    jobs: Keeper | None = None,
    log: LogSink | None = None,
) -> tuple[PoolInvoker, Starlette]:
    """The pool, and the gateway over it; called on the event loop they live on.

    Args:
        store: where records go; None keeps none.
        policy: what of the texts goes there.
        token: what callers must send.
        open_to_others: whether the server listens on more than the loopback address, where any Host may be meant.
        jobs: keeps what is answered later; None refuses it.
        log: where what workers write goes; None prints it at once.
    """
    from firstlight.cli import deferring, printing
    from firstlight.cli.publishing import Published
    from firstlight.gateway.app import create_app
    from firstlight.gateway.security import LOOPBACK_HOSTS
    from firstlight.invoke.pool import PoolInvoker

    later = deferring.Later(log or printing.print_log)
    published = Published(prepared)
    pool = PoolInvoker(published.registry.pools(), log_sink=later.log)
    published.followed_by(pool)
    if (problem := published.registry.problem) is not None:
        output.warn(f"{problem.message}. {problem.hint}")
    invoker = _recorded(pool, store, policy)
    app = create_app(
        prepared.project,
        invoker,
        store=store,
        token=token,
        hosts=("*",) if open_to_others else LOOPBACK_HOSTS,
        bundles=prepared.bundles,
        jobs=later.desk_over(jobs, pool, prepared.project) if jobs is not None else None,
        keys=keys_of(prepared.project),
        functions=published.registry,
    )
    app.state.published = published
    later.connect(app)
    return pool, app


def _recorded(pool: PoolInvoker, store: SqliteStore | None, policy: Keeping) -> Any:
    """The pool, with a record of every invocation where there is something to keep it in."""
    if store is None:
        return pool
    from firstlight.invoke.recording import RecordingInvoker

    return RecordingInvoker(pool, store, policy)


def open_store(project: Project) -> tuple[SqliteStore | None, str]:
    """The records of a project, and a sentence where something is wrong with them; a server goes on without them."""
    from firstlight.runtime.records.sqlite import SqliteStore

    path = project.data_dir / RECORDS
    try:
        _make_data_dir(project.data_dir)
        store = SqliteStore(path, project.records.max_age_days, project.records.max_mb)
    except RecordError as error:
        return None, f"nothing will be recorded: {error.message}. {error.hint}".strip()
    return store, store.notice


def keys_of(project: Project) -> Keys:
    """The keys of a project; the file is made with the first one."""
    from firstlight.gateway.fronts.keys import FILE, Keys

    return Keys(project.data_dir / FILE)


def new_keys_of(project: Project) -> Keys:
    """The same, with the folder that the file is to be in."""
    _make_data_dir(project.data_dir)
    return keys_of(project)


def new_registry_of(project: Project, specs: Mapping[str, WorkerSpec]) -> Registry:
    """The versions of a project no server serves, with the folder that they are to be in."""
    from firstlight.versions.registry import Registry

    _make_data_dir(project.data_dir)
    return Registry(project.data_dir, lambda: specs)


def _make_data_dir(folder: Path) -> None:
    """Make the folder with a .gitignore of its own, so that records never reach a repository."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".gitignore").open("x", encoding="utf-8") as ignore:
            ignore.write("*\n")
    except OSError:
        return  # it is there, or cannot be written, which opening the store explains


def data_dir_here(env: Mapping[str, str] = os.environ) -> Path:
    """Where a server of the project here keeps its state; a project file with mistakes still has such a place."""
    root = projects.find(Path.cwd())
    return projects.data_dir(root, env) if root else project_here(env=env).data_dir
