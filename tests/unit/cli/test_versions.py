from __future__ import annotations

import json
import stat

import pytest


@pytest.fixture
def project(folder):
    (folder / "inference").mkdir()
    for name in ("f", "g"):
        (folder / "inference" / f"{name}.py").write_text("def handler(event, context): ...\n")
    (folder / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:sentiment"\n')
    return folder


def test_publish_without_a_server(cli, project):
    done = cli("publish", "--description", "é")
    assert (done.code, [line.split()[:2] for line in done.out.splitlines()]) == (
        0,
        [["mood", "1"], ["f", "1"], ["g", "1"]],
    )
    (project / "inference" / "f.py").write_text("def handler(event, context): return 1\n")
    assert cli("publish", "f", "--json").json["version"] == "2"
    assert cli("publish", "g", "--json").json["version"] == "1"
    listed = [json.loads(line) for line in cli("publish", "f", "--list", "--json").out.splitlines()]
    assert [(version["version"], version["description"]) for version in listed] == [("1", "é"), ("2", "")]
    data = project / ".firstlight"
    assert (data / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE((data / "functions.json").stat().st_mode) == 0o600


def test_aliases_without_a_server(cli, project):
    cli("publish", "f")
    assert "f                     live          1\n" in cli("alias", "set", "f", "live", "--version", "1").out
    told = cli("alias", "set", "f", "live", "--version", "$LATEST", "--description", "now", "--json").json
    assert told == {
        "endpoint": "f",
        "alias": "live",
        "version": "$LATEST",
        "weights": {},
        "description": "now",
    }
    assert "live" in cli("alias", "list").out
    assert cli("alias", "list", "g").out == ""
    assert cli("alias", "delete", "f", "live", "--json").json["deleted"] is True
    failed = cli("alias", "delete", "f", "live")
    assert (failed.code, "has no alias" in failed.err or "Cannot find alias" in failed.err) == (1, True)


@pytest.mark.parametrize("words", [("publish", "nobody"), ("alias", "list", "nobody")])
def test_an_endpoint_that_is_not_there(cli, project, words):
    done = cli(*words)
    assert done.code == 1
    assert "has no endpoint 'nobody'" in done.err


@pytest.mark.parametrize("weight", ["2", "2=", "2=x", "=0"])
def test_a_weight_that_is_none(cli, project, weight):
    done = cli("alias", "set", "f", "live", "--version", "1", "--weight", weight)
    assert done.code in (1, 2)
    assert "error:" in done.err


def test_a_state_that_is_garbage(cli, project):
    (project / ".firstlight").mkdir()
    (project / ".firstlight" / "functions.json").write_text("nonsense")
    done = cli("publish", "f")
    assert done.code == 1
    assert "is not what firstlight wrote" in done.err
    assert "Traceback" not in done.err
