"""From a function's contents and a base to an image: one manifest for one platform, as Lambda wants it.

What Lambda takes was found by others the hard way: an image manifest and no index, gzip layers whose media type says
gzip, an entry of the history for every layer, architecture and system in the configuration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from firstlight.build.image import layers, lint
from firstlight.build.image.layers import Layer
from firstlight.build.pack.types import TASK_ROOT, Base, Blob, Contents, File, Image, Piece
from firstlight.runtime.errors import FirstlightError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
SNAP_START = "com.amazonaws.lambda.feature.snapstart"
PORT = 8080
_EPOCH = "1970-01-01T00:00:00Z"
NOBODY = "65532:65532"
"""Who runs it where the platform does not say (Lambda does, and ignores this)."""


def make(contents: Contents, base: Base, blobs: Path, *, snap_start: bool = False) -> Image:
    """The image of a function.

    Args:
        contents: all of it but the machine.
        base: what it runs on.
        blobs: the folder that layers are kept in (``layers.cache()``).
        snap_start: with the label that lets Lambda take snapshots of an image that is not AWS's own.

    Raises:
        FirstlightError: the base is of another platform, or Lambda would not take the image.
    """
    return assembled(contents, base, blobs, snap_start=snap_start)[0]


def assembled(
    contents: Contents, base: Base, blobs: Path, *, snap_start: bool = False
) -> tuple[Image, tuple[Layer, ...]]:
    """The image, and the layers that are not the base's, for those who show them."""
    _check_platform(contents, base)
    own = tuple(
        layers.of_piece(piece, blobs) for piece in (*contents.pieces, _bill(contents, base)) if piece.files
    )
    if not all(layer.kept for layer in own):
        layers.tidy(blobs)
    below = tuple(_as_oci(layer) for layer in base.layers)
    config = _blob(OCI_CONFIG, _config(contents, base, own, snap_start))
    every = (*below, *(layer.blob for layer in own))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(config),
        "layers": [_descriptor(blob) for blob in every],
    }
    origins = {layer.digest: base.origin for layer in below} if base.origin else {}
    image = Image(_blob(OCI_MANIFEST, manifest), config, every, origins)
    lint.refuse([*lint.check(image, contents.target), *lint.files(contents, base)])
    return image, own


def entry_point(contents: Contents, base: Base) -> list[str]:
    """The command line of a function in an image. A model needs no ``site``; a script gets what the base installed."""
    flags = ("-I", "-u") if "FIRSTLIGHT_SCRIPT" in contents.environment else ("-I", "-S", "-u")
    first, *others = contents.command
    file = first if first.startswith("/") else f"{TASK_ROOT}/{first}"
    return [base.python, *flags, file, *others]


def _check_platform(contents: Contents, base: Base) -> None:
    wanted, has = contents.target, base.target
    if wanted.architecture != has.architecture:
        raise FirstlightError(
            f"the base {base.reference} is for {has.architecture} and {contents.endpoint} for {wanted.architecture}",
            "name another base, or another architecture in [deploy]",
        )
    if wanted.python != has.python:
        raise FirstlightError(
            f"the base {base.reference} has Python {has.python} and the wheels are for {wanted.python}",
            "build again with the base's Python",
        )


def _bill(contents: Contents, base: Base) -> Piece:
    from firstlight.build.pack import bill

    text = bill.bill(contents, base)
    return Piece("bill", (File(bill.PATH, text, len(text)),))


def _config(contents: Contents, base: Base, own: Sequence[Layer], snap_start: bool) -> dict[str, Any]:
    """The image's configuration (OCI image specification 1.1, "Image Configuration")."""
    given = base.config
    run = dict(_mapping(given.get("config")))
    for stale in ("Cmd", "Entrypoint", "Healthcheck", "OnBuild", "ArgsEscaped", "Image", "Volumes"):
        run.pop(stale, None)
    labels = {**_mapping(run.get("Labels")), **_labels(contents, base)}
    if snap_start:
        labels[SNAP_START] = "Allow"
    run |= {
        "Env": _variables(
            _texts(run.get("Env")),
            {**contents.environment, "FIRSTLIGHT_ENDPOINT": contents.endpoint},
            base.python,
        ),
        "Entrypoint": entry_point(contents, base),
        "WorkingDir": TASK_ROOT,
        "User": NOBODY,
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "Labels": labels,
    }
    return {
        **({"variant": given["variant"]} if given.get("variant") else {}),
        "architecture": contents.target.platform.partition("/")[2],
        "os": "linux",
        "created": _EPOCH,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [*_diff_ids(base), *(layer.diff_id for layer in own)]},
        "history": [*_history(base), *(_made_by(f"firstlight build: {layer.name}") for layer in own)],
    }


def _labels(contents: Contents, base: Base) -> dict[str, str]:
    name, _, digest = base.reference.rpartition("@")
    labels = {"org.opencontainers.image.title": contents.endpoint}
    if name:
        labels["org.opencontainers.image.base.name"] = name
        labels["org.opencontainers.image.base.digest"] = digest
    return labels


def _variables(given: Sequence[str], ours: Mapping[str, str], python: str) -> list[str]:
    """The base's variables, then ours; the folder of the interpreter is on the PATH."""
    merged = dict(one.partition("=")[::2] for one in given)
    folder = python.rpartition("/")[0]
    path = merged.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if folder not in path.split(":"):
        path = f"{folder}:{path}"
    merged["PATH"] = path
    merged |= {name: ours[name] for name in sorted(ours)}
    return [f"{name}={value}" for name, value in merged.items()]


def _diff_ids(base: Base) -> list[str]:
    found = _texts(_mapping(base.config.get("rootfs")).get("diff_ids"))
    if len(found) != len(base.layers):
        hint = "name another base"
        raise FirstlightError(
            f"the base {base.reference} has {len(base.layers)} layers and says what is in {len(found)}", hint
        )
    return found


def _history(base: Base) -> list[dict[str, Any]]:
    """The base's history; one entry for each layer where it has none that fits."""
    given = base.config.get("history")
    entries = [dict(one) for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    if sum(not entry.get("empty_layer") for entry in entries) == len(base.layers):
        return entries
    return [_made_by(f"{base.reference}, layer {number}") for number, _ in enumerate(base.layers, 1)]


def _made_by(words: str) -> dict[str, Any]:
    return {"created": _EPOCH, "created_by": words}


def _as_oci(layer: Blob) -> Blob:
    """A base's layer under OCI's name for what it is: a gzip tar has another name in Docker's manifests."""
    if layer.media_type != lint.DOCKER_LAYER:
        return layer
    return Blob(layers.OCI_LAYER, layer.digest, layer.size, layer.source)


def _descriptor(blob: Blob) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


def _blob(media_type: str, document: Mapping[str, Any]) -> Blob:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return Blob(media_type, f"sha256:{hashlib.sha256(text).hexdigest()}", len(text), text)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else []
