"""What the parts of packing hand to each other: for which machine, which files, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TASK_ROOT = "/var/task"
"""Where a function's files lie, in an image and where Lambda unpacks a zip (LAMBDA_TASK_ROOT)."""
OURS = ".firstlight"
"""The folder below it that is not the user's: ``lib`` (wheels), ``src`` (firstlight), ``bundle``, ``caches``."""


@dataclass(frozen=True, slots=True)
class Target:
    """The machine a function is built for; nothing of it is ever run here.

    Attributes:
        architecture: as Lambda writes it: ``arm64`` or ``x86_64``.
        python: version of its interpreter, ``3.13``.
        glibc: of its C library; wheels that want a newer one are passed over (Amazon Linux 2023 has 2.34).
    """

    architecture: str = "arm64"
    python: str = "3.13"
    glibc: tuple[int, int] = (2, 34)

    @property
    def platform(self) -> str:
        """As the OCI image specification writes it."""
        return f"linux/{'amd64' if self.architecture == 'x86_64' else self.architecture}"

    @property
    def machine(self) -> str:
        """As ``uname -m`` and wheels write it."""
        return "aarch64" if self.architecture == "arm64" else self.architecture


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was resolved for a target.

    Attributes:
        name: of the project, normalised (PEP 503).
        file: name of the wheel file.
        sha256: of the wheel file, hex.
        requires: normalised names of the wheels it needs itself, on that target.
    """

    name: str
    version: str
    file: str
    sha256: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """One file of a function.

    Attributes:
        path: below ``TASK_ROOT``, with ``/``; no ``..``, no link.
        source: where its bytes are, or the bytes.
        size: bytes.
        executable: mode 0755 instead of 0644.
    """

    path: str
    source: Path | bytes
    size: int
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Files that change together: a layer of an image.

    Attributes:
        name: ``wheels``, ``server``, ``runtime``, ``caches``, ``bundle`` or ``project``.
        files: sorted by path.
    """

    name: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Component:
    """Something in a function that somebody made, for its bill of materials.

    Attributes:
        kind: ``library``, ``machine-learning-model`` or ``application`` (CycloneDX's words).
        purl: package URL, where there is one.
        sha256: of the wheel, or digest of the bundle.
    """

    kind: str
    name: str
    version: str = ""
    licence: str = ""
    purl: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a function but the machine it runs on.

    Attributes:
        endpoint: whose function it is; ``router`` for the gateway.
        pieces: what changes least often first.
        environment: variables that lead our runtime to its files; not what the user set.
        handler: ``module.function`` for AWS's own runtime (the zip lane).
        command: command line that starts the function in an image, and, in the zip lane, instead of AWS's runtime
            (below ``TASK_ROOT``; the first word is a Python file run by the image's interpreter).
        components: for the bill of materials.
    """

    endpoint: str
    target: Target
    pieces: tuple[Piece, ...]
    environment: Mapping[str, str]
    handler: str
    command: tuple[str, ...]
    components: tuple[Component, ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class ZipArchive:
    """A function as a zip.

    Attributes:
        sha256: of the file, hex.
        size: bytes of the file.
        unpacked: bytes of what is in it; Lambda takes 250 MB (262,144,000 bytes).
    """

    path: Path
    sha256: str
    size: int
    unpacked: int


@dataclass(frozen=True, slots=True)
class Blob:
    """Content by its digest, as the OCI specifications name it: a layer, a config or a manifest.

    Attributes:
        media_type: such as ``application/vnd.oci.image.layer.v1.tar+gzip``.
        digest: ``sha256:`` and 64 hex digits.
        size: bytes.
        source: the file it lies in, the bytes themselves, or None where it is in a registry only (a base's layer that
            need not be fetched: it is mounted or is there already).
    """

    media_type: str
    digest: str
    size: int
    source: Path | bytes | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One image of one platform.

    Attributes:
        manifest: its blob, bytes in ``source``; its digest is the image's.
        config: its blob, bytes in ``source``.
        layers: the base's first.
        origins: digest of a layer -> the repository (``host/name``) it can be fetched or mounted from.
    """

    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of the manifest."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Bytes of all layers, compressed."""
        return sum(layer.size for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Base:
    """What an image is built on.

    Attributes:
        reference: ``host/name@sha256:...`` of the single-platform manifest; ``rootfs:sha256:...`` for a folder or tar.
        config: the OCI image configuration as JSON.
        layers: its layers, gzip tar; ``source`` may be None for those a registry has.
        python: path of its interpreter, such as ``/var/lang/bin/python3.13``.
        target: what it is made for.
        origin: the repository its layers come from; empty for a root file system.
    """

    reference: str
    config: Mapping[str, object]
    layers: tuple[Blob, ...]
    python: str
    target: Target
    origin: str = ""
