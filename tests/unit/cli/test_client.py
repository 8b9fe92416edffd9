from __future__ import annotations

import json
import os

import pytest

from firstlight.cli import reloading
from firstlight.cli.client import DEFAULT_URL, NOTE, Server


@pytest.fixture
def noted(tmp_path):
    note = {"url": "http://127.0.0.1:1234", "token": "noted", "pid": os.getpid()}
    (tmp_path / NOTE).write_text(json.dumps(note))
    return tmp_path


def test_flag_wins_over_environment_over_note_over_default(noted, tmp_path_factory):
    env = {"FIRSTLIGHT_URL": "http://env/", "FIRSTLIGHT_TOKEN": "from-env"}
    empty = tmp_path_factory.mktemp("empty")
    assert Server.find("http://flag/", "flag", noted, env) == Server("http://flag", "flag")
    assert Server.find(None, None, noted, env) == Server("http://env", "from-env")
    assert Server.find(None, None, noted, {}) == Server("http://127.0.0.1:1234", "noted")
    assert Server.find(None, None, empty, {}) == Server(DEFAULT_URL, None)


def test_a_noted_token_goes_to_no_other_server(noted):
    assert Server.find("http://elsewhere", None, noted, {}).token is None
    assert "noted" not in repr(Server.find(None, None, noted, {}))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"url": 3, "pid": 1}', '{"url": "http://x", "pid": -1e9}', "\udcff"]
)
def test_a_note_that_says_nothing_is_no_note(tmp_path, text):
    (tmp_path / NOTE).write_text(text, errors="surrogateescape")
    assert Server.find(None, None, tmp_path, {}).url == DEFAULT_URL


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("firstlight.toml", True),
        ("inference/hello.py", True),
        ("inference/words.txt", True),
        (".firstlight/records.sqlite-wal", False),
        (".git/index", False),
        ("inference/__pycache__/hello.pyc", False),
        ("inference/.hello.py.swp", False),
        ("inference/hello.py~", False),
        ("../other/hello.py", False),
    ],
)
def test_which_changes_count(tmp_path, path, counts):
    assert reloading.belongs(tmp_path, os.path.normpath(tmp_path / path)) is counts
