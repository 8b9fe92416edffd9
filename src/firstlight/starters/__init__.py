"""The endpoints that come with the package: bundles that work offline, each with a model card beside it.

A folder here holds a bundle, or a ``starter.json`` that names another starter's bundle and a further task of its
weights: ``summarize`` is the bundle ``embeddings`` at another task, so its 24 MB ship once.
"""

from __future__ import annotations

from pathlib import Path

from firstlight.runtime import jsons
from firstlight.runtime.errors import EndpointNotFound

# A user's script comes here on its way to its first answer, by firstlight.pipeline.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.project import Endpoint, Project
    from firstlight.runtime.types import JSON

_HERE = Path(__file__).parent
_FIRST = ("sentiment", "qa", "lyrics", "embeddings")
"""What a newcomer meets first; the very first one also answers where a protocol names no endpoint."""
_PREFIX = "starter:"


def names() -> list[str]:
    """Names of the starters, in the order in which they are shown."""
    found = {file.parent.name for kind in ("bundle.json", "starter.json") for file in _HERE.glob(f"*/{kind}")}
    return [*(name for name in _FIRST if name in found), *sorted(found.difference(_FIRST))]


def path(name: str) -> Path:
    """The bundle folder of a starter.

    Raises:
        EndpointNotFound: there is no starter of that name.
    """
    return _HERE / str(_borrowed(name).get("bundle", name))


def card(name: str) -> Path:
    """The model card of a starter; one that borrows its bundle has a card of its own.

    Raises:
        EndpointNotFound: there is no starter of that name.
    """
    _borrowed(name)
    return _HERE / name / "README.md"


def task_of(model: str | None) -> str | None:
    """The task that ``starter:NAME`` stands for where that is not its bundle's own; None for all other models."""
    name = (model or "").removeprefix(_PREFIX)
    if name == model or name not in names():
        return None
    task = _borrowed(name).get("task")
    return None if task is None else str(task)


def replacement(name: str) -> str:
    """The command that puts a real model of the hub in the place of a starter.

    Raises:
        EndpointNotFound: there is no starter of that name.
    """
    borrowed = _borrowed(name)
    told = borrowed or jsons.loads((_HERE / name / "bundle.json").read_text(encoding="utf-8"))["source"]
    return str(told["replace"])


def with_task(endpoint: Endpoint) -> Endpoint:
    """An endpoint with the task its starter stands for, unless it names one itself."""
    from dataclasses import replace

    return replace(endpoint, task=endpoint.task or task_of(endpoint.model))


def with_tasks(project: Project) -> Project:
    """A project whose endpoints all have the task their starter stands for."""
    from dataclasses import replace

    endpoints = {name: with_task(endpoint) for name, endpoint in project.endpoints.items()}
    return replace(project, endpoints=endpoints)


def _borrowed(name: str) -> dict[str, JSON]:
    """What ``starter.json`` says: the bundle borrowed and the task it is served for; empty for a bundle."""
    if name not in names():
        raise EndpointNotFound(f"there is no starter named {name!r}", f"starters: {', '.join(names())}")
    file = _HERE / name / "starter.json"
    told: dict[str, JSON] = jsons.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return told
