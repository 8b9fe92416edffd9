"""What Lambda asks of an image (``build.image.lint``), as findings of the doctor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.image import lint
from firstlight.doctor.types import PROBLEM, Finding, fine

INDEXES = lint.INDEXES
_WHY = "Lambda takes a single manifest: CreateFunction fails with 'media type is not supported'"


def manifest(document: Mapping[str, Any], where: str = "") -> Finding:
    """What Lambda says to the manifest of an image.

    Args:
        document: the manifest as JSON.
        where: the image's name.

    Returns:
        a problem for an index (what ``docker buildx`` writes with attestations), for an artifact that is no image,
        and for layers that are not gzip-compressed; all well for a single manifest.
    """
    for fault in lint.manifest(document):
        return Finding(fault.level, fault.what, where, fault.why, fault.fix)
    return fine("one manifest with gzip layers", where)


def layout(folder: Path) -> Finding:
    """The same for an OCI image layout on disk, whose index.json may name one image only, and for its configuration.

    Args:
        folder: holds ``index.json`` and ``blobs``.
    """
    try:
        entries = json.loads((folder / "index.json").read_text(encoding="utf-8"))["manifests"]
        if len(entries) != 1:
            fix = "write one image into the layout"
            return Finding(PROBLEM, f"the layout holds {len(entries)} images", str(folder), _WHY, fix)
        document = _blob(folder, entries[0]["digest"])
        found = manifest(document, str(folder))
        if found.level == PROBLEM or "config" not in document:
            return found
        config = _blob(folder, document["config"]["digest"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Finding(PROBLEM, f"cannot be read as an OCI image layout: {error}", str(folder))
    for fault in lint.configuration(config, len(document["layers"])):
        return Finding(fault.level, fault.what, str(folder), fault.why, fault.fix)
    return found


def _blob(folder: Path, digest: str) -> Any:
    algorithm, _, value = digest.partition(":")
    return json.loads((folder / "blobs" / algorithm / value).read_text(encoding="utf-8"))
