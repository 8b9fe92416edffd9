"""What Lambda asks of an image's manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.doctor.types import PROBLEM, Finding, fine

INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_TAKEN = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_LAYERS = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
)
_WHY = "Lambda takes a single manifest: CreateFunction fails with 'media type is not supported'"


def manifest(document: Mapping[str, Any], where: str = "") -> Finding:
    """What Lambda says to the manifest of an image (OCI image specification 1.1; Docker manifest version 2, schema 2).

    Args:
        document: the manifest as JSON.
        where: the image's name.

    Returns:
        a problem for an index (what ``docker buildx`` writes with attestations), for an artifact that is no image,
        and for layers that are not gzip-compressed; all well for a single manifest.
    """
    kind = str(document.get("mediaType") or "")
    if kind in INDEXES or (not kind and "manifests" in document):
        fix = "docker buildx build --provenance=false --sbom=false --platform linux/arm64 (or linux/amd64)"
        return Finding(PROBLEM, "the image is an index of manifests, not one manifest", where, _WHY, fix)
    if (kind and kind not in _TAKEN) or "layers" not in document:
        return Finding(
            PROBLEM, f"the manifest is of the kind {kind or 'unknown'}", where, _WHY, "push an image manifest"
        )
    others = sorted({str(layer.get("mediaType")) for layer in document["layers"]}.difference(_LAYERS))
    if others:
        why = "Lambda refuses layers that are not gzip-compressed (UnsupportedImageLayerDetected)"
        return Finding(
            PROBLEM, f"layers of the kind {', '.join(others)}", where, why, "compress layers with gzip"
        )
    return fine("one manifest with gzip layers", where)


def layout(folder: Path) -> Finding:
    """The same for an OCI image layout on disk, whose index.json may name one image only.

    Args:
        folder: holds ``index.json`` and ``blobs``.
    """
    try:
        entries = json.loads((folder / "index.json").read_text(encoding="utf-8"))["manifests"]
        if len(entries) != 1:
            fix = "write one image into the layout"
            return Finding(PROBLEM, f"the layout holds {len(entries)} images", str(folder), _WHY, fix)
        algorithm, _, digest = entries[0]["digest"].partition(":")
        document = json.loads((folder / "blobs" / algorithm / digest).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Finding(PROBLEM, f"cannot be read as an OCI image layout: {error}", str(folder))
    return manifest(document, str(folder))
