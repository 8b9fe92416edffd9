"""Small images for tests of registries: a few layers of bytes that nobody can guess, a configuration, a manifest."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping

from firstlight.build.pack.types import Blob, Image

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def blob(media_type: str, content: bytes) -> Blob:
    return Blob(media_type, digest(content), len(content), content)


def image(*layers: Mapping[str, bytes], architecture: str = "arm64", path: str = "/usr/bin") -> Image:
    """An image whose layers hold files."""
    tars = [tar(files) for files in layers]
    blobs = [blob(LAYER, gzip.compress(content, 1, mtime=0)) for content in tars]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": [f"PATH={path}"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(content) for content in tars]},
        "history": [{"created_by": "a test"} for _ in tars],
    }
    described = blob(CONFIG, json.dumps(config).encode())
    return Image(manifest(described, blobs), described, tuple(blobs))


def manifest(config: Blob, layers: list[Blob]) -> Blob:
    def said(one: Blob) -> dict[str, object]:
        return {"mediaType": one.media_type, "digest": one.digest, "size": one.size}

    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": said(config),
        "layers": [said(layer) for layer in layers],
    }
    return blob(MANIFEST, json.dumps(content).encode())


def noise(seed: int, size: int) -> bytes:
    """Bytes that do not become fewer by packing."""
    return random.Random(seed).randbytes(size)


def python_base(size: int = 1000, architecture: str = "arm64") -> Image:
    """What looks like a Debian with Python 3.13: interpreter and C library are names only."""
    return image(
        {"usr/bin/python3.13": noise(1, size), "etc/hostname": b"x"},
        {
            "lib/aarch64-linux-gnu/libc.so.6": b"\0GNU C Library stable release version 2.36.\0",
            "a": noise(2, size),
        },
        architecture=architecture,
    )
