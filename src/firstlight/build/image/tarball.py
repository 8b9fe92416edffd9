"""An image as one tar file: an OCI image layout that ``docker load`` and ``podman load`` take too.

``manifest.json`` is what Docker looks for (Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset
Format"); it names the same blobs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from firstlight.build.image import layout, tars
from firstlight.build.image.layout import Fetch
from firstlight.build.pack.types import File, Image
from firstlight.runtime.errors import FirstlightError


def write(image: Image, file: Path, fetch: Fetch, tag: str = "") -> Path:
    """Write an image into a tar file.

    Args:
        fetch: gives the bytes of a blob, or the file they are in.
        tag: ``name:tag``, what it is called once it is loaded; empty for no name.

    Raises:
        FirstlightError: the file cannot be written, or a blob cannot be had.
    """
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as opened:
            for part in tars.stream(_files(image, fetch, tag), ""):
                opened.write(part)
        scratch.replace(file)
    except OSError as error:
        raise FirstlightError(
            f"{file} cannot be written: {error.strerror or error}", "make room there"
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return file


def _files(image: Image, fetch: Fetch, tag: str) -> Iterator[File]:
    loaded = {
        "Config": _path(image.config.digest),
        "RepoTags": [tag] if tag else [],
        "Layers": [_path(layer.digest) for layer in image.layers],
    }
    for name, text in (
        ("index.json", layout.index(image, tag)),
        ("manifest.json", json.dumps([loaded], separators=(",", ":")).encode()),
        ("oci-layout", layout.VERSION),
    ):
        yield File(name, text, len(text))
    for blob in layout.blobs(image):
        source = blob.source if isinstance(blob.source, bytes) else fetch(blob)
        yield File(_path(blob.digest), source, blob.size)


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
