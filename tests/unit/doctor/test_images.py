"""What Lambda says to the manifest of an image."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from firstlight.doctor import images
from firstlight.doctor.types import OK, PROBLEM

OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker"
GZIP = f"{OCI}.layer.v1.tar+gzip"


def manifest(layer: str = GZIP, **more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "layers": [{"mediaType": layer}],
        **more,
    }


@pytest.mark.parametrize(
    ("document", "level", "says"),
    [
        (manifest(), OK, "one manifest"),
        (manifest(mediaType=None), OK, "one manifest"),
        (
            manifest(
                f"{DOCKER}.image.rootfs.diff.tar.gzip", mediaType=f"{DOCKER}.distribution.manifest.v2+json"
            ),
            OK,
            "one manifest",
        ),
        ({"mediaType": f"{OCI}.index.v1+json", "manifests": []}, PROBLEM, "an index of manifests"),
        ({"mediaType": f"{DOCKER}.distribution.manifest.list.v2+json"}, PROBLEM, "an index of manifests"),
        ({"schemaVersion": 2, "manifests": []}, PROBLEM, "an index of manifests"),
        ({"mediaType": "application/vnd.oci.artifact.manifest.v1+json"}, PROBLEM, "of the kind"),
        ({"schemaVersion": 1}, PROBLEM, "of the kind unknown"),
        (manifest(f"{OCI}.layer.v1.tar"), PROBLEM, "layers of the kind"),
        (manifest(f"{OCI}.layer.v1.tar+zstd"), PROBLEM, "tar+zstd"),
    ],
)
def test_manifests(document: dict[str, Any], level: str, says: str) -> None:
    found = images.manifest(document, "demo:latest")
    assert found.level == level
    assert says in found.what
    assert found.where == "demo:latest"
    assert bool(found.fix) == (level == PROBLEM)


def layout(folder: Path, *documents: dict[str, Any]) -> Path:
    entries = []
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for document in documents:
        content = json.dumps(document).encode()
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        entries.append(
            {"mediaType": document["mediaType"], "digest": f"sha256:{digest}", "size": len(content)}
        )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder


def test_layouts(tmp_path: Path) -> None:
    assert images.layout(layout(tmp_path / "one", manifest())).level == OK
    both = layout(tmp_path / "two", manifest(), manifest(config={}))
    assert images.layout(both).what == "the layout holds 2 images"
    nested = layout(tmp_path / "index", {"mediaType": f"{OCI}.index.v1+json", "manifests": []})
    assert "an index of manifests" in images.layout(nested).what
    for text in ("", "[]", "{}", '{"manifests": [{"digest": 7}]}', '{"manifests": [{"digest": "sha256:0"}]}'):
        (nested / "index.json").write_text(text)
        found = images.layout(nested)
        assert found.level == PROBLEM
        assert "cannot be read as an OCI image layout" in found.what
