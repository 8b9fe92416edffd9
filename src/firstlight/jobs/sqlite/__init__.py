"""Jobs in one SQLite file: ``SqliteJobs`` keeps them and hands them out."""

from firstlight.jobs.sqlite.store import SqliteJobs

__all__ = ["SqliteJobs"]
