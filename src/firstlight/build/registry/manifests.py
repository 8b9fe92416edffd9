"""Manifests as registries have them: one platform's, found by digest, tag or through an index (OCI image spec)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.pack.types import Blob
from firstlight.build.registry import refusals
from firstlight.build.registry.downloading import place
from firstlight.build.registry.references import DIGEST, Reference
from firstlight.build.registry.talking import Registry, read_only
from firstlight.runtime.errors import ProjectError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

LAYERS = ("application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip")
"""Layers that Lambda is known to take."""

_ACCEPT = ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST))
_WHO = "ask who made the image for another build of it"


def of_platform(registry: Registry, platform: str, cache: Path) -> Blob:
    """The manifest of a platform, its bytes in ``source``; of a digest that was had before without asking anybody.

    Args:
        platform: ``linux/arm64``.

    Raises:
        ProjectError: there is none, or none of that platform.
    """
    found = _manifest(registry, registry.reference.wanted, cache)
    if found.media_type in (OCI_INDEX, DOCKER_LIST):
        found = _manifest(registry, _chosen(read(found), platform, registry.reference), cache)
    if found.media_type not in (OCI_MANIFEST, DOCKER_MANIFEST):
        said = f"{registry.reference} is {found.media_type or 'something'}, not a manifest of an image"
        raise ProjectError(said, _WHO)
    return found


def read(blob: Blob) -> Mapping[str, Any]:
    """What a manifest or a configuration says.

    Raises:
        ProjectError: it is not an object of JSON.
    """
    try:
        said = json.loads(blob.source if isinstance(blob.source, bytes) else b"")
    except ValueError as error:
        raise ProjectError(f"{blob.digest[:19]} is not JSON: {error}", _WHO) from error
    if not isinstance(said, dict):
        raise ProjectError(f"{blob.digest[:19]} is not an object of JSON", _WHO)
    return said


def blob(described: object, reference: Reference) -> Blob:
    """What a descriptor of a manifest says.

    Raises:
        ProjectError: it is none.
    """
    said: Any = described
    try:
        made = Blob(str(said["mediaType"]), str(said["digest"]), int(said["size"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(f"the manifest of {reference} is damaged", _WHO) from error
    if not DIGEST.fullmatch(made.digest) or made.size < 0:
        raise ProjectError(f"the manifest of {reference} names {made.digest!r}, which is no digest", _WHO)
    return made


def _manifest(registry: Registry, wanted: str, cache: Path) -> Blob:
    """A manifest or an index by digest or tag; by digest it is kept."""
    what = f"pulling {registry.reference}"
    kept = place(cache, wanted) if DIGEST.fullmatch(wanted) else None
    content = kept.read_bytes() if kept and kept.is_file() else b""
    if kept is None or _digest(content) != wanted:
        headers = {"Accept": _ACCEPT}
        scopes = read_only(registry.reference)
        _, content = registry.read(
            registry.path(f"manifests/{wanted}"), what=what, headers=headers, scopes=scopes
        )
        if kept and _digest(content) != wanted:
            raise refusals.other(
                f"the manifest of {registry.reference}", wanted, _digest(content), registry.host
            )
        _keep(place(cache, _digest(content)), content)
    made = Blob("", _digest(content), len(content), content)
    return Blob(_media_type(read(made)), made.digest, made.size, content)


def _media_type(said: Mapping[str, Any]) -> str:
    """Of a manifest; the OCI specification lets it be left out, and what it holds tells then."""
    if "mediaType" in said:
        return str(said["mediaType"])
    if isinstance(said.get("manifests"), list):
        return OCI_INDEX
    return OCI_MANIFEST if isinstance(said.get("layers"), list) else ""


def _chosen(index: Mapping[str, Any], platform: str, reference: Reference) -> str:
    system, _, architecture = platform.partition("/")
    others = set()
    for entry in index.get("manifests") or ():
        of = entry.get("platform") if isinstance(entry, dict) else None
        if not isinstance(of, dict):
            continue
        if of.get("os") == system and of.get("architecture") == architecture:
            return blob(entry, reference).digest
        others.add(f"{of.get('os')}/{of.get('architecture')}")
    offered = ", ".join(sorted(others - {"unknown/unknown"})) or "nothing"
    raise ProjectError(f"{reference} is not made for {platform}, only for {offered}", "take another base")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _keep(where: Path, content: bytes) -> None:
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        made = where.with_name(f".{where.name}.{id(content):x}")
        made.write_bytes(content)
        made.replace(where)
    except OSError as error:
        said = f"{where.parent} cannot be written: {error.strerror or error}"
        raise ProjectError(said, "set XDG_CACHE_HOME to a folder that you may write") from error
