"""``firstlight build --package``: functions as images and zips, on this machine, and where they are put."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import output
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.image.layers import Layer
    from firstlight.build.lock import Lock
    from firstlight.build.lock.types import LockedTarget
    from firstlight.build.pack.types import Base, Contents, Image, Target, ZipArchive
    from firstlight.build.registry.types import Pushed
    from firstlight.build.types import Made, Progress


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the options ask for.

    Attributes:
        package: ``image``, ``zip`` or ``auto``; None as firstlight.toml says.
        architecture, base: as in ``[deploy]``; None as firstlight.toml says.
        layout: folder of OCI image layouts.
        tarball: a file, or a folder of them.
        push: ``host/name``.
    """

    package: str | None = None
    architecture: str | None = None
    base: str | None = None
    layout: Path | None = None
    tarball: Path | None = None
    push: str | None = None

    @property
    def any(self) -> bool:
        """Whether packages are to be made at all."""
        return any((self.package, self.layout, self.tarball, self.push, self.architecture, self.base))

    @property
    def images(self) -> bool:
        """Whether what is asked for is of images only."""
        return any((self.layout, self.tarball, self.push))


@dataclass(frozen=True, slots=True)
class Package:
    """An endpoint's function.

    Attributes:
        kind: ``image`` or ``zip``.
        layers: of the image, without the base's.
        base: what it is built on.
        places: where it was put, by the option that asked for it.
    """

    contents: Contents
    kind: str
    reason: str
    image: Image | None = None
    layers: tuple[Layer, ...] = ()
    base: Base | None = None
    archive: ZipArchive | None = None
    pushed: Pushed | None = None
    places: Mapping[str, str] | None = None


def asked(project: Project, wishes: Wishes) -> Project:
    """The project as the options have it."""
    package = "image" if wishes.images else wishes.package
    deployment = project.deployment
    deployment = replace(
        deployment,
        package=package or deployment.package,
        architecture=wishes.architecture or deployment.architecture,
        base=wishes.base if wishes.base is not None else deployment.base,
    )
    endpoints = project.endpoints
    if package is not None:
        endpoints = {name: replace(one, package=None) for name, one in endpoints.items()}
    return replace(project, deployment=deployment, endpoints=endpoints)


class Packing:
    """Makes the functions of a project.

    Args:
        project: as the options have it (``asked``).
        made: the bundle of each model endpoint.
        lock: as it is; ``lock`` afterwards says what it is to be.
        locked: nothing may be asked for that the lock does not have.
    """

    def __init__(
        self, project: Project, made: Mapping[str, Made], lock: Lock, shown: Progress, *, locked: bool = False
    ) -> None:
        self.project = project
        self.lock = lock
        self._made = made
        self._shown = shown
        self._locked = locked
        self._base: Base | None = None

    def package(self, endpoint: Endpoint) -> Package:
        """One endpoint's function, with a lock that has all that it is made of."""
        from firstlight.build.pack import lane

        kind = endpoint.package or self.project.deployment.package
        if kind == lane.IMAGE or self.project.deployment.base:
            return self._image(endpoint, None, "")
        contents = self._contents(endpoint, self._managed())
        chosen = lane.choose(contents, endpoint, self.project.deployment)
        if chosen.kind == lane.IMAGE:
            return self._image(endpoint, contents, chosen.reason)
        from firstlight.build.pack import archive

        self._shown.stage(f"{endpoint.name}: making the zip")
        written = archive.write(contents, self.project.data_dir / "zips")
        return Package(contents, lane.ZIP, chosen.reason, archive=written)

    def _image(self, endpoint: Endpoint, measured: Contents | None, reason: str) -> Package:
        from firstlight.build.image import layers, making
        from firstlight.build.pack import lane

        base = self._base_image()
        same = measured is not None and measured.target == base.target
        contents = measured if same and measured is not None else self._contents(endpoint, base.target)
        chosen = reason or lane.choose(contents, endpoint, self.project.deployment).reason
        self._shown.stage(f"{endpoint.name}: making the image")
        image, own = making.assembled(contents, base, layers.cache(), snap_start=endpoint.snap_start)
        return Package(contents, lane.IMAGE, chosen, image, own, base)

    def on_base(self, endpoint: Endpoint) -> tuple[Contents, Base]:
        """One endpoint's files for the base of its image, and the base."""
        base = self._base_image()
        return self._contents(endpoint, base.target), base

    def _managed(self) -> Target:
        from firstlight.build.pack.types import Target

        return Target(architecture=self.project.deployment.architecture)

    def _base_image(self) -> Base:
        if self._base is None:
            from firstlight.build.image import bases
            from firstlight.build.pack import targets

            deployment = self.project.deployment
            self._base = bases.find(deployment, self.lock, self._shown, root=self.project.root)
            reference = bases.locked(deployment, self._base)
            if reference:
                self.lock = self.lock.with_base(targets.key(self._base.target), reference)
        return self._base

    def _contents(self, endpoint: Endpoint, target: Target) -> Contents:
        from firstlight.build.pack import contents, pinning

        made = self._made.get(endpoint.name)
        if self._locked:
            missing = pinning.behind(self.project, self._made, self.lock, target)
            if missing:
                raise ProjectError(
                    f"not everything is locked: {missing[0]}", "run `firstlight build --package` first"
                )
        else:
            self.lock = pinning.pinned(self.project, self._made, self.lock, target, self._shown)
        return contents.of_endpoint(self.project, endpoint, made, self.lock, target, self._shown)


def with_targets(lock: Lock, targets: Mapping[str, LockedTarget]) -> Lock:
    """The lock with what functions for some targets are made of."""
    return replace(lock, targets={**lock.targets, **targets})


def delivered(package: Package, wishes: Wishes, alone: bool, shown: Progress) -> Package:
    """Put an image where the options ask for it.

    Args:
        alone: it is the only one, so that a file named is its file.
    """
    if package.image is None:
        return package
    from firstlight.build.image import bases, layout, tarball

    image, name, places = package.image, package.contents.endpoint, {}
    tag = f"{name}-{image.digest.removeprefix('sha256:')[:12]}"

    def fetch(blob: Any) -> Any:
        return bases.fetch(image, blob)

    if wishes.layout is not None:
        places["layout"] = str(
            layout.write(image, wishes.layout if alone else wishes.layout / name, fetch, tag)
        )
    if wishes.tarball is not None:
        file = wishes.tarball if alone and not wishes.tarball.is_dir() else wishes.tarball / f"{name}.tar"
        file.parent.mkdir(parents=True, exist_ok=True)
        places["tarball"] = str(tarball.write(image, file, fetch, f"{name.lower()}:latest"))
    pushed = None
    if wishes.push is not None:
        from firstlight.build.registry import pushing
        from firstlight.build.registry.references import Reference

        pushed = pushing.push(image, Reference.parse(wishes.push), (tag,), shown)
        places["push"] = pushed.reference
    return replace(package, pushed=pushed, places=places)


def build_packages(
    packing: Packing, names: Sequence[str], wishes: Wishes, shown: Progress, settle: Callable[[Lock], None]
) -> list[Package]:
    """The functions of endpoints, made, the lock settled, then put where they are asked for."""
    endpoints = [one for name, one in packing.project.endpoints.items() if not names or name in names]
    packages = [packing.package(endpoint) for endpoint in endpoints]
    settle(packing.lock)
    return [delivered(package, wishes, len(packages) == 1, shown) for package in packages]


def show(package: Package) -> None:
    """A package for people."""
    name = package.contents.endpoint
    if package.archive is not None:
        size = f"{package.archive.size / 1e6:.1f} MB, {package.archive.unpacked / 1e6:.0f} MB unpacked"
        click.echo(f"{name}: zip {package.archive.sha256[:12]}, {size} ({package.reason})")
        click.echo(f"  {output.shown(package.archive.path)}")
    if package.image is not None and package.base is not None:
        own = sum(layer.blob.size for layer in package.layers)
        below = package.image.size - own
        digest = package.image.digest.removeprefix("sha256:")[:12]
        click.echo(
            f"{name}: image {digest}, {own / 1e6:.1f} MB and a base of {below / 1e6:.1f} MB ({package.reason})"
        )
        for layer in package.layers:
            kept = ", kept" if layer.kept else ""
            click.echo(f"  {layer.name}: {layer.blob.size / 1e6:.2f} MB{kept}")
    for option, place in (package.places or {}).items():
        click.echo(f"  {option}: {output.shown(place) if option != 'push' else place}")
    if package.pushed is not None:
        pushed = package.pushed
        counts = ((pushed.sent, "sent"), (pushed.mounted, "mounted"), (pushed.there, "there already"))
        click.echo("  " + ", ".join(f"{size / 1e6:.2f} MB {word}" for size, word in counts))


def described(package: Package) -> dict[str, Any]:
    """A package as JSON."""
    target = package.contents.target
    found: dict[str, Any] = {
        "endpoint": package.contents.endpoint,
        "kind": package.kind,
        "reason": package.reason,
        "platform": target.platform,
        "python": target.python,
        "unpacked": package.contents.size,
        **(package.places or {}),
    }
    if package.archive is not None:
        archive = package.archive
        found |= {"sha256": archive.sha256, "size": archive.size, "path": str(archive.path)}
        found["unpacked"] = archive.unpacked
    if package.image is not None and package.base is not None:
        found |= {"digest": package.image.digest, "size": package.image.size, "base": package.base.reference}
        found["layers"] = [
            {"name": layer.name, "digest": layer.blob.digest, "size": layer.blob.size, "kept": layer.kept}
            for layer in package.layers
        ]
    if package.pushed is not None:
        pushed = package.pushed
        found["pushed"] = {"sent": pushed.sent, "mounted": pushed.mounted, "there": pushed.there}
    return found
