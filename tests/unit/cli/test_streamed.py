"""Streamed answers in a terminal, from a model that needs no weights."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.cli import streamed

STREAMER = """
def handler(event, context):
    if event.get("whole"):
        return {"got": event}
    def pieces():
        yield "first "
        if event.get("fail"):
            raise ValueError("boom")
        yield b"light"
    return pieces()
"""


@pytest.fixture
def project(folder):
    (folder / "inference").mkdir()
    (folder / "inference" / "streamer.py").write_text(STREAMER)
    bundle = {"schema": 1, "name": "parrot", "task": "text-generation", "engine": "echo", "files": {}}
    (folder / "parrot").mkdir()
    (folder / "parrot" / "bundle.json").write_text(json.dumps(bundle))
    (folder / "firstlight.toml").write_text('name = "demo"\n[endpoints.parrot]\nmodel = "parrot"\n')
    return folder


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=5), st.integers(1, 30))
def test_events_wherever_they_are_cut(sent, size):
    wire = b"".join(b"data:" + json.dumps(event).encode() + b"\n\n" for event in sent)
    found = list(streamed.events(wire[at : at + size] for at in range(0, len(wire), size)))
    assert [{**event, "elapsed_ms": 0} for event in found] == [{**event, "elapsed_ms": 0} for event in sent]


@given(st.binary(), st.integers(1, 30))
def test_other_bytes_stay_as_they_are(wire, size):
    if not wire.startswith(b"data:"):
        pieces = (wire[at : at + size] for at in range(0, len(wire), size))
        assert b"".join(streamed.events(pieces)) == wire


def test_the_wish_for_a_stream():
    assert json.loads(streamed.asking(b'{"inputs": "a"}')) == {"inputs": "a", "stream": True}
    assert json.loads(streamed.asking(b'{"inputs": "a", "stream": false}'))["stream"] is False
    assert streamed.asking(b'["a"]') == b'["a"]'


@pytest.mark.parametrize("name", ["parrot", "./parrot"])
def test_run_streams_text(cli, project, name):
    done = cli("run", name, "--stream", "inputs=déjà vu", "parameters.return_full_text=false")
    assert (done.code, done.out) == (0, "déjà vu\n")
    assert "tokens in" in done.err
    assert "ended by eos_token" in done.err


def test_run_streams_events(cli, project):
    done = cli("run", "parrot", "--stream", "--json", "inputs=ab")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["token"]["text"] for event in events if event["token"]["text"]] == ["a", "b"]
    assert events[-1]["details"]["finish_reason"] == "eos_token"
    assert [event["elapsed_ms"] for event in events] == sorted(event["elapsed_ms"] for event in events)


def test_run_streams_a_script(cli, project):
    assert cli("run", "streamer", "--stream", "a=b").out == "first light"
    assert json.loads(cli("run", "streamer", "--stream", "whole=1").out)["got"]["whole"] == "1"


def test_what_breaks_off_is_explained(cli, project):
    done = cli("run", "streamer", "--stream", "fail=1")
    assert (done.code, done.out) == (1, "first ")
    assert "ValueError: boom" in done.err
    assert 'raise ValueError("boom")' in done.err
    assert "_called" not in done.err
