"""``firstlight doctor``, as its user calls it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from firstlight.doctor import libraries, machine

CLEAN = "def handler(event, context):\n    return {'greeting': 'hello'}\n"


@pytest.fixture
def demo(folder, monkeypatch):
    """A project with a script, on a machine where all is well."""
    monkeypatch.setattr(libraries, "_LOADS", {"onnxruntime": "print('1.0')"})
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    monkeypatch.setenv("FIRSTLIGHT_PORT", "0")
    write(folder / "inference" / "hello.py", CLEAN)
    write(folder / "firstlight.toml", "[endpoints.hello]\ntimeout = 20\n")
    for path in (folder, folder / "inference"):
        path.chmod(0o755)
    return folder


def write(file: Path, text: str, mode: int = 0o644) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def entry(done, title):
    (found,) = [one for one in done.json["checks"] if one["check"] == title]
    return found


def test_all_is_well(cli, demo):
    done = cli("doctor")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "this machine"
    assert "the project" in lines
    assert f"  ok       python        Python {sys.version.split()[0]}" in lines
    assert "  ok       libraries     onnxruntime 1.0" in lines
    assert not [line for line in lines if line.endswith(", on AWS Lambda")]
    assert "problem" not in done.out.replace("no problems", "")


def test_warnings_do_not_fail(cli, demo):
    write(demo / "firstlight.toml", '[endpoints.hello]\nenv = { API_TOKEN = "x1y2" }\n')
    done = cli("doctor")
    assert done.code == 0
    assert "  warning  secrets       firstlight.toml: [endpoints.hello] env has API_TOKEN" in done.out
    assert "warning: project.secrets: firstlight.toml: [endpoints.hello] env has API_TOKEN" in done.out
    assert "  fix: take it out of the file" in done.out
    assert "x1y2" not in done.out + done.err


def test_problems_do(cli, demo):
    write(demo / "inference" / "hello.py", f"import no_such_package\n{CLEAN}")
    done = cli("doctor")
    assert done.code == 1
    assert "  problem  scripts       inference/hello.py:1: no_such_package is not installed" in done.out
    assert "  fix: pip install no_such_package" in done.out
    assert done.out.splitlines()[-1].startswith("1 problem, ")


def test_a_project_file_with_a_mistake_is_a_finding(cli, demo):
    write(demo / "firstlight.toml", "[endpoints.hello]\ntimeuot = 20\n")
    done = cli("doctor", "--lambda", "--json")
    assert done.code == 1
    found = entry(done, "project.file")
    assert found["level"] == "problem"
    assert found["fix"] == "did you mean 'timeout'?"
    assert not [one for one in done.json["checks"] if one["endpoint"]]


def test_json(cli, demo):
    done = cli("doctor", "--json")
    assert done.code == 0
    assert len(done.out.splitlines()) == 1
    assert done.json["problems"] == done.json["fixed"] == 0
    assert entry(done, "machine.python") == {
        "check": "machine.python",
        "endpoint": None,
        "level": "ok",
        "what": f"Python {sys.version.split()[0]}",
        "where": None,
        "why": None,
        "fix": None,
        "repairable": False,
        "done": None,
    }


def test_fix(cli, demo):
    write(demo / "weights.safetensors", "w", 0o600)
    write(demo / ".firstlight" / "server.json", "torn")
    left = demo.parent / "cache" / "firstlight" / "bundles" / ".0123-x"
    left.mkdir(parents=True)
    os.utime(left, (time.time() - 2 * machine._ABANDONED_S,) * 2)
    write(
        demo / "inference" / "hello.py",
        "def handler(event, context):\n    return open('weights.safetensors').read()\n",
    )
    before = cli("doctor", "--lambda")
    assert before.code == 1
    assert "`firstlight doctor --fix` repairs 3" in before.out
    assert left.is_dir()
    done = cli("doctor", "--lambda", "--fix")
    assert done.code == 0, done.out
    assert "  fixed    cache " in done.out
    assert "  done: removed 1 unfinished conversions" in done.out
    assert "  done: let others read 1 files and folders (chmod a+rX)" in done.out
    assert "3 fixed" in done.out
    assert not left.exists()
    assert not (demo / ".firstlight" / "server.json").exists()
    assert (demo / "weights.safetensors").stat().st_mode & 0o777 == 0o644
    assert "fixed" not in cli("doctor", "--lambda", "--fix").out


def test_lambda_runs_every_endpoint_behind_walls(cli, demo):
    write(demo / "firstlight.toml", '[endpoints.mood]\nmodel = "starter:sentiment"\n')
    write(
        demo / "inference" / "home.py", "import os\nos.makedirs(os.path.expanduser('~/x'))\nhandler = print\n"
    )
    done = cli("doctor", "--lambda", "mood", "home", "--json")
    assert done.code == 1
    of = {(one["endpoint"], one["check"]): one for one in done.json["checks"]}
    assert not [name for name, _ in of if name == "hello"]
    assert of["mood", "lambda.start"]["level"] == "ok"
    assert of["mood", "lambda.payload"]["what"].startswith("the answer to the example has ")
    assert {title for name, title in of if name == "mood"} == {
        f"lambda.{name}"
        for name in (
            *("readable", "start", "memory", "network", "tmp", "locks", "payload", "body", "timeout", "size"),
            *("variables", "instructions"),
        )
    }
    home = of["home", "lambda.start"]
    assert home["level"] == "problem"
    assert home["where"] == "inference/home.py"
    assert "/home/sbx_user1051" in home["what"]
    assert home["fix"].startswith("HOME is /home/sbx_user1051 on AWS Lambda")


def test_an_event_for_scripts(cli, demo):
    write(demo / "inference" / "hello.py", "def handler(event, context):\n    return event['name']\n")
    plain = cli("doctor", "--lambda", "hello")
    assert "called with an empty event it answers KeyError: 'name'" in plain.out
    assert plain.code == 0
    assert "KeyError" not in cli("doctor", "--lambda", "hello", "-d", '{"name": "Ann"}').out


def test_the_hub_is_asked_only_when_told_to(cli, demo, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "the hub" not in cli("doctor").out
    done = cli("doctor", "--online")
    assert done.code == 1
    assert "http://127.0.0.1:1 cannot be reached" in done.out


def test_called_wrongly(cli, demo):
    assert cli("doctor", "--data", "{}").code == 2
    done = cli("doctor", "--lambda", "helo")
    assert done.code == 1
    assert "did you mean 'hello'?" in done.err


def test_without_a_project_the_starters_are_meant(cli, folder, monkeypatch):
    monkeypatch.setattr(libraries, "_LOADS", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    done = cli("doctor", "--json")
    assert "the starters are served" in entry(done, "project.file")["what"]
