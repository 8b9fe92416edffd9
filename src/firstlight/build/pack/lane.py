"""Image or zip: by the size of what a function is made of, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.build.pack.types import Contents
from firstlight.project import Deployment, Endpoint
from firstlight.runtime.errors import ProjectError

IMAGE, ZIP = "image", "zip"
ZIP_LIMIT = 262_144_000
"""Bytes, unpacked (AWS Lambda quotas, "Deployment package (.zip file archive) size")."""
MANAGED = ("3.11", "3.12", "3.13", "3.14", "3.15")
"""Versions of Python that AWS has a runtime for zips of."""
NOT_IN_ZIP = "server"
"""The piece that a zip goes without: Lambda's runtime starts it, so it never serves HTTP itself."""


@dataclass(frozen=True, slots=True)
class Lane:
    """What a function is deployed as.

    Attributes:
        kind: ``image`` or ``zip``.
        reason: half a sentence, with the size that decided.
    """

    kind: str
    reason: str


def choose(contents: Contents, endpoint: Endpoint, deployment: Deployment) -> Lane:
    """What an endpoint is deployed as: what the project asks for, else a zip where it fits.

    Raises:
        ProjectError: a zip is asked for, and it does not fit or has no runtime.
    """
    wanted = endpoint.package or deployment.package
    size = zip_size(contents)
    shown = f"{size / 1e6:,.0f} MB unpacked"
    fits = size <= ZIP_LIMIT and contents.target.python in MANAGED
    if wanted == ZIP and not fits:
        raise _unfit(contents, endpoint, shown)
    if wanted in (ZIP, IMAGE):
        return Lane(wanted, f"as firstlight.toml says; {shown}")
    for setting in ("base", "registry"):
        if getattr(deployment, setting):
            return Lane(IMAGE, f"[deploy] {setting} is set, which is of images; {shown}")
    if not fits:
        return Lane(IMAGE, f"{shown}, more than the 262 MB of a zip")
    return Lane(ZIP, f"{shown} fits into the 262 MB of a zip")


def zip_size(contents: Contents) -> int:
    """Bytes of a function's files in a zip, unpacked."""
    return sum(piece.size for piece in contents.pieces if piece.name != NOT_IN_ZIP)


def _unfit(contents: Contents, endpoint: Endpoint, shown: str) -> ProjectError:
    if contents.target.python not in MANAGED:
        message = f"{endpoint.name}: AWS has no runtime for zips with Python {contents.target.python}"
        return ProjectError(message, f"take one of {', '.join(MANAGED)}, or package = 'image'")
    sizes = sorted(
        ((piece.size, piece.name) for piece in contents.pieces if piece.name != NOT_IN_ZIP), reverse=True
    )
    parts = ", ".join(f"{name} {size / 1e6:,.0f} MB" for size, name in sizes[:3])
    message = f"{endpoint.name} has {shown} ({parts}), and a zip at most 262 MB"
    return ProjectError(message, "take package = 'image' or 'auto', or a smaller model")
