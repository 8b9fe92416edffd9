"""The files of an export on disk: written again they follow the project, and what somebody changed is not lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from firstlight.build.pack.belongings import EXPORTED
from firstlight.runtime.errors import Conflict, ProjectError

_HEAD = """Written by `{verb}`: the files below, each with the SHA-256 it was written with.
A folder with this file in it is not packed into functions.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to a folder.

    Attributes:
        changed: paths below it that are new, or other than before.
        removed: paths that an earlier export wrote and this one does not have.
    """

    changed: tuple[str, ...]
    removed: tuple[str, ...]


def write(files: Mapping[str, str], folder: Path, *, form: str = "", force: bool = False) -> Written:
    """Write the files of an export. Files that no export wrote stay as they are.

    Args:
        form: what was exported, for those who find the folder.
        force: files that somebody changed since they were written are written over, or removed, too.

    Raises:
        Conflict: a file would be lost that somebody wrote or changed; nothing was written.
        ProjectError: the folder cannot be written.
    """
    try:
        known = _known(folder)
        changed = [path for path, text in files.items() if _read(folder / path) != text.encode()]
        gone = [path for path in known if path not in files and (folder / path).is_file()]
        if not force:
            _check([*changed, *gone], known, folder)
        for path in changed:
            _put(folder / path, files[path])
        for path in gone:
            (folder / path).unlink()
        _put(folder / EXPORTED, _HEAD.format(verb=f"firstlight export {form}".rstrip()) + _listed(files))
    except OSError as error:
        hint = "give another folder with --out"
        raise ProjectError(f"{folder} cannot be written: {error.strerror or error}", hint) from error
    return Written(tuple(changed), tuple(gone))


def _check(paths: list[str], known: Mapping[str, str], folder: Path) -> None:
    """Refuse to lose what was changed since an export wrote it, or what none wrote."""
    there = {path: _read(folder / path) for path in paths}
    lost = [path for path, data in there.items() if data is not None and known.get(path) != _digest(data)]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        hint = "give another folder with --out, or --force"
        raise Conflict(f"{folder / lost[0]}{more} was changed by somebody and would be written over", hint)


def _known(folder: Path) -> dict[str, str]:
    """Path -> digest, as the last export into a folder left it."""
    text = (_read(folder / EXPORTED) or b"").decode("utf-8", errors="replace")
    rows = (line.split("  ", 1) for line in text.splitlines() if "  " in line)
    return {path: digest for digest, path in rows if _is_below(path)}


def _is_below(path: str) -> bool:
    """Whether a path leads to a file of the folder, whoever wrote it down."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not PurePosixPath(path).is_absolute()


def _listed(files: Mapping[str, str]) -> str:
    return "".join(f"{_digest(text.encode())}  {path}\n" for path, text in sorted(files.items()))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8", newline="\n")
