"""Tiny wheels, good and bad ones, and a folder of them that stands for a package index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstlight.build.pack import wheels
from firstlight.build.pack.requirements import normalised
from firstlight.build.pack.types import Wheel


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    metadata: Sequence[str] = (),
) -> Path:
    """A wheel in a folder; its one module says its version where no files are named."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    content = dict(files) if files is not None else {f"{module}.py": f"VERSION = {version!r}\n"}
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata]
    lines += [f"Requires-Dist: {line}" for line in requires]
    content[f"{info}/METADATA"] = "\n".join(lines) + "\n"
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = "".join(f"{path},sha256={_hash(text)},{len(_bytes(text))}\n" for path, text in content.items())
    content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    place = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), _bytes(text))
    return place


def kept(
    name: str, files: Mapping[str, str | bytes], version: str = "1.0", tag: str = "py3-none-any"
) -> Wheel:
    """A wheel that is in the cache already, as if it had been fetched."""
    scratch = wheels.cache() / "made here"
    made = wheel(scratch, name, version, files, tag=tag)
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    place = wheels.cache() / sha256 / made.name
    place.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)
    return Wheel(normalised(name), version, made.name, sha256)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _hash(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(_bytes(text)).digest()).rstrip(b"=").decode()
