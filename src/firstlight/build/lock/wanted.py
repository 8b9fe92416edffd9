"""The model endpoints of a project and of its stages: what a lock file has an entry for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from firstlight import project as projects
from firstlight import starters
from firstlight.build.lock.comparing import wish_of
from firstlight.build.types import Wish
from firstlight.project import Endpoint, Project
from firstlight.project.checks import close
from firstlight.runtime.errors import EndpointNotFound, ProjectError

_STAGE = "FIRSTLIGHT_STAGE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model endpoint.

    Attributes:
        endpoint: as the project or the stage has it.
        stage: None where the plain project asks for the same.
    """

    endpoint: Endpoint
    stage: str | None = None

    @property
    def name(self) -> str:
        """The endpoint's."""
        return self.endpoint.name

    @property
    def wish(self) -> Wish:
        """What is asked of its model."""
        return wish_of(self.endpoint)

    @property
    def shown(self) -> str:
        """How it is called in a sentence."""
        return self.name if self.stage is None else f"{self.name} (stage {self.stage})"


def wanted(root: Path, env: Mapping[str, str], stage: str | None = None) -> list[Wanted]:
    """The model endpoints of a project and, where they ask for another model, of its stages.

    Args:
        root: folder of the project.
        env: the environment.
        stage: only what is served in this stage.

    Raises:
        ProjectError: the project file is wrong, or has no such stage.
    """
    plain_env = {key: value for key, value in env.items() if key != _STAGE}
    plain = [Wanted(endpoint) for endpoint in _models(projects.load(root, None, plain_env))]
    known = {one.name: one.wish for one in plain}
    found = [] if stage else plain
    for name in [stage] if stage else _stages(root):
        endpoints = _models(projects.load(root, name, plain_env))
        other = [Wanted(one, name) for one in endpoints if known.get(one.name) != wish_of(one)]
        same = [Wanted(one) for one in endpoints if stage and known.get(one.name) == wish_of(one)]
        found = [*found, *same, *other]
    return found


def named(everything: Iterable[Wanted], names: Iterable[str]) -> list[Wanted]:
    """Those of these names, in every stage; all of them where none is named.

    Raises:
        EndpointNotFound: no model endpoint has one of the names.
    """
    everything, names = list(everything), list(names)
    for name in names:
        if all(one.name != name for one in everything):
            hint = close(name, {one.name for one in everything})
            raise EndpointNotFound(f"the project has no endpoint {name!r} with a model", hint)
    return [one for one in everything if not names or one.name in names]


def _models(project: Project) -> list[Endpoint]:
    endpoints = starters.with_tasks(project).endpoints.values()
    return [endpoint for endpoint in endpoints if endpoint.model is not None]


def _stages(root: Path) -> list[str]:
    """Names of the stages of a project file that was loaded before."""
    try:
        content = tomllib.loads((root / projects.FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ProjectError(f"{projects.FILE} cannot be read: {error}", "run the verb again") from error
    return sorted(content.get("stage", {}))
