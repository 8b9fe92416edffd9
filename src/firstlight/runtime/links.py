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
    from tempfile import gettempdir, mkdtemp

    # One for all workers of a layer: they do not leave a folder each behind.
    name = f"firstlight-{os.getuid()}-{os.path.basename(layer)[:16]}"  # noqa: PTH119 - pathlib is not imported here
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
            except FileExistsError:
                pass  # of an earlier worker, or another one at the same moment
            if entry.is_dir(follow_symlinks=False):
                _link(entry.path, target)
