"""The layer: what is packed, as a tar file whose bytes follow from its content alone, and the folder it is unpacked to.

Both lie in ``layers/`` of the project's data folder (``.firstlight``), named by the SHA-256 of the tar file:
``<digest>.tar`` is what a deployment takes, ``<digest>/`` is what workers on this machine read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol

from firstlight import project
from firstlight.trace.types import LAYER, Entry, TraceError

_BLOCK = 1 << 20


class Layered(Protocol):
    """What a lock file says of a layer: ``types.Caches``, or the lock's own."""

    @property
    def layer(self) -> str: ...

    @property
    def variables(self) -> Mapping[str, str]: ...


def folder(root: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """Where the layers of a project are.

    Args:
        root: the project's folder; None for none.
    """
    return project.data_dir(root, env) / "layers"


def variables(caches: Layered, root: Path | None, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables that lead a script's libraries to its layer on this machine.

    The layer is unpacked where only its tar file is there.

    Args:
        root: the project's folder.

    Raises:
        TraceError: the layer is not there, or is not what its name says.
    """
    place = folder(root, env) / caches.layer
    if LAYER in "".join(caches.variables.values()) and not place.is_dir():
        tar = place.with_name(f"{caches.layer}.tar")
        if not tar.is_file():
            hint = f"run `firstlight trace` again, or copy {tar.name} to {tar.parent}"
            raise TraceError(f"the layer {caches.layer[:12]} is not on this machine", hint)
        unpack(tar, caches.layer)
    return filled(caches.variables, place)


def check(caches: Layered, root: Path | None, env: Mapping[str, str] = os.environ) -> None:
    """Compare the layer that workers read with its digest: packed again, it must be the same tar file.

    Raises:
        TraceError: it is not there, or something in it was changed.
    """
    place = folder(root, env) / caches.layer
    variables(caches, root, env)
    if not place.is_dir():
        return
    hint = f"remove {place}: it is unpacked anew from its tar file, or `firstlight trace` makes it again"
    changed = TraceError(f"the layer {caches.layer[:12]} was changed after it was unpacked", hint)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            digest = _write(nowhere, _unpacked(place))
    except OSError as error:
        raise changed from error
    if digest != caches.layer:
        raise changed


def _unpacked(place: Path) -> Iterator[Entry]:
    for path in place.rglob("*"):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            name = path.relative_to(place).as_posix()
            yield Entry(name, str(path), status.st_size, executable=bool(status.st_mode & stat.S_IXUSR))


def filled(values: Mapping[str, str], place: Path) -> dict[str, str]:
    """Variables with the folder of the layer in place of ``{layer}``."""
    return {name: value.replace(LAYER, str(place)) for name, value in values.items()}


def pack(entries: Iterable[Entry], layers: Path) -> tuple[str, int, bool]:
    """Pack files and unpack the layer beside it, unless the same one is there already.

    Args:
        entries: what goes in; their paths are the names in the layer.
        layers: the folder of the layers.

    Returns:
        the digest, bytes of the tar file, and whether it is new.

    Raises:
        TraceError: a file cannot be read, changed meanwhile, or the disk is full.
    """
    with _explained(layers):
        layers.mkdir(parents=True, exist_ok=True)
        _ignored(layers.parent)
        with tempfile.NamedTemporaryFile(dir=layers, prefix=".new-", delete=False) as file:
            temporary = Path(file.name)
            try:
                digest = _write(file, entries)
                temporary.chmod(0o644)
                size, tar = temporary.stat().st_size, layers / f"{digest}.tar"
                new = not tar.exists()
                temporary.replace(tar)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    if not (layers / digest).is_dir():
        unpack(layers / f"{digest}.tar", digest)
    return digest, size, new


def remove(digest: str, layers: Path) -> None:
    """Take a layer away that has turned out to be of no use."""
    shutil.rmtree(layers / digest, ignore_errors=True)
    (layers / f"{digest}.tar").unlink(missing_ok=True)


def _ignored(data_dir: Path) -> None:
    with (
        contextlib.suppress(FileExistsError),
        (data_dir / ".gitignore").open("x", encoding="utf-8") as ignore,
    ):
        ignore.write("*\n")


class _Hashing:
    """A file that is hashed as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def write(self, block: bytes) -> int:
        self.hash.update(block)
        return self._file.write(block)


def _write(file: IO[bytes], entries: Iterable[Entry]) -> str:
    """Write a tar file: sorted, every folder before what is in it, no time, no owner, two modes."""
    hashing = _Hashing(file)
    names: set[str] = set()
    with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for entry in sorted(entries, key=lambda entry: os.fsencode(entry.path)):
            for above in _above(entry.path):
                if above not in names:
                    names.add(above)
                    tar.addfile(_member(above, tarfile.DIRTYPE, 0o755))
            _add(tar, entry)
    file.flush()
    return hashing.hash.hexdigest()


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    try:
        descriptor = os.open(entry.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise _changed(entry) from error
    with os.fdopen(descriptor, "rb") as content:
        member = _member(entry.path, tarfile.REGTYPE, 0o755 if entry.executable else 0o644)
        member.size = entry.size
        if os.fstat(content.fileno()).st_size != entry.size:
            raise _changed(entry)
        tar.addfile(member, content)


def _changed(entry: Entry) -> TraceError:
    hint = "something that the script started still runs: have it end before the answer"
    return TraceError(f"{entry.path} changed while it was packed", hint)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime = kind, mode, 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(tar: Path, digest: str) -> Path:
    """Unpack a layer beside its tar file, whole or not at all.

    Args:
        digest: SHA-256 that the tar file must have.

    Returns:
        the folder, named by the digest.

    Raises:
        TraceError: it has another digest, holds something else than files and folders, or a path leads out of it.
    """
    place = tar.with_name(digest)
    with _explained(tar.parent):
        if _digest(tar) != digest:
            hint = "remove it and run `firstlight trace` again"
            raise TraceError(f"{tar.name} is not what its name says: its SHA-256 is another", hint)
        temporary = Path(tempfile.mkdtemp(dir=tar.parent, prefix=".new-"))
        try:
            temporary.chmod(0o755)
            with tarfile.open(tar, "r:") as opened:
                for member in opened:
                    _unpack_member(opened, member, temporary)
            _move(temporary, place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return place


def _move(temporary: Path, place: Path) -> None:
    try:
        temporary.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        # Another process has put the same content there first.


def _digest(tar: Path) -> str:
    with tar.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack_member(opened: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or {"..", ""} & set(parts) or not (member.isreg() or member.isdir()):
        raise TraceError(
            f"a layer cannot hold {member.name!r:.80}", "remove it and run `firstlight trace` again"
        )
    target = place.joinpath(*parts)
    if member.isdir():
        target.mkdir(exist_ok=True)
        target.chmod(0o755)
        return
    source = opened.extractfile(member)
    assert source is not None  # noqa: S101 - it is a file
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _BLOCK)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


@contextlib.contextmanager
def _explained(layers: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise TraceError(
            f"a layer in {layers} cannot be read: {error}", "run `firstlight trace` again"
        ) from error
    except OSError as error:
        named = f" {error.filename}:" if error.filename else ""
        hint = "make room on the disk" if error.errno == 28 else "check permissions and disk"
        raise TraceError(
            f"the layer cannot be written to {layers}:{named} {error.strerror or error}", hint
        ) from error
