"""How a database is opened to be written to, and put out of the way when it is damaged."""

from __future__ import annotations

import os
import time

from firstlight.runtime.records.migrations import migrate, version
from firstlight.runtime.records.reading import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from firstlight.runtime.errors import FirstlightError

_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",  # counts only before the first table is made
    "journal_mode = WAL",
    # The end of the process loses nothing; the end of the power may lose what came last, never the file.
    "synchronous = NORMAL",
)


def open_to_write(
    path: Path,
    what: str,
    failure: type[FirstlightError],
    steps: tuple[tuple[str, ...], ...],
    pragmas: Iterable[str] = (),
) -> sqlite3.Connection:
    """The connection that writes; the file, and its folder for the user alone, are made when missing.

    Args:
        what: what the file keeps, for messages.
        failure: the error that says so.
        steps: that lead to the database's present shape (``migrations``).
        pragmas: more settings of the connection.

    Raises:
        FirstlightError: a ``failure``: the file cannot be made, or was written by a newer firstlight.
        sqlite3.Error: it is damaged or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        hint = "make the folder writable, or set FIRSTLIGHT_DATA_DIR to one that is"
        raise failure(f"{what} cannot be opened ({path}): {error.strerror}", hint) from error
    writer = connect(path, "rw")
    try:
        for pragma in (*pragmas, *_PRAGMAS):
            writer.execute(f"PRAGMA {pragma}")
        if version(writer) > len(steps):
            hint = "update firstlight, or move the file away"
            raise failure(f"{path} was written by a newer firstlight", hint)
        migrate(writer, steps)
    except BaseException:
        writer.close()
        raise
    return writer


def set_aside(path: Path) -> str:
    """Rename a damaged database and the files beside it; return its new name."""
    aside = f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    for suffix in ("", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(path.with_name(aside + suffix))
    return aside
