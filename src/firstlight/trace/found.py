"""What a run left in its clean folders: every file, whether it is worth packing, and whose it is."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from firstlight.trace.keeping import unpacked_beside, why_left
from firstlight.trace.owners import FALLBACK, Owner, owner_of, value_of
from firstlight.trace.types import LAYER, Dropped, Entry, Seen

_ASIDE = "tmp"
"""Every process finds this folder empty, so what is in it is packed only where a variable leads to another."""


def entries(base: Path) -> list[Entry]:
    """Every file below the clean folders, links followed where they stay inside; sorted by path."""
    walk = _Walk(base)
    found = [entry for place in FALLBACK for entry in walk.folder(base / place, place, ())]
    folders = {str(Path(entry.path).parent) for entry in found}
    judged = [_judged(entry, walk.led_to, folders) for entry in found]
    return sorted(judged, key=lambda entry: os.fsencode(entry.path))


def _judged(entry: Entry, led_to: set[str], folders: set[str]) -> Entry:
    if entry.why_left:
        return entry
    if entry.source in led_to and Path(entry.path).parent.name == "blobs":
        why = "packed under the names of the links to it"
    elif unpacked_beside(entry.path, folders):
        why = "unpacked beside it"
    else:
        why = why_left(entry.path) or _unused(entry.path)
    return Entry(entry.path, entry.source, entry.size, why, entry.executable) if why else entry


def _unused(path: str) -> str:
    known = owner_of(path)
    if known is not None:
        owner = known[0]
        return "" if owner.packed and owner.variable else owner.note
    return "a temporary file" if path.startswith(f"{_ASIDE}/") else ""


class _Walk:
    """A walk through folders that may hold anything.

    Attributes:
        led_to: files that links lead to.
    """

    def __init__(self, base: Path) -> None:
        self._root = f"{os.path.realpath(base)}{os.sep}"
        self.led_to: set[str] = set()

    def folder(self, folder: str | Path, path: str, above: tuple[str, ...]) -> Iterator[Entry]:
        """The entries below a folder.

        Args:
            path: how the folder is called in the layer.
            above: the real folders that led here, so that a link to one of them ends the walk.
        """
        real = os.path.realpath(folder)
        if not real.startswith(self._root):
            return  # the script put a link in the place of the clean folder
        above = (*above, real)
        try:
            _open_to_owner(folder, 0o700)
            with os.scandir(folder) as scanned:
                inside = sorted(scanned, key=lambda item: os.fsencode(item.name))
        except (FileNotFoundError, NotADirectoryError):
            return  # the script, or something that it left running, took it away
        for item in inside:
            name = f"{path}/{item.name}"
            if item.is_dir(follow_symlinks=False):
                yield from self.folder(item.path, name, above)
            elif item.is_symlink():
                yield from self._link(item.path, name, above)
            else:
                yield from self._file(item.path, name)

    def _link(self, link: str, path: str, above: tuple[str, ...]) -> Iterator[Entry]:
        real = os.path.realpath(link)
        if not real.startswith(self._root):
            yield Entry(path, link, 0, f"a link to {real}, which is outside")
        elif not Path(real).exists():
            yield Entry(path, link, 0, "a link to nothing")
        elif Path(real).is_dir():
            if any(f"{folder}{os.sep}".startswith(f"{real}{os.sep}") for folder in above):
                yield Entry(path, link, 0, "a link to a folder around it")
            else:
                yield from self.folder(real, path, above)
        else:
            self.led_to.add(real)
            yield from self._file(real, path)

    def _file(self, file: str, path: str) -> Iterator[Entry]:
        try:
            status = os.lstat(file)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(status.st_mode):
            yield Entry(path, file, 0, f"a {_kind(status.st_mode)}, which is no data")
            return
        _open_to_owner(file, 0o400)
        yield Entry(path, os.path.realpath(file), status.st_size, "", bool(status.st_mode & stat.S_IXUSR))


def _open_to_owner(path: str | Path, bits: int) -> None:
    """Let the owner read what the script closed: all that is in these folders is a copy that is thrown away."""
    path = Path(path)
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFBLK: "device", stat.S_IFCHR: "device"}
    return kinds.get(stat.S_IFMT(mode), "special file")


def packed(found: Iterable[Entry]) -> list[Entry]:
    """Those that go into the layer."""
    return [entry for entry in found if not entry.why_left]


def dropped(found: Sequence[Entry], base: Path, writes: Iterable[Seen]) -> list[Dropped]:
    """What each library dropped, by path.

    Args:
        writes: of the run, which say who wrote what.
    """
    prefix = f"{base}{os.sep}"
    by = {seen.what.removeprefix(prefix): seen.by for seen in writes if seen.what.startswith(prefix)}
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    owners: dict[tuple[str, str], Owner | None] = {}
    for entry in found:
        known = owner_of(entry.path)
        head = known[1] if known else _head(entry.path)
        key = (head, known[0].name if known else "")
        owners[key] = known[0] if known else None
        groups[key].append(entry)
    return [_group(key[0], owners[key], groups[key], by) for key in sorted(groups)]


def _head(path: str) -> str:
    """The folder of an unknown library: what lies right below the place, below ``.cache`` and such in HOME."""
    parts = path.split("/")
    depth = 3 if parts[0] == "home" and parts[1] in (".cache", ".config", ".local") and len(parts) > 2 else 2
    depth += parts[:3] == ["home", ".local", "share"] and len(parts) > 3
    return "/".join(parts[:depth])


def _group(head: str, owner: Owner | None, group: Sequence[Entry], by: dict[str, str]) -> Dropped:
    kept, left = packed(group), [entry for entry in group if entry.why_left]
    writers = [name for path, name in by.items() if f"{path}/".startswith(f"{head}/") and name]
    return Dropped(
        name=owner.name if owner else f"unknown: {head}",
        path=head,
        by=max(sorted(set(writers)), key=writers.count, default=""),
        variable=_variable(owner, head) if kept else _set_for(owner),
        size=sum(entry.size for entry in kept),
        files=len(kept),
        left=sum(entry.size for entry in left),
        why_left=tuple(sorted({entry.why_left for entry in left})),
        note=owner.note if owner else "",
    )


def _variable(owner: Owner | None, head: str) -> str:
    return owner.variable if owner else FALLBACK[head.partition("/")[0]]


def _set_for(owner: Owner | None) -> str:
    """The variable of an owner that is not packed, where it is set to something all the same."""
    return owner.variable if owner and owner.settings else ""


def variables(groups: Iterable[Dropped], *, network: bool) -> dict[str, str]:
    """The variables that make libraries look into the layer, ``{layer}`` standing for its folder.

    Args:
        network: whether the script may call out when it answers; libraries are told that it may not otherwise.
    """
    found: dict[str, str] = {}
    for group in groups:
        known = owner_of(group.path)
        if known is None:
            if group.packed:
                place = group.path.split("/")[0]
                found[FALLBACK[place]] = f"{LAYER}/{place}"
            continue
        owner = known[0]
        found |= owner.settings
        if not group.packed:
            continue
        # A library that dropped things in two places can be led to one: the variable of the place finds the other.
        value = f"{LAYER}/{value_of(owner, group.path)}"
        if found.setdefault(owner.variable, value) != value:
            place = group.path.split("/")[0]
            found[FALLBACK[place]] = f"{LAYER}/{place}"
        found |= {} if network else owner.offline
    return found


def places(groups: Iterable[Dropped]) -> dict[str, str]:
    """The variables that move the clean folders themselves, as far as the layer has something of them."""
    kept = {group.path.partition("/")[0] for group in groups if group.packed} - {_ASIDE}
    return {FALLBACK[place]: f"{LAYER}/{place}" for place in sorted(kept)}
