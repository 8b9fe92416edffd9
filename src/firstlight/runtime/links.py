"""A folder that cannot be written, as one that can: its folders are made anew in /tmp, its files are links.

For libraries that lock or write beside data they only read. ``FIRSTLIGHT_LINKED`` names the folder, the layer of a
traced script; variables that lead into it are changed to lead to the links before any of the script's code runs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

VARIABLE = "FIRSTLIGHT_LINKED"


def follow(env: MutableMapping[str, str]) -> None:
    """Make the links and lead the variables there; nothing where ``FIRSTLIGHT_LINKED`` is not set.

    Args:
        env: the environment of this process.

    Raises:
        OSError: the layer is not there, or nothing can be written to /tmp.
    """
    layer = env.get(VARIABLE)
    if not layer:
        return
    place = _place(layer)
    _link(layer, place)
    for name, value in list(env.items()):
        if name != VARIABLE and (value == layer or value.startswith(layer + os.sep)):
            env[name] = place + value[len(layer) :]


def _place(layer: str) -> str:
    """A folder of this user's for a layer; another one where somebody else has it, or it cannot be written."""
    from binascii import crc32
    from tempfile import gettempdir, mkdtemp

    # One for all workers of a layer: they do not leave a folder each behind. By its path, for the same layer may lie
    # in two projects, of which one may be deleted.
    name = f"firstlight-{os.getuid()}-{crc32(os.fsencode(os.path.abspath(layer))):08x}"  # noqa: PTH100
    place = os.path.join(gettempdir(), name)  # noqa: PTH118
    try:
        os.mkdir(place, 0o700)  # noqa: PTH102
    except FileExistsError:
        found = os.lstat(place)
        is_ours = found.st_uid == os.getuid() and not os.path.islink(place)  # noqa: PTH114
        if not is_ours or not os.access(place, os.W_OK):
            return mkdtemp(prefix="firstlight-")
    return place


def _link(folder: str, place: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            target = os.path.join(place, entry.name)  # noqa: PTH118
            try:
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(target)  # noqa: PTH102
                else:
                    os.symlink(entry.path, target)  # noqa: PTH211
            except FileExistsError:  # of an earlier worker, or another one at the same moment
                _renew(entry, target)
            if entry.is_dir(follow_symlinks=False):
                _link(entry.path, target)


def _renew(entry: os.DirEntry[str], target: str) -> None:
    """Lead a link that was left here, by a layer that lay elsewhere then, to where its file is now."""
    if os.path.islink(target) and os.readlink(target) != entry.path:  # noqa: PTH114, PTH115
        renewed = f"{target}.{os.getpid()}"
        os.symlink(entry.path, renewed)  # noqa: PTH211
        os.replace(renewed, target)  # noqa: PTH105
