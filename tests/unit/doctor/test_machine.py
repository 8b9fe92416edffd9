"""Checks of the machine, on this one and on machines that are made up."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from examined import Making, only
from firstlight import isolation
from firstlight.doctor import libraries, machine
from firstlight.doctor.types import OK, PROBLEM, WARNING

Usage = namedtuple("Usage", "total used free")


def test_python(subject: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(machine.python(subject())).level == OK
    monkeypatch.setattr(machine, "_NEWEST", (3, 10))
    assert only(machine.python(subject())).level == WARNING
    monkeypatch.setattr(machine, "_OLDEST", (3, 99))
    found = only(machine.python(subject()))
    assert found.level == PROBLEM
    assert "3.11" in found.why
    monkeypatch.setattr(machine.struct, "calcsize", lambda _: 4)
    assert "32 bits" in only(machine.python(subject())).what


@pytest.mark.parametrize(
    ("found", "level"), [(("glibc", "2.36"), OK), (("glibc", "2.17"), WARNING), (("", ""), WARNING)]
)
def test_libc(subject: Making, monkeypatch: pytest.MonkeyPatch, found: tuple[str, str], level: str) -> None:
    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.platform, "libc_ver", lambda: found)
    assert only(machine.libc(subject())).level == level
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    assert only(machine.libc(subject())).level == OK


@pytest.mark.parametrize(("free", "level"), [(10**11, OK), (10**9, WARNING), (10**8, PROBLEM)])
def test_disk(subject: Making, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1, 1, free))
    cache, records = machine.disk(subject())
    assert cache.level == records.level == level
    assert ("XDG_CACHE_HOME" in cache.fix) == (level != OK)


def test_a_cache_that_can_be_written(subject: Making, tmp_path: Path) -> None:
    found = only(machine.cache(subject()))
    assert (found.level, found.what) == (OK, f"{tmp_path}/cache/firstlight can be written")
    assert not list((tmp_path / "cache" / "firstlight").iterdir())


def test_a_cache_that_cannot(subject: Making, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    found = only(machine.cache(subject()))
    assert found.level == PROBLEM
    assert "XDG_CACHE_HOME" in found.fix


def test_what_killed_conversions_left_is_removed(subject: Making, tmp_path: Path) -> None:
    bundles = tmp_path / "cache" / "firstlight" / "bundles"
    for name, age in ((".abcd1234-old", 90_000), (".abcd1234-new", 0), ("0123456789", 90_000)):
        (bundles / name).mkdir(parents=True)
        (bundles / name / "weights").write_bytes(bytes(2_000_000))
        os.utime(bundles / name, (time.time() - age,) * 2)
    found = only(machine.cache(subject()))
    assert (found.level, found.what) == (WARNING, "1 unfinished conversions, 2 MB")
    assert found.repair is not None
    assert found.repair() == "removed 1 unfinished conversions"
    assert sorted(path.name for path in bundles.iterdir()) == [".abcd1234-new", "0123456789"]
    assert only(machine.cache(subject())).level == OK


def test_walls_are_those_that_support_knows(subject: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    here = isolation.support()
    levels = [found.level for found in machine.walls(subject())]
    assert levels == [OK] * bool(here.enforced) + [WARNING] * len(here.warnings())
    none = isolation.Support("landlock", {"tmp": "not here", "user": "not here", "shm": "not there"})
    monkeypatch.setattr(isolation, "support", lambda: none)
    stands, *missing = machine.walls(subject())
    assert stands.what == "landlock enforce read-only, unreadable, hidden, network"
    assert [found.level for found in missing] == [WARNING, WARNING]
    assert missing[0].what.endswith("(not here)")
    assert "--strict" in missing[0].why


@pytest.mark.parametrize(
    ("kind", "flags", "level", "says"),
    [
        ("x86_64", "fpu avx2", OK, "x86_64 with AVX2"),
        ("x86_64", "fpu avx2 avx512f", OK, "AVX-512, which Lambda's x86 CPUs do not show"),
        ("x86_64", "fpu sse2", WARNING, "no AVX2"),
        ("aarch64", "fp asimd asimddp", OK, "aarch64 with dot product"),
        ("aarch64", "fp asimd", WARNING, "no dot product"),
        ("arm64", "", OK, "not shown"),
    ],
)
def test_cpu(
    subject: Making, monkeypatch: pytest.MonkeyPatch, kind: str, flags: str, level: str, says: str
) -> None:
    monkeypatch.setattr(machine.platform, "machine", lambda: kind)
    monkeypatch.setattr(machine, "flags", lambda: frozenset(flags.split()))
    found = only(machine.cpu(subject()))
    assert found.level == level
    assert says in found.what


def test_flags(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2\nbugs\t: x\n")
    assert machine.flags(file) == {"fpu", "avx2"}
    file.write_text("processor : 0\nFeatures\t: fp asimd\n")
    assert machine.flags(file) == {"fp", "asimd"}
    file.write_text("")
    assert machine.flags(file) == machine.flags(tmp_path / "none") == frozenset()


def test_port(subject: Making) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {"FIRSTLIGHT_PORT": str(taken.getsockname()[1])}
        found = only(machine.port(subject(env=env)))
        assert found.level == WARNING
        assert "cannot be used" in found.what
    assert only(machine.port(subject(env=env))).level == OK
    assert only(machine.port(subject(env={"FIRSTLIGHT_PORT": "http"}))).level == PROBLEM


def test_clock(subject: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(machine.clock(subject())).level == OK
    monkeypatch.setattr(machine.time, "time", lambda: 86_400.0)
    found = only(machine.clock(subject()))
    assert found.level == PROBLEM
    assert "1970-01-02" in found.what


def test_libraries_load_as_a_worker_loads_them(subject: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {
        "onnxruntime": "raise ImportError('libm.so.6: version GLIBC_2.99 not found')",
        "tokenizers": "import os; os.abort()",
        "ctranslate2": libraries._LOADS["ctranslate2"],
        "llama": libraries._LOADS["llama"],
    }
    monkeypatch.setattr(libraries, "_LOADS", broken)
    first, second, *others = libraries.libraries(subject())
    assert first.level == PROBLEM
    assert "GLIBC_2.99" in first.what
    assert first.fix == "pip install --force-reinstall onnxruntime"
    assert (second.level, second.what) == (WARNING, "tokenizers does not load: exit code -6")
    assert [found.level for found in others] == [OK, OK]
    assert others[0].what.startswith("ctranslate2 ")


def test_this_python_runs_it(subject: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_LOADS", {"onnxruntime": "import sys; print(sys.executable)"})
    assert only(libraries.libraries(subject())).what == f"onnxruntime {sys.executable}"
