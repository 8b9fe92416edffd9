"""What a lock file says, once it has been read: frozen values that nothing later changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from firstlight.build.pack.types import Wheel
from firstlight.build.types import Made


@dataclass(frozen=True, slots=True)
class Caches:
    """What a script's libraries look for outside the script, packed into one layer by ``firstlight trace``.

    Attributes:
        layer: SHA-256 of the packed layer.
        size: bytes of the packed layer.
        script: SHA-256 of the script that was traced.
        variables: environment variables that have the libraries look into the layer; in a value ``{layer}`` stands
            for its folder.
        tools: name -> version of the libraries that left something.
    """

    layer: str
    size: int
    script: str
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WheelSet:
    """Wheels that were resolved together.

    Attributes:
        asked: SHA-256 of what was asked for, hex; another request makes the set anew.
        wheels: sorted by name.
    """

    asked: str
    wheels: tuple[Wheel, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedTarget:
    """What functions for one kind of machine are made of, beside the endpoints' own files.

    Attributes:
        base: the image they are built on, ``host/name:tag@sha256:...`` as the project names it and with its digest;
            empty where none was needed yet.
        wheels: sets by name: ``engines``, ``server``, ``router``, and the path of each requirements file.
    """

    base: str = ""
    wheels: Mapping[str, WheelSet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file.

    Attributes:
        endpoints: what each model endpoint's bundle is and was made of, by name.
        caches: of script endpoints that were traced, by name.
        stages: name of a stage -> the endpoints that ask for something else there than in the plain project.
        targets: ``arm64-python3.13`` (``pack.targets.key``) -> what functions for it are made of.
    """

    endpoints: Mapping[str, Made] = field(default_factory=dict)
    caches: Mapping[str, Caches] = field(default_factory=dict)
    stages: Mapping[str, Mapping[str, Made]] = field(default_factory=dict)
    targets: Mapping[str, LockedTarget] = field(default_factory=dict)

    def entry(self, name: str, stage: str | None = None) -> Made | None:
        """The entry of an endpoint, of a stage where one is named; None where there is none."""
        return (self.endpoints if stage is None else self.stages.get(stage, {})).get(name)

    def with_endpoint(self, name: str, made: Made, stage: str | None = None) -> Lock:
        """The lock with another entry for an endpoint, of a stage where one is named."""
        if stage is None:
            return replace(self, endpoints={**self.endpoints, name: made})
        entries = {**self.stages.get(stage, {}), name: made}
        return replace(self, stages={**self.stages, stage: entries})

    def without(self, name: str, stage: str | None = None) -> Lock:
        """The lock without an endpoint, of a stage where one is named; its caches stay."""
        if stage is None:
            return replace(self, endpoints={key: made for key, made in self.endpoints.items() if key != name})
        entries = {key: made for key, made in self.stages.get(stage, {}).items() if key != name}
        others = {key: its for key, its in self.stages.items() if key != stage}
        return replace(self, stages=others | ({stage: entries} if entries else {}))

    def with_caches(self, name: str, caches: Caches | None) -> Lock:
        """The lock with other caches for a script endpoint, or with none."""
        others = {key: its for key, its in self.caches.items() if key != name}
        return replace(self, caches=others | ({name: caches} if caches is not None else {}))

    def target(self, key: str) -> LockedTarget:
        """What is locked of a target; nothing where it was never built for."""
        return self.targets.get(key, LockedTarget())

    def with_wheels(self, key: str, name: str, asked: str, wheels: Iterable[Wheel]) -> Lock:
        """The lock with another set of wheels for a target.

        Args:
            asked: SHA-256 of what was asked for, hex.
        """
        its = self.target(key)
        added = WheelSet(asked, tuple(sorted(wheels, key=lambda wheel: wheel.name)))
        return self._with(key, replace(its, wheels={**its.wheels, name: added}))

    def without_wheels(self, key: str, name: str) -> Lock:
        """The lock without a set of wheels of a target."""
        its = self.target(key)
        sets = {other: one for other, one in its.wheels.items() if other != name}
        return self._with(key, replace(its, wheels=sets))

    def with_base(self, key: str, base: str) -> Lock:
        """The lock with another base image for a target; empty for none."""
        return self._with(key, replace(self.target(key), base=base))

    def _with(self, key: str, its: LockedTarget) -> Lock:
        others = {other: one for other, one in self.targets.items() if other != key}
        return replace(self, targets=others | ({key: its} if its.base or its.wheels else {}))
