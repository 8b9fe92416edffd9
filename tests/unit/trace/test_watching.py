"""The audit hook by itself: what it makes of events, and what it refuses."""

from __future__ import annotations

import errno
import os
import socket
import sys

import pytest

from firstlight.trace.watching import Rules, Watch, writer


@pytest.fixture
def told():
    return []


def watch(told, **rules):
    return Watch(Rules(**rules), lambda event: told.append((event["kind"], event["what"])))


def test_writes_are_told_once_and_reads_by_their_folder(told, tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / name).write_text("x")
    hook = watch(told)
    hook("open", (f"{tmp_path}/new", "w", os.O_WRONLY | os.O_CREAT))
    hook("open", (f"{tmp_path}/new", "w", os.O_WRONLY | os.O_CREAT))
    hook("open", (f"{tmp_path}/data/a", "r", os.O_RDONLY))
    hook("open", (f"{tmp_path}/data/b", "r", os.O_RDONLY))
    hook("open", (f"{tmp_path}/data/gone", "r", os.O_RDONLY))
    hook("open", (7, "r", os.O_RDONLY))
    hook("open", ("/dev/null", "w", os.O_WRONLY))
    hook("import", ("json",))
    assert told == [("write", f"{tmp_path}/new"), ("read", f"{tmp_path}/data/a")]


def test_what_changes_paths_is_a_write(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hook = watch(told)
    hook("os.mkdir", (b"folder", 0o777, -1))
    hook("os.rename", ("one", "two", -1, -1))
    hook("os.symlink", ("target", "link", -1))
    hook("sqlite3.connect", (":memory:",))
    hook("sqlite3.connect", ("data.sqlite",))
    descriptor = os.open("/usr", os.O_RDONLY)
    hook("os.mkdir", ("local", 0o777, descriptor))
    os.close(descriptor)
    names = [f"{tmp_path}/{name}" for name in ("folder", "one", "two", "link", "data.sqlite")]
    assert told == [("write", path) for path in [*names, "/usr/local"]]


def test_programs_and_hosts_are_told_and_unix_sockets_are_not(told):
    hook = watch(told)
    hook("subprocess.Popen", ("/bin/ls", [], None, None))
    hook("socket.getaddrinfo", ("example.org", 443, 0, 0, 0))
    with socket.socket() as inet, socket.socket(socket.AF_UNIX) as unix:
        hook("socket.connect", (inet, ("192.0.2.1", 443)))
        hook("socket.connect", (unix, "/run/x"))
        hook("socket.bind", (inet, ("127.0.0.1", 0)))
    assert told == [("program", "/bin/ls"), ("host", "example.org"), ("host", "192.0.2.1")]


def test_where_the_system_has_no_walls_the_hook_refuses(told, tmp_path):
    hook = watch(told, walled=True, cut=True, writable=("/tmp/",), sealed=("/tmp/project/",))
    hook("open", ("/tmp/x", "w", os.O_WRONLY | os.O_CREAT))
    hook("open", (sys.executable, None, os.O_RDONLY | os.O_CREAT))
    hook("open", ("below-an-open-folder", None, os.O_WRONLY | os.O_CREAT))
    for path in ("/home/x", "/tmp/project/x", "/tmpx"):
        with pytest.raises(OSError, match="Read-only") as refused:
            hook("open", (path, "w", os.O_WRONLY | os.O_CREAT))
        assert (refused.value.errno, refused.value.filename) == (errno.EROFS, path)
    with pytest.raises(socket.gaierror):
        hook("socket.getaddrinfo", ("example.org", 443, 0, 0, 0))
    with socket.socket() as inet, pytest.raises(OSError, match="unreachable"):
        hook("socket.connect", (inet, ("192.0.2.1", 443)))


def test_the_nearest_package_that_is_no_plumbing_is_named():
    frames = {}
    for name, file in (
        ("urllib3", "/p/urllib3/x.py"),
        ("lib", "/p/library/inner/y.py"),
        ("single", "/p/single.py"),
    ):
        space = {"sys": sys}
        code = "def call(inner=None):\n    return inner() if inner else sys._getframe()\n"
        exec(compile(code, file, "exec"), space)
        frames[name] = space["call"]
    packages = ("/p/",)
    assert writer(frames["single"](), packages) == "single"
    assert writer(frames["lib"](frames["urllib3"]), packages) == "library"
    assert writer(frames["urllib3"](), packages) == "urllib3"
    assert writer(sys._getframe(), packages) == ""
