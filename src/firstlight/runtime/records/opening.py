"""How the record database is opened to be written to, and put out of the way when it is damaged."""

from __future__ import annotations

import os
import time

from firstlight.runtime.errors import RecordError
from firstlight.runtime.records.migrations import STEPS, migrate, version
from firstlight.runtime.records.reading import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_WAL_BYTES = 4 << 20
"""The log's file is cut to this when it begins anew."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """The connection that writes; the file, and its folder for the user alone, are made when missing.

    Raises:
        RecordError: the file cannot be made, or was written by a newer firstlight.
        sqlite3.Error: it is damaged or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        hint = "make the folder writable, or set FIRSTLIGHT_DATA_DIR to one that is"
        raise RecordError(f"records cannot be opened ({path}): {error.strerror}", hint) from error
    writer = connect(path, "rw")
    try:
        writer.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table is made
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = NORMAL")
        writer.execute("PRAGMA wal_autocheckpoint = 0")  # copied in quiet moments instead, see _tend
        writer.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        if version(writer) > len(STEPS):
            hint = "update firstlight, or move the file away"
            raise RecordError(f"{path} was written by a newer firstlight", hint)
        migrate(writer, STEPS)
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
