"""Wheels by way of pip: indexes of our own, and the real one; functions made of real wheels answer."""

import asyncio
import hashlib
import json
import platform
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from firstlight import project as projects
from firstlight import starters
from firstlight.build import lock as locks
from firstlight.build.pack import archive, contents, pinning, requirements, wheels
from firstlight.build.pack.asking import IndexUnreachable
from firstlight.build.pack.types import Contents, Target, Wheel
from firstlight.build.resolve import make
from firstlight.build.types import Silent, Wish
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, WorkerSpec
from firstlight.runtime.errors import ProjectError
from small_wheels import wheel

ARM, INTEL = Target(), Target("x86_64", "3.11")
HERE = Target(
    "arm64" if platform.machine() == "aarch64" else "x86_64", f"{sys.version_info[0]}.{sys.version_info[1]}"
)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all the index there is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return tmp_path / "links"


def _listed(folder: Path, text: str) -> requirements.Requirements:
    (folder / "requirements.txt").write_text(text)
    return requirements.read(folder / "requirements.txt", folder)


def test_another_file_in_its_place_is_refused(links: Path) -> None:
    wheel(links, "mine")
    with pytest.raises(ProjectError) as raised:
        wheels.fetch([Wheel("mine", "1.0", "mine-1.0-py3-none-any.whl", "0" * 64)], ARM)
    assert "not the one its hash says" in raised.value.message


def test_a_list_with_its_own_places_hashes_and_paths(links: Path, tmp_path: Path) -> None:
    more = wheel(tmp_path / "more", "hashed")
    direct = wheel(tmp_path / "wheels", "direct", "3.0+local")
    sha256 = hashlib.sha256(more.read_bytes()).hexdigest()
    own = hashlib.sha256(direct.read_bytes()).hexdigest()
    text = (
        f"--find-links more\nhashed==1.0 --hash=sha256:{sha256}\n./wheels/{direct.name} --hash=sha256:{own}\n"
    )
    (tmp_path / "requirements.txt").write_text(text.replace("./wheels/", f"{tmp_path}/wheels/"))
    its = requirements.read(tmp_path / "requirements.txt", tmp_path)
    found = wheels.resolve(its, INTEL)
    assert [(one.name, one.version) for one in found] == [("direct", "3.0+local"), ("hashed", "1.0")]
    assert set(wheels.fetch(found, INTEL, its)) == {more.name, direct.name}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index over HTTP that gives no hashes (PEP 503)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "index")))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_index_is_asked_over_http_and_its_address_is_nowhere(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = wheel(tmp_path / "index" / "simple" / "mine", "mine")
    (place.parent / "index.html").write_text(f'<a href="{place.name}">{place.name}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", index)
    found = wheels.resolve(["mine"], ARM)
    assert found == (Wheel("mine", "1.0", place.name, hashlib.sha256(place.read_bytes()).hexdigest()),)
    assert "127.0.0.1" not in json.dumps([str(one) for one in found])


def test_an_index_that_cannot_be_reached_is_said_to_be(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(IndexUnreachable):
        wheels.resolve(["mine"], ARM, about="requirements.txt")


def _placed(found: Contents, folder: Path) -> WorkerSpec:
    """A function laid out as on Lambda and started as there: nothing of this environment is in reach."""
    task = folder / found.endpoint
    for file in (file for piece in found.pieces if piece.name != "server" for file in piece.files):
        place = task / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.source if isinstance(file.source, bytes) else file.source.read_bytes())
    variables = {name: value.replace("/var/task", str(task)) for name, value in found.environment.items()}
    flags = ("-I",) if "FIRSTLIGHT_SCRIPT" in variables else ("-I", "-S")
    interpreter = sys._base_executable  # type: ignore[attr-defined]
    # The pool's own variable leads to this environment; what the function says is put in its place.
    path = f"FIRSTLIGHT_PATH={variables['FIRSTLIGHT_PATH']}"
    command = ("/usr/bin/env", path, interpreter, *flags, f"{task}/{found.command[0]}")
    return WorkerSpec(found.endpoint, command=command, env=variables, cwd=task)


async def _answered(specs: Mapping[str, WorkerSpec], events: Mapping[str, Any]) -> dict[str, Any]:
    pool = PoolInvoker(dict(specs))
    try:
        replies = {
            name: await pool.invoke(Invocation(name, json.dumps(event).encode()))
            for name, event in events.items()
        }
        return {name: json.loads(reply.payload) for name, reply in replies.items()}
    finally:
        await pool.close(0)


def _own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels are fetched anew; what pip has downloaded before, it need not download again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))


SERVED = {
    "sentiment": {"inputs": "what a lovely day"},
    "qa": {"inputs": {"question": "Who lives in Rome?", "context": "Anna lives in Rome."}},
    "translate-en2fr": {"inputs": "good morning"},
    "stories": {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 4}},
}


def test_functions_of_real_wheels_answer_with_nothing_else_in_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _own_cache(tmp_path / "cache", monkeypatch)
    root = tmp_path / "project"
    (root / "inference").mkdir(parents=True)
    listed = "\n".join(f'[endpoints.{name}]\nmodel = "starter:{name}"' for name in SERVED)
    (root / "firstlight.toml").write_text(listed)
    (root / "requirements.txt").write_text("simplejson\n")
    (root / "inference" / "polite.py").write_text(
        "import simplejson\nfrom firstlight import pipeline\n\nclassify = pipeline('sentiment-analysis')\n\n\n"
        "def handler(event, context):\n    return simplejson.loads(simplejson.dumps(classify(event['inputs'])))\n"
    )
    project = starters.with_tasks(projects.load(root, None, {}))
    made = {
        name: make(Wish(one.model, one.task), root)
        for name, one in project.endpoints.items()
        if one.model is not None
    }
    lock = pinning.pinned(project, made, locks.Lock(), HERE, Silent(), router=True)
    assert locks.parse(locks.text(lock)).targets == lock.targets
    found = {
        name: contents.of_endpoint(project, one, made.get(name), lock, HERE, Silent())
        for name, one in project.endpoints.items()
    }
    torchless = {part.name for one in found.values() for part in one.components}
    assert not torchless & {"torch", "numpy", "boto3", "transformers"}
    specs = {name: _placed(one, tmp_path / "out") for name, one in found.items()}
    answers = asyncio.run(_answered(specs, SERVED | {"polite": {"inputs": "what a lovely day"}}))
    assert answers["sentiment"][0]["label"] == answers["polite"][0]["label"] == "POSITIVE"
    assert answers["qa"]["answer"] == "Anna"
    assert answers["translate-en2fr"][0]["translation_text"] == "Bonjour"
    assert answers["stories"][0]["generated_text"].startswith("Once upon a time")


def test_the_same_lock_makes_the_same_zip_in_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:sentiment"\n')
    project = projects.load(tmp_path, None, {})
    made = make(Wish("starter:sentiment"), tmp_path)
    lock, digests = locks.Lock(), set()
    for number in range(2):
        _own_cache(tmp_path / f"cache {number}", monkeypatch)
        lock = pinning.pinned(project, {"mood": made}, lock, ARM, Silent())
        found = contents.of_endpoint(project, project.endpoints["mood"], made, lock, ARM, Silent())
        digests.add(archive.write(found, tmp_path / f"out {number}").sha256)
    assert len(digests) == 1
    assert found.size < 70_000_000
