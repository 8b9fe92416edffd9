"""What Lambda refuses of an image, or takes and then cannot run: found before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.build.pack.types import OURS, Base, Contents, File, Image, Target
from firstlight.runtime.errors import FirstlightError

PROBLEM, WARNING = "problem", "warning"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_WHY = "Lambda takes a single manifest: CreateFunction fails with 'media type is not supported'"
UNPACKED_LIMIT = 10 * 1024**3
"""Bytes of all layers, unpacked (AWS Lambda quotas, "Container image code package size")."""
_MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}
"""``e_machine`` of an ELF file (ELF specification, "ELF Header")."""
_ELF_HEAD = 20
_RESERVED = ("AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_MAX_CONCURRENCY", "AWS_LAMBDA_FUNCTION_NAME")
_SECRETS = (".env", ".netrc", ".pypirc", "credentials", "id_rsa", "id_ed25519")
_FRAMEWORKS = ("torch", "tensorflow")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that Lambda, or who pays for it, would not like.

    Attributes:
        level: ``problem``, which it does not run with, or ``warning``.
        what: one line, without a full stop.
        where: a file, a layer, or nothing.
    """

    level: str
    what: str
    why: str = ""
    fix: str = ""
    where: str = ""


def refuse(faults: Iterable[Fault]) -> None:
    """Raise for the first problem there is.

    Raises:
        FirstlightError: Lambda would not run the image.
    """
    for fault in faults:
        if fault.level == PROBLEM:
            where = f"{fault.where}: " if fault.where else ""
            raise FirstlightError(
                f"{where}{fault.what}", ". ".join(part for part in (fault.why, fault.fix) if part)
            )


def check(image: Image, target: Target | None = None) -> list[Fault]:
    """What is wrong with an image's manifest, configuration and layers.

    Args:
        target: what it was made for; None where that is not known.
    """
    document, config = _read(image.manifest.source), _read(image.config.source)
    faults = [*manifest(document)]
    faults += configuration(config, len(image.layers), target)
    for layer in image.layers:
        if isinstance(layer.source, Path) and layer.media_type in (OCI_LAYER, DOCKER_LAYER):
            faults += _compressed(layer.source, layer.digest)
    return faults


def manifest(document: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with a manifest (OCI image specification 1.1; Docker manifest version 2, schema 2)."""
    kind = str(document.get("mediaType") or "")
    if kind in INDEXES or (not kind and "manifests" in document):
        fix = "docker buildx build --provenance=false --sbom=false --platform linux/arm64 (or linux/amd64)"
        yield Fault(PROBLEM, "the image is an index of manifests, not one manifest", _WHY, fix)
        return
    if (kind and kind not in _MANIFESTS) or "layers" not in document:
        yield Fault(
            PROBLEM, f"the manifest is of the kind {kind or 'unknown'}", _WHY, "push an image manifest"
        )
        return
    others = {str(layer.get("mediaType")) for layer in document["layers"]} - {OCI_LAYER, DOCKER_LAYER}
    if others:
        why = "Lambda refuses layers that are not gzip-compressed (UnsupportedImageLayerDetected)"
        yield Fault(
            PROBLEM, f"layers of the kind {', '.join(sorted(others))}", why, "compress layers with gzip"
        )


def configuration(config: Mapping[str, Any], layers: int, target: Target | None = None) -> Iterator[Fault]:
    """What is wrong with an image's configuration.

    Args:
        layers: how many the manifest names.
    """
    platform = f"{config.get('os')}/{config.get('architecture')}"
    if platform not in ("linux/amd64", "linux/arm64"):
        yield Fault(PROBLEM, f"the image is for {platform}", "Lambda runs linux/arm64 and linux/amd64")
    elif target is not None and platform != target.platform:
        yield Fault(
            PROBLEM, f"the image is for {platform} and the function for {target.platform}", "It cannot start"
        )
    history = [entry for entry in config.get("history") or () if not entry.get("empty_layer")]
    known = len((config.get("rootfs") or {}).get("diff_ids") or ())
    if not layers == known == len(history):
        counts = f"{layers} layers, {known} diff ids, {len(history)} entries of the history"
        yield Fault(PROBLEM, counts, "Lambda refuses images whose history does not match their layers")
    run = config.get("config") or {}
    words = [*(run.get("Entrypoint") or ()), *(run.get("Cmd") or ())]
    if not words:
        yield Fault(PROBLEM, "the image has no command", "Lambda reports Runtime.InvalidEntrypoint")
    yield from _variables(run.get("Env") or ())


def _variables(lines: Iterable[str]) -> Iterator[Fault]:
    variables = dict(line.partition("=")[::2] for line in lines)
    for name in _RESERVED:
        if name in variables:
            yield Fault(
                PROBLEM, f"the image sets {name}", "Lambda sets it, and programs take it as a sign of Lambda"
            )
    home = variables.get("HOME")
    if home is not None and not f"{home}/".startswith("/tmp/"):  # noqa: S108 - the one folder that can be written
        yield Fault(WARNING, f"HOME is {home}", "only /tmp can be written on Lambda", "set HOME=/tmp")


def _compressed(file: Path, digest: str) -> Iterator[Fault]:
    with file.open("rb") as opened:
        if opened.read(2) != b"\x1f\x8b":
            why = "Lambda fails with UnsupportedImageLayerDetected"
            yield Fault(PROBLEM, "a layer says that it is gzip and is not", why, "compress it", digest[:19])


def files(contents: Contents, base: Base | None = None) -> list[Fault]:
    """What is wrong with a function's files: made for another machine, secrets, more than Lambda takes."""
    found: list[Fault] = []
    paths: set[str] = set()
    for piece in contents.pieces:
        for file in piece.files:
            found += _file(file, contents.target)
            if file.path in paths:
                found.append(Fault(PROBLEM, "is in the image twice", where=file.path))
            paths.add(file.path)
    for name in _FRAMEWORKS:
        if any(f"/{name}/__init__.py" in path for path in paths):
            why = "a worker that imports it takes seconds to start, and most of an image's bytes"
            found.append(Fault(WARNING, f"{name} is in the image", why, "convert the model, or leave it out"))
    unpacked = contents.size + (sum(layer.size for layer in base.layers) if base is not None else 0)
    if unpacked > UNPACKED_LIMIT:
        what = f"the image has more than {unpacked / 1024**3:.1f} GB"
        found.append(Fault(PROBLEM, what, "Lambda takes 10 GB, unpacked", "choose a smaller precision"))
    return found


def _file(file: File, target: Target) -> Iterator[Fault]:
    name = file.path.rpartition("/")[2]
    theirs = not file.path.startswith(f"{OURS}/")
    if name in _SECRETS and theirs:
        why = "who can pull the image can read it"
        yield Fault(
            PROBLEM,
            "looks like a secret",
            why,
            "leave it out, and name it in [endpoints.NAME.env]",
            file.path,
        )
    if file.path.startswith("/") or ".." in file.path.split("/") or "\\" in file.path or "\0" in file.path:
        yield Fault(PROBLEM, "is not a path below the function's folder", where=file.path)
    if ".so" in name:
        machine = elf_machine(_head(file))
        if machine and machine != target.architecture:
            what = f"is made for {machine} and the function for {target.architecture}"
            # A wheel of the right platform may have libraries for others beside its own.
            level, fix = (PROBLEM if theirs else WARNING), "take the one of that platform"
            yield Fault(level, what, "it cannot be loaded there", fix, file.path)


def elf_machine(head: bytes) -> str:
    """The architecture an ELF file is made for, as Lambda writes it; empty for another file.

    Args:
        head: its first 20 bytes.
    """
    if len(head) < _ELF_HEAD or not head.startswith(b"\x7fELF"):
        return ""
    number = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
    return _MACHINES.get(number, f"the machine {number:#x}")


def _head(file: File) -> bytes:
    if isinstance(file.source, bytes):
        return file.source[:_ELF_HEAD]
    with file.source.open("rb") as opened:
        return opened.read(_ELF_HEAD)


def _read(source: Path | bytes | None) -> Mapping[str, Any]:
    text = source if isinstance(source, bytes) else source.read_bytes() if source is not None else b"{}"
    document: Mapping[str, Any] = json.loads(text)
    return document
