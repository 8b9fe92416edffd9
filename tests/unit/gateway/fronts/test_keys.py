from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.fronts.keys import KeyProblem, Keys, Limits, begun
from firstlight.gateway.fronts.throttling import Buckets
from firstlight.runtime.errors import Conflict, EndpointNotFound


def test_keys_are_found_by_what_is_sent(keys: Keys) -> None:
    iam, secret = keys.create("bob", "iam")
    api, value = keys.create("app", "api", Limits(rate=5, burst=2, quota=10, period="day"))
    assert keys.secret(iam.id) == (iam, secret)
    assert keys.api_key(value) == api
    assert keys.secret("AKIANOBODY") is None
    assert keys.api_key(secret) is None
    assert keys.secret(api.id) is None
    assert [key.name for key, _ in keys.all()] == ["app", "bob"]


def test_another_program_sees_them(keys: Keys, clock: Any) -> None:
    other = Keys(keys.path, clock)
    assert other.all() == []
    iam, secret = keys.create("bob", "iam")
    assert other.secret(iam.id) == (iam, secret)
    other.delete("bob")
    assert keys.secret(iam.id) is None
    other.close()


def test_only_its_owner_reads_the_file_and_an_api_key_is_not_in_it(keys: Keys) -> None:
    _, value = keys.create("app", "api")
    files = list(keys.path.parent.glob("keys.sqlite*"))
    assert len(files) == 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert value.encode() not in file.read_bytes()


def test_names_are_given_once(keys: Keys) -> None:
    keys.create("bob", "iam")
    with pytest.raises(Conflict):
        keys.create("bob", "api")


def test_what_is_not_there(keys: Keys) -> None:
    assert keys.all() == []
    with pytest.raises(EndpointNotFound):
        keys.delete("bob")
    assert not keys.path.exists()
    keys.create("bob", "iam")
    with pytest.raises(EndpointNotFound):
        keys.delete("eve")


def test_a_file_that_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "keys.sqlite").write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    broken = Keys(tmp_path / "keys.sqlite")
    with pytest.raises(KeyProblem):
        broken.all()
    with pytest.raises(KeyProblem):
        Keys(tmp_path / "nowhere" / "keys.sqlite").create("bob", "iam")


def test_a_quota_is_counted_across_restarts(keys: Keys, clock: Any) -> None:
    key, _ = keys.create("app", "api", Limits(quota=3, period="day"))
    assert [keys.count(key) for _ in range(2)] == [True, True]
    again = Keys(keys.path, clock)
    assert again.used(key) == 2
    assert [again.count(key) for _ in range(3)] == [True, False, False]
    assert again.used(key) == 3
    clock.now += 4 * 3600
    assert again.used(key) == 0
    assert again.count(key)
    assert keys.used(key) == 1
    again.close()


def test_no_quota_counts_nothing(keys: Keys) -> None:
    key, _ = keys.create("app", "api")
    assert all(keys.count(key) for _ in range(5))
    assert keys.used(key) == 0
    nothing, _ = keys.create("none", "api", Limits(quota=0, period="week"))
    assert not keys.count(nothing)


@pytest.mark.parametrize(
    ("period", "expected"), [("day", "2026-11-21"), ("week", "2026-11-16"), ("month", "2026-11-01")]
)
def test_periods(period: str, expected: str, clock: Any) -> None:
    assert begun(period, clock.now) == expected


def test_a_deleted_key_takes_its_count_with_it(keys: Keys) -> None:
    key, _ = keys.create("app", "api", Limits(quota=3, period="day"))
    keys.count(key)
    keys.delete("app")
    with sqlite3.connect(keys.path) as database:
        assert database.execute("SELECT count(*) FROM used").fetchone() == (0,)
    database.close()


def test_a_bucket_refills() -> None:
    buckets, limits = Buckets(), Limits(rate=2, burst=3)
    assert [buckets.take("a", limits, 0) for _ in range(4)] == [True, True, True, False]
    assert [buckets.take("a", limits, 1) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", limits, 1)
    assert [buckets.take("a", limits, 100) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets()
    assert [buckets.take("a", Limits(rate=1, burst=1), now) for now in (10, 5)] == [True, False]


@given(
    st.floats(0.1, 50),
    st.integers(1, 20),
    st.lists(st.floats(0, 2), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, waits: list[float]) -> None:
    buckets, limits, now, taken = Buckets(), Limits(rate, burst), 0.0, 0
    for wait in waits:
        now += wait
        taken += buckets.take("a", limits, now)
    assert taken <= burst + rate * now + 1e-6
