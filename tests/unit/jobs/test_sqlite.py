"""The SQLite store of jobs: its file, and what happens when the file or the disk is not as it should be."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest

from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.sqlite.migrations import STEPS
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status
from firstlight.runtime.errors import JobError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "jobs.sqlite"


@contextmanager
def opened(path):
    with closing(SqliteJobs(path)) as store:
        yield store


def job(job_id="one", **changes):
    return Job(
        **{"id": job_id, "kind": Kind.EVENT, "endpoint": "mood", "payload": b"{}", "created": 1.0, **changes}
    )


def test_the_files_are_the_users_alone(path):
    with opened(path) as store:
        store.put(job())
        files = list(path.parent.iterdir())
        assert len(files) == 3  # with its log and the log's index
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_damaged_file_is_put_aside(path):
    with opened(path) as store:
        store.put(job())
    path.write_bytes(b"not a database" * 1000)
    with opened(path) as store:
        assert "damaged" in store.notice
        assert store.get("one") is None
        store.put(job())
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")
    with opened(path) as store:
        assert store.notice == ""


def test_damage_under_a_running_server_is_said(path):
    with opened(path) as store:
        for number in range(200):
            store.put(job(str(number), payload=b"x" * 4000))
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with opened(path) as store, pytest.raises(JobError, match=r"jobs cannot be read .*malformed") as caught:
        store.get("7")
    assert "move the file away" in caught.value.hint


def test_a_full_disk_is_said_and_loses_nothing(path):
    with opened(path) as store:
        store.put(job())
        with store._file.transaction() as writer:
            pages = writer.execute("PRAGMA page_count").fetchone()[0]
            writer.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(JobError, match=r"jobs cannot be written .*full") as caught:
            store.put(job("two", payload=b"x" * 100_000))
        assert caught.value.hint == "free some disk space"
        with pytest.raises(JobError, match="full"):
            store.change(job(), result=Result(body=b"x" * 100_000))
        assert store.get("one") == job()
        assert store.get("two") is None
        assert store.depth() == {"mood": 1}
        assert store.put(job("three")) is None


def test_a_newer_file_is_left_alone(path):
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(JobError, match="newer firstlight"):
        SqliteJobs(path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="cannot be opened") as caught:
        SqliteJobs(tmp_path / "file" / "jobs.sqlite")
    assert "FIRSTLIGHT_DATA_DIR" in caught.value.hint


def test_a_file_that_was_deleted_is_made_again(path):
    with opened(path) as store:
        store.put(job())
        for file in path.parent.iterdir():
            file.unlink()
        assert store.put(job("two")) is None
        assert store.get("two") == job("two")
        assert store.get("one") is None


def test_what_comes_after_close_is_refused(path):
    store = SqliteJobs(path)
    store.close()
    store.close()
    for act in (lambda: store.get("one"), lambda: store.put(job()), store.depth):
        with pytest.raises(JobError, match="closed"):
            act()


def test_another_program_that_writes_is_waited_for(path):
    with opened(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done: list[object] = []
        waiting = threading.Thread(target=lambda: done.append(store.put(job())))
        waiting.start()
        assert store.get("one") is None  # reading goes on
        assert done == []
        other.execute("COMMIT")
        waiting.join(timeout=30)
        assert done == [None]


def test_another_program_that_never_ends_writing_is_said(path):
    with opened(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        store._file._writer.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JobError, match="locked") as caught:
            store.put(job())
        assert "another process" in caught.value.hint
        assert store.claim("me", 0.0, 30.0, {"mood": 1}) == []  # nothing is due: nothing is locked
        other.execute("ROLLBACK")
        assert store.put(job()) is None


LOOKUPS = {
    "jobs_waiting": lambda store: (store.claim("me", 1.0, 30.0, {"mood": 2}), store.next_due(1.0, ["mood"])),
    "jobs_by_status": lambda store: (
        store.owners(),
        store.recover(0.0, ["me"]),
        store.list(status=Status.FAILED),
    ),
    "jobs_kept": lambda store: store.sweep(9.0),
    "jobs_by_endpoint": lambda store: store.list(endpoint="mood", cursor="3"),
    "jobs_by_both": lambda store: store.list(endpoint="mood", status=Status.STARTING),
    "PRIMARY KEY": lambda store: store.list(cursor="3"),
    "sqlite_autoindex_jobs_1": lambda store: (
        *(store.get("1"), store.put(job("1")), store.renew("me", ["1"], 2.0), store.events("1")),
        *(store.change(job("1")), store.append("1", [JobEvent(1, "log", {}, 1.0)])),
    ),
}
"""The index by which what a method looks for is found."""


@pytest.mark.parametrize("index", LOOKUPS)
def test_nothing_is_found_by_reading_every_job(path, index):
    with opened(path) as store:
        for number in range(3):
            store.put(job(str(number), keep_until=5.0, status=(Status.STARTING, Status.FAILED)[number % 2]))
        run: list[str] = []
        for connection in (store._file._connected(), store._file._writer):
            connection.set_trace_callback(run.append)
        LOOKUPS[index](store)
        looked = [
            statement
            for statement in run
            if "jobs" in statement and "WHERE" in statement and "DELETE" not in statement
        ]
        steps = []
        for statement in looked:
            plan = [row[3] for row in store._file.rows(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in plan if step.startswith("SCAN jobs") or "FOR ORDER BY" in step]
            steps += [step for step in plan if step.startswith("SEARCH jobs")]
        assert any(index in step for step in steps)
        assert all(index in step or "INTEGER PRIMARY KEY (rowid=" in step for step in steps)


def test_what_waits_is_counted_whatever_becomes_of_it(path):
    with opened(path) as store:
        for number in range(4):
            store.put(job(str(number)))
        store.put(job("runs", status=Status.PROCESSING, owner="gone", lease=5.0, endpoint="qa"))
        assert store.depth() == {"mood": 4}
        store.recover(9.0)
        assert store.depth() == {"mood": 4, "qa": 1}
        store.change(store.get("0"), status=Status.CANCELED, keep_until=1.0)
        store.change(store.get("1"), error="still waits")
        store.claim("me", 9.0, 30.0, {"qa": 1})
        assert store.depth() == {"mood": 3}
        store.sweep(9.0)
        counted = dict(
            store._file.rows("SELECT endpoint, count(*) FROM jobs WHERE status = 'starting' GROUP BY 1")
        )
        assert store.depth() == counted


def test_what_is_swept_leaves_no_rows_and_gives_the_disk_back(path):
    with opened(path) as store:
        for number in range(70):
            store.put(job(str(number), payload=b"x" * 30_000, status=Status.FAILED, keep_until=1.0))
            store.change(store.get(str(number)), result=Result(body=b"y" * 30_000), partial="z")
            store.append(str(number), [JobEvent(1, "start", {}, 1.0)])
        assert store.sweep(1.0) == 70
        tables = ("jobs", "payloads", "partials", "answers", "events")
        assert [store._file.rows(f"SELECT count(*) FROM {table}") for table in tables] == [[(0,)]] * 5
        assert store._file.rows("PRAGMA freelist_count") == [(0,)]
        assert store._file.rows("PRAGMA page_count")[0][0] < 100


def test_nothing_of_amazon_is_imported():
    code = "import sys, firstlight.jobs.sqlite, firstlight.jobs.dynamodb; print({'boto3', 'botocore'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
