from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from firstlight.runtime.errors import RecordError
from firstlight.runtime.records import migrations, reading, retention, sqlite
from firstlight.runtime.records.reading import SqliteReader
from firstlight.runtime.records.sqlite import SqliteStore

DAY = 86400


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "records.sqlite"


@pytest.fixture
def opened(path):
    """Opens stores on the path and closes them at the end."""
    stores = []

    def open_one(**bounds) -> SqliteStore:
        stores.append(SqliteStore(path, **bounds))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def until(condition, seconds: float = 20.0):
    """Wait for the writer thread to get somewhere."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "gave up waiting"
        threading.Event().wait(0.005)
    return value


KILLED = """
import os, signal, sys
from pathlib import Path
from firstlight.runtime.records.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
number = 0
while True:
    store.put({"request_id": f"id-{number}", "endpoint": "mood"})
    os.write(1, f"{number}\\n".encode())  # what a client would take for an answered request
    number += 1
"""


def test_kill_9_loses_no_record_whose_reply_was_sent(path):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as process:
        for _ in range(200):
            process.stdout.readline()
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
    answered = 200 + sum(line.endswith(b"\n") for line in rest)
    reader = SqliteReader(path)
    kept = [record["request_id"] for record in reader.list(limit=10**6)]
    reader.close()
    assert kept[:answered] == [f"id-{number}" for number in range(answered)]
    assert len(kept) <= answered + 1


def test_a_server_that_was_killed_is_continued(path, opened):
    done = subprocess.run(
        [sys.executable, "-c", KILLED.replace("number += 1", "os.kill(os.getpid(), 9)"), str(path)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9
    store = opened()
    store.put({"request_id": "after"})
    assert [record["request_id"] for record in store.list()] == ["id-0", "after"]


def test_another_process_reads_while_one_writes(path, opened):
    store = opened()
    store.put({"request_id": "one"})
    reader = SqliteReader(path)
    first = reader.list()
    store.put({"request_id": "two"})
    assert [record["request_id"] for record in reader.list(after=first[-1]["seq"])] == ["two"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connected().execute("DELETE FROM records")
    reader.close()


def test_the_file_is_for_its_user_alone(path, opened):
    opened().put({"request_id": "one"})
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_old_records_go(path, opened):
    store = opened(max_age_days=1)
    now = time.time()
    for number in range(100):
        store.put({"request_id": f"id-{number}", "time": now - (2 * DAY if number < 60 else 0)})
    until(lambda: len(store.list(limit=1000)) == 40)
    assert store.list(limit=1000)[0]["request_id"] == "id-60"


def test_the_oldest_records_go_beyond_the_size(path, opened):
    store = opened(max_mb=1)
    for number in range(400):
        store.put({"request_id": f"id-{number}", "inputs": os.urandom(5_000).hex()})
    until(lambda: path.stat().st_size < 1_300_000 and len(store.list(limit=1000)) < 120)
    kept = store.list(limit=1000)
    assert kept[-1]["request_id"] == "id-399"
    assert [record["seq"] for record in kept] == list(range(kept[0]["seq"], 401))
    assert len(kept) > 50


def test_a_step_of_deleting_ends_after_its_time(path, opened, monkeypatch):
    store = opened()
    for number in range(20):
        store.put({"request_id": f"id-{number}"})
    store.close()
    writer = sqlite3.connect(path, isolation_level=None)
    monkeypatch.setattr(retention, "_STEP_SECONDS", -1.0)
    assert retention.delete_oldest(writer, time.time() + DAY, 10**9) is True
    monkeypatch.setattr(retention, "_STEP_SECONDS", 60.0)
    assert retention.delete_oldest(writer, time.time() + DAY, 10**9) is False
    assert writer.execute("SELECT count(*) FROM records").fetchone() == (0,)
    writer.close()


def test_numbers_are_never_used_again(path, opened):
    store = opened(max_age_days=1)
    store.put({"request_id": "old", "time": 1.0})
    first = store.get("old")["seq"]
    until(lambda: store.get("old") is None)
    store.put({"request_id": "new"})
    assert store.get("new")["seq"] > first


def test_a_damaged_file_is_set_aside(path, opened):
    path.parent.mkdir()
    path.write_bytes(b"this is not a database " * 100)
    store = opened()
    assert "damaged" in store.notice
    store.put({"request_id": "one"})
    assert store.get("one")["request_id"] == "one"
    aside = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    assert aside[0].read_bytes().startswith(b"this is not")


def test_a_deleted_file_is_made_again(path, opened):
    store = opened()
    store.put({"request_id": "one"})
    for file in list(path.parent.iterdir()):
        file.unlink()
    store.put({"request_id": "two"})
    assert [record["request_id"] for record in store.list()] == ["two"]
    assert path.exists()


def test_a_lock_is_reported_and_costs_no_record(path, opened, monkeypatch):
    monkeypatch.setattr("firstlight.runtime.records.reading.BUSY_SECONDS", 0.05)
    monkeypatch.setattr(sqlite, "_RETRY_SECONDS", 0.0)
    store = opened()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordError, match="locked") as caught:
        store.put({"request_id": "one"})
    assert "another process" in caught.value.hint
    other.execute("ROLLBACK")
    other.close()
    store.put({"request_id": "two"})
    assert [record["request_id"] for record in store.list()] == ["one", "two"]


def test_more_than_a_journal_holds_is_refused(path, opened, monkeypatch):
    monkeypatch.setattr("firstlight.runtime.records.reading.BUSY_SECONDS", 0.05)
    monkeypatch.setattr(sqlite, "_RETRY_SECONDS", 3600.0)
    monkeypatch.setattr(sqlite, "_JOURNAL_BYTES", 10_000)
    store = opened()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordError, match="locked"):
        store.put({"request_id": "first"})
    errors = [store.submit({"request_id": "x"}).exception() for _ in range(500)]
    other.close()
    assert errors[0] is None
    assert "locked" in errors[-1].message


def test_a_full_disk_is_explained(opened, monkeypatch):
    store = opened()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    error = store.submit({"request_id": "x"}).exception()
    assert error.message.endswith("No space left on device")


def test_a_place_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be opened") as caught:
        SqliteStore(tmp_path / "file" / "records.sqlite")
    assert "FIRSTLIGHT_DATA_DIR" in caught.value.hint


def test_a_newer_database_is_left_alone(path, opened):
    opened().close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    for kind in (SqliteStore, SqliteReader):
        with pytest.raises(RecordError, match="newer firstlight"):
            kind(path)


def test_no_records_yet(path):
    with pytest.raises(RecordError, match="no records yet"):
        SqliteReader(path)


def test_an_older_database_is_brought_up_to_date(path, opened, monkeypatch):
    store = opened()
    store.put({"request_id": "one"})
    store.close()
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, ("CREATE TABLE later (a)",)))
    monkeypatch.setattr(reading, "STEPS", migrations.STEPS)
    store = opened()
    assert migrations.version(store._writer) == len(migrations.STEPS)
    assert store._writer.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert store._writer.execute("SELECT count(*) FROM records").fetchone() == (1,)


def test_a_step_that_fails_leaves_nothing_behind():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        migrations.migrate(connection, (("CREATE TABLE a (b)", "CREATE TABLE a (b)"),))
    assert migrations.version(connection) == 0
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()


def test_closing_writes_what_is_queued(path, opened):
    store = opened()
    futures = [store.submit({"request_id": f"id-{number}"}) for number in range(1000)]
    store.close()
    assert all(future.exception(timeout=20) is None for future in futures)
    reader = SqliteReader(path)
    assert len(reader.list(limit=2000)) == 1000
    reader.close()


def test_a_record_is_read_right_after_it_was_submitted(opened):
    store = opened()
    assert store.submit({"request_id": "id-1"}).done()
    assert store.list()[0]["request_id"] == "id-1"


def test_another_reader_sees_what_was_submitted_before(path, opened):
    store = opened()
    reader = SqliteReader(path)
    for number in range(5):
        store.submit({"request_id": f"id-{number}"})
    assert len(reader.list()) == 5
    reader.close()


def test_a_record_behind_the_lock_of_another_process_waits_for_it(path, opened):
    store = opened()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.submit({"request_id": "id-1"}).done()
    other.execute("ROLLBACK")
    other.close()
    assert len(store.list()) == 1


LEFT = """
import os, sys
from pathlib import Path
from firstlight.runtime.records import sqlite
sqlite._GATHER_SECONDS = 60.0
store = sqlite.SqliteStore(Path(sys.argv[1]))
for number in range(300):
    store.submit({"request_id": f"id-{number}", "time": float(number)})
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("kind", [SqliteReader, SqliteStore])
def test_what_a_killed_server_had_only_in_its_journal_is_taken_over_once(path, kind):
    done = subprocess.run([sys.executable, "-c", LEFT, str(path)], capture_output=True, check=False)
    assert done.returncode == -9
    (left,) = [file for file in path.parent.glob("*.pending") if file.stat().st_size]
    saved = left.read_bytes()
    for cut in (
        len(saved),
        len(saved) - 3,
    ):  # the second time as if it had been killed before the file was removed
        left.write_bytes(saved[:cut])
        store = kind(path)
        assert [record["request_id"] for record in store.list(limit=1000)] == [f"id-{n}" for n in range(300)]
        store.close()
    assert not list(path.parent.glob("*.pending"))


@pytest.mark.parametrize(
    "damage",
    [bytes(64), b"\x05\0\0\0hello", b"\x02\0\0\0(\0", b"\x01\0\0\0N"],
    ids=["zeros", "no value", "half a tuple", "no row"],
)
def test_a_journal_is_read_up_to_its_damaged_end(path, damage):
    """Where the power went, a file may be longer than what was written to it."""
    subprocess.run([sys.executable, "-c", LEFT, str(path)], capture_output=True, check=False)
    (left,) = [file for file in path.parent.glob("*.pending") if file.stat().st_size]
    left.write_bytes(left.read_bytes() + damage)
    with closing(SqliteStore(path)) as store:
        assert len(store.list(limit=1000)) == 300
    assert not list(path.parent.glob("*.pending"))


def test_the_journal_of_a_living_process_is_left_to_it(path, opened, monkeypatch):
    monkeypatch.setattr(sqlite, "_GATHER_SECONDS", 60.0)
    store = opened()
    store.submit({"request_id": "id-1"})
    monkeypatch.setattr(reading, "_WRITERS_SECONDS", 0.0)
    reader = SqliteReader(path)
    assert reader.list() == []
    assert store.get("id-1") is not None
    assert len(reader.list()) == 1
    reader.close()
