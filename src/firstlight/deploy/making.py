"""Everything that a deployment will send, made on this machine: bundles, images, zips, and their digests and places."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstlight.build.types import Made, Progress
from firstlight.deploy.sending import Code
from firstlight.deploy.types import Account, Artifact, Deployed
from firstlight.project.names import Names
from firstlight.project.types import Endpoint, Project
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.build.lock.building import Built
    from firstlight.build.pack.types import Base, Contents, Target

_PYTHON = "python{python}"
"""What Lambda calls its runtimes of Python."""


@dataclass(frozen=True, slots=True)
class Making:
    """What was made.

    Attributes:
        codes: of every endpoint in the project's order, then of the router.
        settle: what the lock file becomes of the one that is there.
        said: what was worth knowing, a sentence each.
    """

    codes: tuple[Code, ...]
    settle: Callable[[Lock], Lock]
    said: tuple[str, ...] = ()


def make(
    project: Project,
    account: Account,
    shown: Progress,
    deployed: Deployed | None = None,
    env: Mapping[str, str] = os.environ,
) -> Making:
    """Make the code of every endpoint and of the router. Nothing is sent.

    Args:
        account: whose registry and bucket the code is for.
        deployed: what is there now; what is a zip or an image there stays one where it can.
        env: the environment.

    Raises:
        FirstlightError: a model, a wheel or a base image cannot be had, or something does not fit into Lambda.
    """
    return _Maker(project, account, shown, deployed).all(env)


def repository(project: Project, account: Account) -> str:
    """Where images go: ``host/name``."""
    if project.deployment.registry:
        return project.deployment.registry
    domain = "amazonaws.com.cn" if account.partition == "aws-cn" else "amazonaws.com"
    host = f"{account.id}.dkr.ecr.{account.region}.{domain}"
    return f"{host}/{Names(project.name, project.stage).repository}"


class _Maker:
    """Makes the code of one project for one account."""

    def __init__(
        self, project: Project, account: Account, shown: Progress, deployed: Deployed | None
    ) -> None:
        from firstlight.build import lock as locks
        from firstlight.build.pack.types import Target

        self._project, self._account, self._shown = project, account, shown
        self._names = Names(project.name, project.stage)
        self._kinds = kinds(deployed)
        self._root = root(project)
        self._lock = locks.read(self._root)
        self._managed = Target(architecture=project.deployment.architecture)
        self._made: dict[str, Made] = {}
        self._base: Base | None = None

    def all(self, env: Mapping[str, str]) -> Making:
        from firstlight.build.lock import building
        from firstlight.build.lock.wanted import wanted

        built = building.build(
            wanted(self._root, env, self._project.stage), self._root, self._lock, self._shown
        )
        self._made = {one.wanted.name: one.made for one in built}
        self._lock = building.settled(self._lock, built)
        codes = [self._endpoint(endpoint) for endpoint in self._project.endpoints.values()]
        codes.append(self._router())
        targets = dict(self._lock.targets)

        def settle(now: Lock) -> Lock:
            return replace(building.settled(now, built), targets={**now.targets, **targets})

        return Making(tuple(codes), settle, tuple(_others(built)))

    def _endpoint(self, endpoint: Endpoint) -> Code:
        from firstlight.build.pack import lane

        deployment = self._project.deployment
        asked = endpoint.package or deployment.package
        if asked == lane.IMAGE or (asked != lane.ZIP and (deployment.base or deployment.registry)):
            return self._image(endpoint, None)
        packed = self._contents(endpoint, self._managed)
        chosen = lane.choose(packed, endpoint, deployment)
        if chosen.kind == lane.IMAGE:
            return self._image(endpoint, packed, chosen.reason)
        if asked == "auto" and self._kinds.get(endpoint.name) == lane.IMAGE:
            return self._image(endpoint, packed, "deployed as an image, which Lambda does not change")
        return self._zip(packed, chosen.reason)

    def _contents(self, endpoint: Endpoint, target: Target) -> Contents:
        from firstlight.build.pack import contents, pinning

        self._lock = pinning.pinned(self._project, self._made, self._lock, target, self._shown)
        made = self._made.get(endpoint.name)
        return contents.of_endpoint(self._project, endpoint, made, self._lock, target, self._shown)

    def _router(self) -> Code:
        from firstlight.build.pack import pinning, router

        self._lock = pinning.with_own(self._lock, self._managed, pinning.ROUTER, self._shown)
        bundles = {name: Path(one.place) for name, one in self._made.items()}
        packed = router.of_router(self._project, bundles, self._lock, self._managed, self._shown)
        return self._zip(packed, "pure Python")

    def _base_image(self) -> Base:
        if self._base is None:
            from firstlight.build.image import bases
            from firstlight.build.pack import targets

            deployment = self._project.deployment
            self._base = bases.find(deployment, self._lock, self._shown, root=self._root)
            reference = bases.locked(deployment, self._base)
            if reference:
                self._lock = self._lock.with_base(targets.key(self._base.target), reference)
        return self._base

    def _zip(self, packed: Contents, reason: str) -> Code:
        from firstlight.build.pack import archive

        written = archive.write(packed, self._project.data_dir / "zips")
        bucket = self._names.bucket(self._account.id, self._account.region)
        artifact = Artifact(
            endpoint=packed.endpoint,
            kind="zip",
            digest=written.sha256,
            uri=f"s3://{bucket}/{packed.endpoint}/{written.sha256}.zip",
            size=written.size,
            unpacked=written.unpacked,
            architecture=packed.target.architecture,
            runtime=_PYTHON.format(python=packed.target.python),
            handler=packed.handler,
            environment=dict(archive.environment(packed)),
            reason=reason,
        )
        return Code(artifact, file=written.path)

    def _image(self, endpoint: Endpoint, measured: Contents | None, reason: str = "") -> Code:
        from firstlight.build.image import layers, making
        from firstlight.build.pack import lane

        base = self._base_image()
        same = measured is not None and measured.target == base.target
        packed = measured if same and measured is not None else self._contents(endpoint, base.target)
        self._shown.stage(f"{endpoint.name}: making the image", None)
        image, own = making.assembled(packed, base, layers.cache(), snap_start=endpoint.snap_start)
        artifact = Artifact(
            endpoint=endpoint.name,
            kind=lane.IMAGE,
            digest=image.digest,
            uri=f"{repository(self._project, self._account)}@{image.digest}",
            size=sum(layer.blob.size for layer in own),
            unpacked=packed.size,
            architecture=packed.target.architecture,
            reason=reason or lane.choose(packed, endpoint, self._project.deployment).reason,
        )
        return Code(artifact, image=image, tag=f"{endpoint.name}-{image.digest.removeprefix('sha256:')[:12]}")


def root(project: Project) -> Path:
    """The folder of a project that can be deployed.

    Raises:
        ProjectError: there is no project file.
    """
    if project.root is None or project.file is None:
        raise ProjectError("there is no firstlight.toml here or above", "`firstlight init` begins a project")
    return project.root


def kinds(deployed: Deployed | None) -> dict[str, str]:
    """Endpoint -> ``image`` or ``zip``, as it is deployed."""
    from firstlight.deploy.reading import part_of

    resources: Mapping[str, Any] = dict(deployed.template.get("Resources", {})) if deployed else {}  # type: ignore[call-overload]
    return {
        part_of(resources, logical_id): str(resource["Properties"].get("PackageType", "Zip")).lower()
        for logical_id, resource in resources.items()
        if resource.get("Type") == "AWS::Lambda::Function"
    }


def _others(built: list[Built]) -> list[str]:
    """What was not as locked."""
    return [
        f"{one.wanted.name} keeps its entry in firstlight.lock and is not as it says: {'; '.join(one.changes)}"
        for one in built
        if one.state == "not as locked"
    ]
