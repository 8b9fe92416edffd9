"""Whole traces of small scripts: what they dropped is packed, and the proof holds or says why not."""

from __future__ import annotations

import hashlib
import http.server
import threading

import pytest

from firstlight import isolation
from firstlight.trace import layers, tracing
from firstlight.trace.runs import Script
from firstlight.trace.types import ScriptFailed, TraceError

FETCHING = """
import os
import pathlib
import urllib.request

def fetched(path, url):
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url) as answer:
            path.write_bytes(answer.read())
        path.chmod(0o600)
        (path.parent / "fetched.log").write_text("done")
    return path.read_text()

def handler(event, context):
    home = fetched(pathlib.Path.home() / "own_data" / "words.txt", event["url"])
    cache = fetched(pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "thing" / "ü.txt", event["url"])
    return {"words": home.split(), "again": cache, "third": 1 / 3}
"""


class Stages:
    def __init__(self):
        self.names = []

    def stage(self, name, total=None):
        self.names.append(name)


class Words(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"one two\n\n")

    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Words) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/words"
        server.shutdown()
        thread.join()


@pytest.fixture
def trace(tmp_path):
    def trace(source, event="{}", **more):
        path = tmp_path / "script.py"
        path.write_text(source)
        script = Script(path, event, tmp_path, more.pop("name", "script"), more.pop("env", {}))
        return tracing.trace(script, layers.folder(tmp_path, {}), more.pop("stages", Stages()), **more)

    return trace


@pytest.fixture
def unwalled(monkeypatch):
    """A machine whose system allows no walls."""
    support = isolation.Support("none", dict.fromkeys(isolation.machine.WALLS, "not allowed"))
    monkeypatch.setattr("firstlight.isolation.machine.support", lambda: support)


def leftovers(tmp_path):
    folder = layers.folder(tmp_path, {})
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_what_a_script_fetched_is_packed_and_proven(trace, tmp_path, url):
    stages = Stages()
    before = Words.asked
    found = trace(FETCHING, f'{{"url": "{url}"}}', stages=stages)
    assert Words.asked == before + 2
    assert [row.path for row in found.dropped] == ["cache/thing", "home/own_data"]
    assert [row.why_left for row in found.dropped] == [("a log",), ("a log",)]
    assert found.hosts == ("127.0.0.1",)
    assert found.outside == found.reads == ()
    assert found.caches.variables == {"HOME": "{layer}/home", "XDG_CACHE_HOME": "{layer}/cache"}
    assert found.caches.script == hashlib.sha256(FETCHING.encode()).hexdigest()
    assert found.proof.same
    assert found.proof.unstable == ()
    place = layers.folder(tmp_path, {}) / found.caches.layer
    assert (place / "cache/thing/ü.txt").read_text() == "one two\n\n"
    assert oct((place / "home/own_data/words.txt").stat().st_mode)[-3:] == "644"
    assert leftovers(tmp_path) == [found.caches.layer, f"{found.caches.layer}.tar"]
    assert [name.split()[0] for name in stages.names] == ["running", "packing", "running"]
    assert trace(FETCHING, f'{{"url": "{url}"}}').caches == found.caches


def test_without_walls_of_the_system_python_code_is_refused_and_it_is_said(trace, url, unwalled):
    found = trace(FETCHING, f'{{"url": "{url}"}}')
    assert found.proof.same
    assert found.proof.walls == "none"
    assert len(found.proof.missing) == 3
    with pytest.raises(ScriptFailed, match="fails with the layer alone") as caught:
        trace(
            f"import urllib.request\ndef handler(e, c): return urllib.request.urlopen('{url}').read().decode()"
        )
    assert "--keep-network" in caught.value.hint
    with pytest.raises(ScriptFailed, match="Read-only") as caught:
        trace("def handler(e, c): open('beside.txt', 'w').close()")
    assert "beside.txt" in caught.value.hint


def test_a_dry_run_writes_nothing(trace, tmp_path, url):
    found = trace(FETCHING, f'{{"url": "{url}"}}', dry_run=True)
    assert len(found.dropped) == 2
    assert found.caches is None
    assert found.proof is None
    assert not (tmp_path / ".firstlight").exists()


def test_what_calls_out_at_every_answer(trace, tmp_path, url):
    source = (
        f"import urllib.request\ndef handler(e, c): return urllib.request.urlopen('{url}').read().decode()"
    )
    with pytest.raises(ScriptFailed, match="fails with the layer alone") as caught:
        trace(source)
    assert "it calls 127.0.0.1" in caught.value.hint
    assert "--keep-network" in caught.value.hint
    assert any("script.py" in line for line in caught.value.payload["stackTrace"])
    assert trace(source, network=True).proof.network


def test_what_writes_to_home_at_every_answer_leaves_no_layer(trace, tmp_path):
    source = "import pathlib\ndef handler(e, c): (pathlib.Path.home() / 'notes.txt').open('a').close()"
    with pytest.raises(ScriptFailed, match="fails with the layer alone") as caught:
        trace(source)
    assert "/tmp" in caught.value.hint
    assert "home/notes.txt" in caught.value.hint
    assert leftovers(tmp_path) == []


def test_a_script_that_fails_by_itself(trace):
    with pytest.raises(ScriptFailed, match="KeyError: 'url'") as caught:
        trace(FETCHING)
    assert "-d" in caught.value.hint
    assert len(caught.value.payload["stackTrace"]) == 1
    with pytest.raises(ScriptFailed, match=r"script\.py fails") as caught:
        trace(FETCHING, '{"url": "http://127.0.0.1:9/"}')
    assert "could not reach 127.0.0.1" in caught.value.hint


def test_what_differs_from_run_to_run_is_left_out_and_named(trace):
    found = trace("import uuid\ndef handler(e, c): return {'id': str(uuid.uuid4()), 'x': [1, 2]}")
    assert found.proof.unstable == ("$.id",)
    assert found.caches is None


def test_where_the_librarys_variable_does_not_do_the_place_itself_is_moved(trace):
    source = """
import pathlib
def handler(event, context):
    path = pathlib.Path.home() / "nltk_data" / "words"
    if not path.is_file():
        path.parent.mkdir()
        path.write_text("one")
    return path.read_text()
"""
    found = trace(source)
    assert found.caches.variables == {"HOME": "{layer}/home", "NLTK_DATA": "{layer}/home/nltk_data"}
    assert any("HOME" in note for note in found.notes)


LOCKING = """
import os
import pathlib

def handler(event, context):
    folder = pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "lib"
    folder.mkdir(exist_ok=True)
    with (folder / "data.lock").open("w"):
        data = folder / "data.txt"
        if not data.is_file():
            data.write_text("one")
        return [data.read_text(), os.access(folder, os.W_OK)]
"""


def test_a_library_that_locks_beside_its_data_is_given_links(trace):
    found = trace(LOCKING)
    assert found.caches.variables == {"XDG_CACHE_HOME": "{layer}/cache", "FIRSTLIGHT_LINKED": "{layer}"}
    assert any("links" in note for note in found.notes)
    assert found.proof.same


def test_what_changes_its_data_is_not_proven_by_links(trace, tmp_path):
    with pytest.raises(ScriptFailed, match="Read-only"):
        trace(LOCKING.replace("data.read_text()", "data.open('a').write('more')"))
    assert leftovers(tmp_path) == []


def test_another_answer_is_an_error(trace, tmp_path):
    source = """
import os
def handler(event, context):
    try:
        with open("state.txt", "a+") as file:
            file.seek(0)
            return {"state": file.read() or "new", "x": 1}
    except OSError:
        return {"state": "none", "x": 1}
"""
    with pytest.raises(TraceError, match=r"at \$\.state 'none' instead of 'new'") as caught:
        trace(source)
    assert "state.txt" in caught.value.hint
    assert leftovers(tmp_path) == []


def test_what_is_written_read_and_started_elsewhere_is_told(trace, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "data.txt").write_text("here only")
    source = f"""
import os, subprocess
def handler(event, context):
    with open("{elsewhere}/data.txt") as file: text = file.read()
    os.mkdir("{elsewhere}/made")
    subprocess.run(["true"], check=True)
    return text
"""
    found = trace(source, dry_run=True)
    assert [(seen.what, seen.by) for seen in found.outside] == [(f"{elsewhere}/made", "")]
    assert found.reads == (str(elsewhere),)
    assert found.programs == ("true",)
    assert len(found.notes) == 2


def test_packages_that_another_program_installs_are_told(trace, tmp_path_factory, monkeypatch):
    packages = tmp_path_factory.mktemp("packages")
    (packages / "old").mkdir()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(packages))
    source = f"import subprocess\ndef handler(e, c): subprocess.run(['mkdir', '{packages}/new'], check=True)"
    found = trace(source, dry_run=True)
    assert [(seen.what, seen.by) for seen in found.outside] == [(f"{packages}/new", "another program")]


def test_more_than_lambda_takes_is_told(trace):
    source = """
import pathlib
def handler(event, context):
    path = pathlib.Path.home() / "big" / "model.bin"
    path.parent.mkdir()
    with path.open("wb") as file: file.truncate(270_000_000)
"""
    (note,) = trace(source, dry_run=True).notes
    assert "270 MB are more than the 250 MB" in note


def test_the_endpoints_own_variables_win(trace, tmp_path_factory):
    source = (
        "import os, pathlib\n"
        "def handler(e, c):\n"
        "    pathlib.Path(os.environ['XDG_CACHE_HOME'], 'x').write_text('a')\n"
    )
    with pytest.raises(ScriptFailed, match="fails with the layer alone"):
        trace(source)
    assert trace(source, env={"XDG_CACHE_HOME": "/tmp"}).outside[0].what == "/tmp/x"
