"""``firstlight trace`` as its user meets it: a script that downloads, its layer in the lock, a server without HOME."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Server

SCRIPT = '''
"""Counts known words; the list of them is downloaded once."""
import os
import pathlib
import tempfile
import urllib.request

LIST = pathlib.Path(os.environ.get("NLTK_DATA", os.path.expanduser("~/nltk_data"))) / "corpora" / "known" / "en"


def known():
    if not LIST.is_file():
        LIST.parent.mkdir(parents=True)
        LIST.write_bytes(urllib.request.urlopen("URL").read())
    return set(LIST.read_text().split())


WORDS = known()


def handler(event, context):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"scratch")
    return {"known": sorted(WORDS & set(event["text"].split()))}
'''


class Words(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"cat mat sat\n")

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Words) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (tmp_path / "inference").mkdir()
        (tmp_path / "firstlight.toml").write_text('name = "traced"\n')
        url = f"http://127.0.0.1:{server.server_port}/words"
        (tmp_path / "inference" / "words.py").write_text(SCRIPT.replace("URL", url))
        yield tmp_path
        server.shutdown()
        thread.join()


def trace(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("FIRSTLIGHT_", "XDG_"))}
    command = [sys.executable, "-m", "firstlight", "trace", *words]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_from_a_script_that_downloads_to_an_endpoint_without_home(project: Path) -> None:
    done = trace(project, "inference/words.py", "-d", '{"text": "the cat sat"}')
    assert done.returncode == 0, done.stderr
    assert "NLTK" in done.stdout
    assert "NLTK_DATA" in done.stdout
    assert "proven: the same answer" in done.stdout
    locked = tomllib.loads((project / "firstlight.lock").read_text())["endpoints"]["words"]["caches"]
    assert locked["variables"] == {"NLTK_DATA": "{layer}/home/nltk_data"}


def test_the_lock_gives_workers_the_layer(project: Path) -> None:
    # What knows no variable of its own is found through HOME.
    script = project / "inference" / "words.py"
    script.write_text(script.read_text().replace("nltk_data", "own_words"))
    done = trace(project, "words", "--json", "-d", '{"text": "the cat sat"}')
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["endpoint"] == "words"
    assert said["proof"]["same"]
    assert said["caches"]["variables"] == {"HOME": "{layer}/home"}
    assert [json.loads(line)["stage"].split()[0] for line in done.stderr.splitlines()] == [
        "running",
        "packing",
        "running",
    ]
    script.write_text(script.read_text().replace("http://127.0.0.1", "http://192.0.2.1"))
    # FIRSTLIGHT_DATA_DIR of this server is another: only the tar file is copied there, as to another machine.
    name = f"{said['caches']['layer']}.tar"
    (project / "data" / "layers").mkdir(parents=True)
    (project / ".firstlight" / "layers" / name).rename(project / "data" / "layers" / name)
    with Server(project) as server:
        body = {"text": "a cat on the mat"}
        status, _, answer = server.ask("POST", "/2015-03-31/functions/words/invocations", body)
    assert (status, json.loads(answer)) == (200, {"known": ["cat", "mat"]})


def test_workers_are_given_links_where_a_library_writes_beside_its_data(project: Path) -> None:
    script = project / "inference" / "words.py"
    locked = "return set(LIST.read_text().split())"
    assert locked in script.read_text()
    beside = f"(LIST.parent / 'en.lock').write_text('')\n    {locked}"
    script.write_text(script.read_text().replace(locked, beside))
    done = trace(project, "words", "--json", "-d", '{"text": "the cat sat"}')
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["caches"]["variables"]["FIRSTLIGHT_LINKED"] == "{layer}"
    (project / ".firstlight").rename(project / "data")
    with Server(project) as server:
        status, _, answer = server.ask("POST", "/2015-03-31/functions/words/invocations", {"text": "a cat"})
    assert (status, json.loads(answer)) == (200, {"known": ["cat"]})
    layer = project / "data" / "layers" / said["caches"]["layer"]
    assert not (layer / "home/nltk_data/corpora/known/en.lock").exists()


def test_a_folder_without_a_project_file_has_its_scripts_as_endpoints(project: Path) -> None:
    (project / "firstlight.toml").unlink()
    done = trace(project, "inference/words.py", "--json", "--data", '{"text": "the cat sat"}')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["endpoint"] == "words"
    assert "words" in tomllib.loads((project / "firstlight.lock").read_text())["endpoints"]


def test_a_dry_run_and_a_script_that_is_no_endpoint(project: Path) -> None:
    other = project / "other.py"
    other.write_text("print('hello')\n")
    done = trace(project, "other.py", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "leaves nothing" in done.stdout
    assert "hello" in done.stderr
    other.write_text((project / "inference" / "words.py").read_text())
    (project / "event.json").write_text('{"text": "cat"}')
    done = trace(project, "other.py", "--event-file", "event.json")
    assert done.returncode == 0, done.stderr
    assert "set the variables yourself" in done.stdout
    assert not (project / "firstlight.lock").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nothing.py",), 1, "there is no script 'nothing.py'"),
        (("word",), 1, "Did you mean 'words'?"),
        (("mood",), 1, "mood is a model"),
        (("words",), 1, "KeyError: 'text'"),
        (("words", "-d", "{"), 1, "-d is not JSON"),
        (("words", "-d", "{}", "-f", "x"), 2, "give the inputs once"),
        (("words", "--timeout", "0"), 2, "timeout"),
        ((), 2, "SCRIPT"),
    ],
)
def test_mistakes_are_explained(project: Path, words: tuple[str, ...], code: int, said: str) -> None:
    (project / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:sentiment"\n')
    done = trace(project, *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "firstlight/trace" not in done.stderr
    assert not (project / "firstlight.lock").exists()
