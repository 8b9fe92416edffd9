"""What keeps the record database within its age and size: the oldest records go, a few milliseconds at a time."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

_STEP_SECONDS = 0.005
"""How long one step of deleting may hold up the writes behind it."""
_AT_ONCE = 8
"""Records deleted between two looks at the clock."""


def delete_oldest(writer: sqlite3.Connection, before: float, max_bytes: int) -> bool:
    """Delete the oldest records for a few milliseconds; True when records that must go are left."""
    deadline = time.perf_counter() + _STEP_SECONDS
    while rows := _to_delete(writer, before, max_bytes):
        if time.perf_counter() > deadline:
            return True
        writer.executemany("DELETE FROM records WHERE seq = ?", rows)
        writer.executescript("PRAGMA incremental_vacuum(64)")  # execute() would free a single page
    return False


def _to_delete(writer: sqlite3.Connection, before: float, max_bytes: int) -> list[tuple[int]]:
    """A few records that are too old; else, where the file is too big, the few oldest."""
    old = writer.execute("SELECT seq FROM records WHERE time < ? LIMIT ?", (before, _AT_ONCE)).fetchall()
    if old or _used_bytes(writer) <= max_bytes:
        return old
    return writer.execute("SELECT seq FROM records ORDER BY seq LIMIT ?", (_AT_ONCE,)).fetchall()


def _used_bytes(writer: sqlite3.Connection) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (writer.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((pages - free) * size)
