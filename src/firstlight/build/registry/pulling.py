"""From a registry: a base for images, by digest; its layers are fetched when somebody needs their bytes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.build.pack.types import Base, Blob, Target
from firstlight.build.registry import downloading, finding, manifests
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.patience import side_by_side
from firstlight.build.registry.references import Reference
from firstlight.build.registry.talking import Registry
from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import ProjectError

Find = Callable[[], Credentials | None]


def cache() -> Path:
    """Where what is pulled is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "registry"


def base(
    reference: Reference,
    architecture: str,
    cache: Path,
    *,
    progress: Progress | None = None,
    session: Any = None,
    find: Find | None = None,
) -> Base:
    """An image of a registry as a base; one that is named by digest and was had before is not asked for.

    Layers are fetched once to find the interpreter and the C library in them; what was found is kept.

    Args:
        architecture: ``arm64`` or ``x86_64``.
        session: of AWS, for tokens of ECR.
        find: gives credentials; None takes what ``auth.credentials`` finds.

    Raises:
        FirstlightError: it cannot be had, is not made for the machine, or has no Python.
    """
    target = Target(architecture)
    with Registry(reference, session=session, find=find) as registry:
        manifest = manifests.of_platform(registry, target.platform, cache)
        said = manifests.read(manifest)
        described = manifests.blob(said.get("config"), reference)
        layers = tuple(_layer(entry, reference) for entry in said.get("layers") or ())
        content = downloading.small(registry, described, cache)
        config = manifests.read(replace(described, source=content))
        _check(config, target, reference, layers)
        found = _kept(cache, manifest.digest)
        if found is None:
            found = _looked(registry, layers, config, reference, cache, progress or Silent())
            _keep(cache, manifest.digest, found)
    there = tuple(_with_source(layer, cache) for layer in layers)
    python, release, glibc = found
    made = replace(target, python=release, glibc=glibc)
    named = str(reference.at(manifest.digest))
    return Base(named, config, there, python, made, reference.repository)


def fetch(
    reference: Reference,
    blob: Blob,
    cache: Path,
    *,
    progress: Progress | None = None,
    session: Any = None,
    find: Find | None = None,
) -> Path:
    """A blob as a verified file; one that is in the cache is not asked for.

    Args:
        reference: any image of the repository it is in.

    Raises:
        FirstlightError: it cannot be had, or is another one.
    """
    with Registry(reference, session=session, find=find) as registry:
        return downloading.download(registry, blob, cache, progress)


def _layer(described: object, reference: Reference) -> Blob:
    blob = manifests.blob(described, reference)
    if blob.media_type not in manifests.LAYERS:
        said = f"{reference} has a layer of the type {blob.media_type}, and Lambda takes gzip only"
        raise ProjectError(said, "take another base")
    return blob


def _check(config: Mapping[str, Any], target: Target, reference: Reference, layers: tuple[Blob, ...]) -> None:
    made_for = f"{config.get('os')}/{config.get('architecture')}"
    if made_for != target.platform:
        raise ProjectError(
            f"{reference} is made for {made_for}, not for {target.platform}", "take another base"
        )
    root = config.get("rootfs")
    differences = root.get("diff_ids") if isinstance(root, dict) else None
    if not isinstance(differences, list) or len(differences) != len(layers):
        raise ProjectError(f"{reference} does not say what its layers are", "take another base")


def _looked(
    registry: Registry,
    layers: tuple[Blob, ...],
    config: Mapping[str, Any],
    reference: Reference,
    cache: Path,
    progress: Progress,
) -> tuple[str, str, tuple[int, int]]:
    """Interpreter, its version and that of the C library."""
    progress.stage(f"pulling {reference}", sum(layer.size for layer in layers))
    files = _fetched(registry, layers, cache, progress)
    found = finding.look(files)
    python = found.python(_search(config))
    if not python:
        raise ProjectError(f"{reference} has no Python", "name a base with bin/python3.N in it")
    if found.glibc is None:
        why = "musl, which wheels of most packages are not made for" if found.musl else "no C library"
        raise ProjectError(
            f"{reference} has {why}", "take a base with glibc, such as Debian's or Amazon Linux's"
        )
    return python, re.sub(r".*python", "", python), found.glibc


def _fetched(registry: Registry, layers: tuple[Blob, ...], cache: Path, progress: Progress) -> list[Path]:
    return side_by_side(
        lambda layer: downloading.download(registry, layer, cache, progress), layers, registry.patience
    )


def _search(config: Mapping[str, Any]) -> str:
    inner = config.get("config")
    variables = inner.get("Env") if isinstance(inner, dict) else None
    for entry in variables or ():
        name, _, value = str(entry).partition("=")
        if name == "PATH":
            return value
    return "/usr/local/bin:/usr/bin:/bin"


def _with_source(layer: Blob, cache: Path) -> Blob:
    where = downloading.place(cache, layer.digest)
    return replace(layer, source=where) if where.is_file() else layer


def _kept(cache: Path, digest: str) -> tuple[str, str, tuple[int, int]] | None:
    """What was found in a base before."""
    try:
        said = json.loads(_note(cache, digest).read_text())
        python, release, (major, minor) = said["python"], said["release"], said["glibc"]
        return str(python), str(release), (int(major), int(minor))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _keep(cache: Path, digest: str, found: tuple[str, str, tuple[int, int]]) -> None:
    python, release, glibc = found
    note = _note(cache, digest)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"python": python, "release": release, "glibc": glibc}))
    except OSError:
        pass  # it is found again


def _note(cache: Path, digest: str) -> Path:
    return cache / "bases" / f"{digest.removeprefix('sha256:')}.json"
