from __future__ import annotations

import json

from firstlight.cli import progress


def test_piped_it_says_when_a_stage_begins_and_when_it_is_done(capsys):
    with progress.shown() as shown:
        shown.stage("downloading a model", 3_000_000)
        shown.advance(1_000_000)
        shown.advance(2_000_000)
        shown.stage("converting it")
        shown.say("it is gated")
    assert capsys.readouterr().err.splitlines() == [
        "downloading a model: 0.0 of 3.0 MB",
        "downloading a model: 3.0 of 3.0 MB",
        "converting it",
        "it is gated",
    ]


def test_a_long_stage_says_how_far_it_is_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 2.5, 2.5, 3.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = progress.Lines()
    shown.stage("downloading", 10_000_000)
    for _ in range(3):
        shown.advance(1_000_000)
    assert capsys.readouterr().err.splitlines()[1:] == ["downloading: 2.0 of 10.0 MB"]


def test_for_machines_every_line_is_json(capsys):
    with progress.shown(as_json=True) as shown:
        shown.stage("downloading", 2)
        shown.advance(2)
        shown.say("done")
    assert [json.loads(line) for line in capsys.readouterr().err.splitlines()] == [
        {"stage": "downloading", "done": 0, "total": 2},
        {"stage": "downloading", "done": 2, "total": 2},
        {"said": "done"},
    ]


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown() as shown:
        assert isinstance(shown, progress.Bar)
        shown.stage("downloading a model", 3_000_000)
        shown.advance(3_000_000)
        shown.say("[not markup] said above the bar")
    shown_there = capsys.readouterr().err
    assert "downloading a model" in shown_there
    assert "[not markup] said above the bar" in shown_there
