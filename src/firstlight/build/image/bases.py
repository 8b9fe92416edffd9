"""What an image is built on: AWS's own base, an image of any registry, or a root file system of this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.image import layers, lint, roots
from firstlight.build.pack.types import Base, Blob, Image, Target
from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.build.registry.references import Reference
    from firstlight.project.types import Deployment

AWS = "public.ecr.aws/lambda/python:{python}"
"""AWS's image for Python: Amazon Linux 2023 with the interpreter in /var/lang."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(
    deployment: Deployment,
    lock: Lock | None = None,
    shown: Progress | None = None,
    *,
    root: Path | None = None,
    blobs: Path | None = None,
) -> Base:
    """The base of a project's images: the locked one where the project asks for the same as then.

    Args:
        root: the project's folder, which a path of a base is relative to.
        blobs: the folder that layers are kept in.

    Raises:
        FirstlightError: it cannot be had, or cannot be a base.
    """
    progress = shown or Silent()
    named = deployment.base or AWS.format(python=Target().python)
    place = (root or Path.cwd()) / Path(named).expanduser()
    if deployment.base and place.exists():
        return of_root(place, blobs or layers.cache(), deployment.architecture, progress)
    if deployment.base and _is_path(named):
        raise ProjectError(f"there is no {named} to build images on", "name a folder, a tar file or an image")
    from firstlight.build.registry import pulling
    from firstlight.build.registry.references import Reference

    reference = Reference.parse(named)
    pinned = _pinned(lock, deployment.architecture, reference) if not reference.digest else ""
    wanted = Reference.parse(pinned) if pinned else reference
    return pulling.base(wanted, deployment.architecture, pulling.cache(), progress=progress)


def locked(deployment: Deployment, base: Base) -> str:
    """What the lock file is to say of a base: the name the project has for it, with its digest; empty for a root."""
    if not base.origin:
        return ""
    named = deployment.base or AWS.format(python=Target().python)
    return f"{named.partition('@')[0]}@{base.reference.rpartition('@')[2]}"


def fetch(image: Image, blob: Blob) -> Path | bytes:
    """The bytes of a blob of an image: where they lie, else fetched from where the base came from.

    Raises:
        FirstlightError: it cannot be had.
    """
    if blob.source is not None:
        return blob.source
    from firstlight.build.registry import pulling
    from firstlight.build.registry.references import Reference

    return pulling.fetch(Reference.parse(image.origins[blob.digest]), blob, pulling.cache())


def of_root(place: Path, blobs: Path, architecture: str, progress: Progress | None = None) -> Base:
    """A root file system as a base.

    Args:
        place: a folder or a tar file.
        architecture: that it has to be for.

    Raises:
        ProjectError: it has no Python or no C library, or is for another machine.
    """
    (progress or Silent()).stage(f"packing {place.name}")
    made = roots.layer(place, blobs)
    python, glibc, machine = _looked(place, made, blobs)
    if machine != architecture:
        said = f"{place} is for {machine or 'an unknown machine'}, and the project asks for {architecture}"
        raise ProjectError(said, "name another base, or set architecture in [deploy]")
    target = Target(architecture, re.sub(r".*python", "", python), glibc)
    config = {
        "architecture": target.platform.partition("/")[2],
        "os": "linux",
        "config": {"Env": [f"PATH={_PATH}"]},
        "rootfs": {"type": "layers", "diff_ids": [made.diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "a root file system"}],
    }
    return Base(f"rootfs:{made.diff_id}", config, (made.blob,), python, target)


def _looked(place: Path, made: layers.Layer, blobs: Path) -> tuple[str, tuple[int, int], str]:
    """Interpreter, C library and machine of a layer; what was found is kept beside it."""
    note = blobs / "layers" / f"{made.diff_id.partition(':')[2]}.base.json"
    try:
        python, (major, minor), machine = json.loads(note.read_text(encoding="utf-8"))
        return str(python), (int(major), int(minor)), str(machine)
    except (OSError, ValueError, TypeError):
        pass
    from firstlight.build.registry import finding

    file = layers.blob_path(blobs, made.blob.digest)
    found = finding.look([file])
    python = found.python(_PATH)
    if not python or found.glibc is None:
        lacks = "Python" if not python else "C library that wheels are made for (glibc)"
        raise ProjectError(f"{place} has no {lacks}", "name a base with bin/python3.N and glibc in it")
    machine = _machine(file, python)
    note.write_text(json.dumps([python, found.glibc, machine]), encoding="utf-8")
    return python, found.glibc, machine


def _machine(file: Path, python: str) -> str:
    from firstlight.build.registry import finding

    with file.open("rb") as opened:
        for name, (archive, member) in finding.members(opened):
            if f"/{name}" == python and member.isfile():
                content = archive.extractfile(member)
                return lint.elf_machine(content.read(64)) if content is not None else ""
    return ""


def _is_path(named: str) -> bool:
    return named.startswith((".", "/", "~")) or named.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz"))


def _pinned(lock: Lock | None, architecture: str, wanted: Reference) -> str:
    """What the lock has for an image that is named without a digest; empty for nothing."""
    from firstlight.build.registry.references import Reference

    for key, target in lock.targets.items() if lock is not None else ():
        if target.base and key.startswith(f"{architecture}-"):
            known = Reference.parse(target.base)
            if (known.host, known.name, known.tag) == (wanted.host, wanted.name, wanted.tag):
                return target.base
    return ""
