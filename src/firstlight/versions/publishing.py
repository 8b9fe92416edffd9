"""From an endpoint as it is now to a version that stays as it is."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from firstlight.invoke.types import WorkerSpec
from firstlight.versions import freezing
from firstlight.versions.file import lock
from firstlight.versions.freezing import Part
from firstlight.versions.state import State
from firstlight.versions.types import Version

_NAMESPACE = uuid.UUID("6f1d5b0e-3c58-4b5e-9d0b-8f3a0a1f6d11")
_CONFIGURATION = ("task", "handler", "memory_mb", "timeout_s", "snap_start", "command")
"""Fields of a spec that make another version when they change; concurrency is the function's, not the version's."""


def new_revision() -> str:
    """A revision id that was never given before."""
    return str(uuid.uuid4())


def same(one: Version, other: Version) -> bool:
    """Whether publishing the one after the other would change nothing but the number."""
    kept = all(getattr(one.spec, name) == getattr(other.spec, name) for name in _CONFIGURATION)
    return kept and one.code_sha256 == other.code_sha256 and dict(one.spec.env) == dict(other.spec.env)


class Publisher:
    """Finds out what an endpoint consists of, and copies it.

    Args:
        folder: where copies lie; made when there is one.
        clock: seconds since the epoch.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._hashes: dict[str, tuple[str, str]] = {}

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While a version is made, nobody takes away copies that no version needs yet."""
        with lock(self._folder / ".lock", shared=True):
            yield

    def latest(self, endpoint: str, specs: Mapping[str, WorkerSpec]) -> Version:
        """What an endpoint is now, under the number 0. Its content is read again only when its digest has changed.

        Raises:
            InvalidInput, VersionError: its files are too many, too large, or cannot be read.
        """
        spec = specs[endpoint]
        known = self._hashes.get(endpoint)
        if known is None or not spec.digest or known[0] != spec.digest:
            known = spec.digest, freezing.code_sha256(spec, self._parts(spec, specs))
            self._hashes[endpoint] = known
        own = replace(spec, concurrency=1, provisioned=0, walls=None)
        version = Version(endpoint, 0, own, known[1], self._clock(), snap_start=spec.snap_start)
        return replace(version, revision_id=_revision(version))

    def freeze(self, latest: Version, specs: Mapping[str, WorkerSpec]) -> Version:
        """The same, with files of its own.

        Raises:
            InvalidInput, VersionError: see ``latest``; there is no room for them.
        """
        parts = self._parts(latest.spec, specs)
        content = freezing.code_sha256(latest.spec, parts)  # what is copied, not what was read a while ago
        spec = freezing.freeze(latest.spec, parts, content, self._folder)
        return replace(latest, spec=spec, code_sha256=content)

    def numbered(self, version: Version, number: int, description: str) -> Version:
        """The version under its number, which its workers know it by."""
        spec = replace(version.spec, version=str(number))
        return replace(
            version,
            number=number,
            spec=spec,
            description=description,
            created=self._clock(),
            revision_id=new_revision(),
        )

    def sweep(self, state: Callable[[], State]) -> None:
        """Take away the copies no version needs; another time, where a version is being made now."""
        with lock(self._folder / ".lock", wait=False) as alone:
            if alone:
                versions = [
                    version for function in state().values() for version in function.versions.values()
                ]
                needed = {
                    path for version in versions for path in freezing.contents(version.spec, self._folder)
                }
                freezing.sweep(self._folder, needed)

    def _parts(self, spec: WorkerSpec, specs: Mapping[str, WorkerSpec]) -> list[Part]:
        if spec.bundle is not None or (spec.script is None and spec.handler is None):
            return []
        return freezing.parts_of(spec, [other.script for other in specs.values() if other.script is not None])


def _revision(version: Version) -> str:
    """A revision id that changes when the endpoint does, and only then."""
    spec = version.spec
    told = [getattr(spec, name) for name in _CONFIGURATION]
    return str(uuid.uuid5(_NAMESPACE, f"{version.code_sha256} {told} {sorted(spec.env.items())}"))
