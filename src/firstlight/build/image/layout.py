"""An image as an OCI image layout: a folder that every tool for images reads (OCI image specification 1.1)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from firstlight.build.image.layers import blob_path
from firstlight.build.pack.types import Blob, Image
from firstlight.runtime.errors import FirstlightError

Fetch: TypeAlias = Callable[[Blob], Path | bytes]
INDEX = "application/vnd.oci.image.index.v1+json"
VERSION = b'{"imageLayoutVersion":"1.0.0"}'


def write(image: Image, folder: Path, fetch: Fetch, tag: str = "") -> Path:
    """Write an image into a folder; blobs that are there already stay, another image is taken out of the index.

    Args:
        fetch: gives the bytes of a blob, or the file they are in.
        tag: what it is called in the index.

    Raises:
        FirstlightError: the folder cannot be written, or a blob cannot be had.
    """
    try:
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for blob in blobs(image):
            _put(blob, blob_path(folder, blob.digest), fetch)
        (folder / "oci-layout").write_bytes(VERSION)
        (folder / "index.json").write_bytes(index(image, tag))
    except OSError as error:
        raise FirstlightError(
            f"{folder} cannot be written: {error.strerror or error}", "make room there"
        ) from error
    return folder


def blobs(image: Image) -> Iterator[Blob]:
    """Every blob of an image once, sorted by digest, the manifest too."""
    found = {blob.digest: blob for blob in (*image.layers, image.config, image.manifest)}
    return iter(found[digest] for digest in sorted(found))


def index(image: Image, tag: str = "") -> bytes:
    """The index.json of a layout with one image."""
    entry: dict[str, Any] = {
        "mediaType": image.manifest.media_type,
        "digest": image.digest,
        "size": image.manifest.size,
        "platform": platform(image),
    }
    if tag:
        entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})


def platform(image: Image) -> dict[str, str]:
    """What an image's configuration says it runs on."""
    source = image.config.source
    config = json.loads(source if isinstance(source, bytes) else source.read_bytes() if source else b"{}")
    return {name: config[name] for name in ("architecture", "os", "variant") if name in config}


def _put(blob: Blob, place: Path, fetch: Fetch) -> None:
    if place.is_file() and place.stat().st_size == blob.size:
        return
    scratch = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        source = blob.source if isinstance(blob.source, bytes) else fetch(blob)
        if isinstance(source, bytes):
            scratch.write_bytes(source)
        else:
            shutil.copyfile(source, scratch)
        scratch.chmod(0o644)
        scratch.replace(place)
    finally:
        scratch.unlink(missing_ok=True)


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
