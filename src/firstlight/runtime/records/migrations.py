"""The shape of the record database, as the steps that lead to it. Append steps; never change one that was released."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

COLUMNS = (
    *("request_id", "time", "endpoint", "wire", "status", "error_type", "duration_ms", "queue_ms", "init_ms"),
    *("cold", "request_bytes", "response_bytes", "max_memory_mb", "model", "inputs", "outputs", "warnings"),
)
"""What a record holds, beside ``seq``, the order in which records were committed."""

STEPS = (
    (
        # AUTOINCREMENT: a number is never used again, so a reader's cursor stays right when records are deleted.
        "CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, time REAL NOT NULL,"
        " endpoint TEXT NOT NULL, wire TEXT, status TEXT NOT NULL, error_type TEXT, duration_ms REAL, queue_ms REAL,"
        " init_ms REAL, cold INTEGER, request_bytes INTEGER, response_bytes INTEGER, max_memory_mb REAL, model TEXT,"
        " inputs TEXT, outputs TEXT, warnings TEXT)",
        "CREATE INDEX records_by_request_id ON records (request_id)",
        "CREATE INDEX records_by_endpoint ON records (endpoint, seq)",
        "CREATE INDEX records_by_time ON records (time)",
    ),
)


def version(connection: sqlite3.Connection) -> int:
    """How many steps a database has taken."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = STEPS) -> None:
    """Take the steps that a database has not taken yet, all or none, safe against another process doing the same."""
    if version(connection) >= len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in steps[version(connection) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
