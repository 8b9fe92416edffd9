"""What the ways of pushing have in common: what has to be there, what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firstlight.build.pack.types import Blob, Image
from firstlight.build.registry import downloading
from firstlight.build.registry.patience import Patience
from firstlight.build.registry.references import Reference
from firstlight.build.registry.talking import Registry
from firstlight.runtime.errors import ProjectError


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has done.

    Attributes:
        reference: ``host/name@sha256:...``.
        sent: bytes of blobs that were sent.
        mounted: bytes the registry took from another repository of its own.
        there: bytes that it had already.
    """

    reference: str
    sent: int
    mounted: int
    there: int


def wanted(image: Image) -> tuple[Blob, ...]:
    """The blobs of an image, each once, the largest first: the last to arrive decides how long it takes."""
    blobs = {blob.digest: blob for blob in (*image.layers, image.config)}
    return tuple(sorted(blobs.values(), key=lambda blob: -blob.size))


def fetched(image: Image, blob: Blob, cache: Path, patience: Patience | None = None) -> Path:
    """A layer that only another registry has.

    Raises:
        ProjectError: nothing says which, or it cannot be had.
    """
    origin = image.origins.get(blob.digest)
    if not origin:
        raise ProjectError(f"the layer {blob.digest[:19]} is nowhere to be found", "build the image again")
    with Registry(Reference.parse(origin), patience=patience) as registry:
        return downloading.download(registry, blob, cache)
