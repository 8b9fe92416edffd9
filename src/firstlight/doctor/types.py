"""What the doctor looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import FirstlightError

if TYPE_CHECKING:
    from firstlight.doctor.trials import Trial
    from firstlight.invoke.types import WorkerSpec
    from firstlight.project import Endpoint, Project

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Attributes:
        level: ``ok``, ``warning`` or ``problem``.
        what: one line, without a full stop.
        where: a file, an endpoint, or nothing.
        why: why it matters.
        fix: what to do about it.
        repair: does it, where that is safe, and says what it did; None where the user has to.
    """

    level: str
    what: str
    where: str = ""
    why: str = ""
    fix: str = ""
    repair: Callable[[], str] | None = field(default=None, compare=False)


def fine(what: str, where: str = "") -> Finding:
    """All is well."""
    return Finding(OK, what, where)


def explained(error: FirstlightError, where: str = "", why: str = "") -> Finding:
    """A problem that is an error of ours."""
    return Finding(PROBLEM, error.message, where, why, error.hint)


def refused(endpoint: Endpoint) -> FirstlightError:
    """Stands in for ``Subject.spec_of`` where nobody can prepare an endpoint."""
    return FirstlightError(f"{endpoint.name} cannot be prepared here")


def _not_prepared(endpoint: Endpoint) -> WorkerSpec:
    raise refused(endpoint)


def _silent() -> AbstractContextManager[Progress]:
    return nullcontext(Silent())


@dataclass(slots=True)
class Subject:
    """What is examined.

    Attributes:
        here: the folder the user is in.
        env: the environment.
        project: as it was read; None where it cannot be.
        mistake: why it cannot be read.
        file: the project file, also one that cannot be read.
        names: the endpoints that are meant; all where none is named.
        event: what scripts are called with, JSON; None where the user gave nothing.
        spec_of: how an endpoint's workers start, its model resolved first; raises FirstlightError.
        progress: a context in which something is told how long work goes on.
    """

    here: Path
    env: Mapping[str, str]
    project: Project | None = None
    mistake: FirstlightError | None = None
    file: Path | None = None
    names: tuple[str, ...] = ()
    event: bytes | None = None
    spec_of: Callable[[Endpoint], WorkerSpec] = _not_prepared
    progress: Callable[[], AbstractContextManager[Progress]] = _silent
    specs: dict[str, WorkerSpec] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The project's folder, or the one the user is in."""
        return (self.project.root if self.project is not None else None) or self.here

    def endpoints(self) -> Iterator[Endpoint]:
        """The endpoints that are meant."""
        for endpoint in self.project.endpoints.values() if self.project is not None else ():
            if not self.names or endpoint.name in self.names:
                yield endpoint

    def spec(self, endpoint: Endpoint) -> WorkerSpec:
        """How an endpoint's workers start; found out once.

        Raises:
            FirstlightError: its model cannot be resolved.
        """
        if endpoint.name not in self.specs:
            self.specs[endpoint.name] = self.spec_of(endpoint)
        return self.specs[endpoint.name]

    def trial(self, endpoint: Endpoint) -> Trial:
        """What one invocation within Lambda's walls came to; made once.

        Raises:
            FirstlightError: the model cannot be resolved, or no worker can be started.
        """
        if endpoint.name not in self.trials:
            from firstlight.doctor import trials

            spec = self.spec(endpoint)
            with self.progress() as shown:
                shown.stage(f"{endpoint.name}: trying it behind walls")
                self.trials[endpoint.name] = trials.tried(spec, self.event)
        return self.trials[endpoint.name]

    def shown(self, path: Path) -> str:
        """A path as the user would type it."""
        return str(path.relative_to(self.here) if path.is_relative_to(self.here) else path)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is looked at.

    Attributes:
        group: ``machine``, ``hub``, ``project`` or ``lambda``.
        name: one word; unique in its group.
        look: yields what is found; of the group ``lambda`` once for each endpoint.
    """

    group: str
    name: str
    look: Callable[[Subject], Iterator[Finding]] | None = None
    look_at: Callable[[Subject, Endpoint], Iterator[Finding]] | None = None

    @property
    def title(self) -> str:
        """As the documentation names it."""
        return f"{self.group}.{self.name}"


@dataclass(frozen=True, slots=True)
class Result:
    """A finding of a check, about an endpoint where it is of one.

    Attributes:
        done: what was repaired; empty where nothing was.
    """

    check: Check
    finding: Finding
    endpoint: str = ""
    done: str = ""
