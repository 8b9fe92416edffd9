"""The shape of the job database, as the steps that lead to it. Append steps; never change one that was released."""

from __future__ import annotations

STEPS = (
    (
        # AUTOINCREMENT: a number is never used again, so it is the order of arrival and a cursor that stays right.
        "CREATE TABLE jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
        " endpoint TEXT NOT NULL, created REAL NOT NULL, qualifier TEXT NOT NULL, request TEXT, trace_id TEXT,"
        " fingerprint TEXT NOT NULL, status TEXT NOT NULL, due REAL NOT NULL, give_up REAL,"
        " attempts INTEGER NOT NULL, interrupted INTEGER NOT NULL, failures INTEGER NOT NULL,"
        " held_back INTEGER NOT NULL, owner TEXT NOT NULL, lease REAL NOT NULL, started REAL, completed REAL,"
        " condition TEXT NOT NULL, error TEXT NOT NULL, result TEXT, webhook TEXT, told TEXT NOT NULL,"
        " keep_until REAL, revision INTEGER NOT NULL)",
        # Bodies have tables of their own: what looks for a job never reads past one.
        "CREATE TABLE payloads (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        "CREATE TABLE partials (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        "CREATE TABLE answers (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        "CREATE TABLE events (seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, data TEXT NOT NULL,"
        " time REAL NOT NULL, PRIMARY KEY (seq, number)) WITHOUT ROWID",
        "CREATE INDEX jobs_waiting ON jobs (endpoint, due, seq) WHERE status = 'starting'",
        "CREATE INDEX jobs_kept ON jobs (keep_until) WHERE keep_until IS NOT NULL",
        "CREATE INDEX jobs_by_endpoint ON jobs (endpoint, seq)",
        "CREATE INDEX jobs_by_status ON jobs (status, seq)",
        "CREATE INDEX jobs_by_both ON jobs (endpoint, status, seq)",
        # How many wait is counted as they come and go, not by reading them all.
        "CREATE TABLE depths (endpoint TEXT PRIMARY KEY, waiting INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TRIGGER comes AFTER INSERT ON jobs BEGIN"
        " INSERT OR IGNORE INTO depths VALUES (new.endpoint, 0);"
        " UPDATE depths SET waiting = waiting + (new.status = 'starting') WHERE endpoint = new.endpoint; END",
        "CREATE TRIGGER turns AFTER UPDATE OF status ON jobs WHEN old.status <> new.status BEGIN"
        " UPDATE depths SET waiting = waiting + (new.status = 'starting') - (old.status = 'starting')"
        " WHERE endpoint = new.endpoint; END",
        "CREATE TRIGGER goes AFTER DELETE ON jobs WHEN old.status = 'starting' BEGIN"
        " UPDATE depths SET waiting = waiting - 1 WHERE endpoint = old.endpoint; END",
    ),
)
