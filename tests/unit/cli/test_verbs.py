from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from firstlight import __version__, starters
from firstlight.cli import VERBS
from firstlight.runtime.records.sqlite import SqliteStore

HANDLER = """
def handler(event, context):
    if event.get("fail"):
        raise ValueError("boom")
    return {"got": event, "by": context.function_name}
"""


@pytest.fixture
def project(folder):
    (folder / "inference").mkdir()
    (folder / "inference" / "hello.py").write_text(HANDLER)
    (folder / "firstlight.toml").write_text(
        'name = "demo"\n[endpoints.mood]\nmodel = "starter:sentiment"\nroute = "/mood"\nenv = { KEY = "hf_hidden" }\n'
    )
    return folder


def test_the_overview_names_every_verb_and_imports_none(cli):
    done = cli("--help")
    assert done.code == 0
    for verb, (line, _) in VERBS.items():
        assert f"  {verb} " in done.out
        assert line in done.out
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom firstlight.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
            "print(*sys.modules, file=sys.stderr)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stderr.split()
    heavy = {
        "asyncio",
        "uvicorn",
        "starlette",
        "sqlite3",
        "numpy",
        "tomllib",
        "firstlight.cli.serve",
        "firstlight.project",
    }
    assert not heavy & set(loaded)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(cli, verb):
    done = cli(verb, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: firstlight {verb}")


def test_version(cli):
    assert cli("--version").out == f"firstlight {__version__}\n"


def test_python_dash_m_is_the_same():
    done = subprocess.run(
        [sys.executable, "-m", "firstlight", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"firstlight {__version__}\n"


def test_an_alias_is_a_verb(cli):
    assert cli("dev", "--help").out.startswith("Usage: firstlight dev")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lst"], "there is no verb 'lst'. Did you mean 'list'?"),
        (["list", "--jsn"], "--jsn"),
        (["serve", "--port", "70000"], "70000"),
        (["invoke"], "missing argument 'NAME'"),
        (["invoke", "mood"], "give the inputs once"),
        (["run", "mood", "-d", "{}", "inputs=x"], "give the inputs once"),
        (["run", "mood", "inputs"], "'inputs' is not key=value"),
        (["run", "mood", "inputs=1", "inputs.a=2"], "already has a value"),
        (["run", "mood", "inputs=1", "inputs=2"], "given twice"),
        (["logs", "--since", "yesterday"], "--since 'yesterday'"),
        (["-C", "/nowhere", "list"], "cannot go to /nowhere"),
    ],
)
def test_a_wrong_call_ends_with_2(cli, project, words, message):
    done = cli(*words)
    assert done.code == 2
    error, help_line = done.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert help_line.startswith("help: see `firstlight")
    assert done.out == ""


@pytest.mark.parametrize(("words", "verb"), [([], "serve"), (["bundle"], "verify")])
def test_without_a_verb_the_verbs_are_shown(cli, words, verb):
    done = cli(*words)
    assert done.code == 2
    assert done.err.startswith("Usage: firstlight")
    assert verb in done.err


def test_errors_can_be_read_by_programs(cli):
    done = cli("run", "nothing", "-d", "{}", "--json")
    assert done.code == 1
    assert json.loads(done.err)["code"] == "endpoint-not-found"
    assert json.loads(cli("list", "--jsn", "--json").err)["code"] == "usage"


def test_init_begins_a_project_that_lists(cli, folder):
    done = cli("init", "lyrics")
    assert done.code == 0
    assert (folder / "lyrics" / "inference" / "hello.py").is_file()
    listed = cli("-C", "lyrics", "list", "--json").json
    assert [endpoint["name"] for endpoint in listed] == ["sentiment", "hello"]


def test_the_step_after_init_can_be_pasted_into_a_shell(cli, folder):
    assert "cd 'my songs' && firstlight serve" in cli("init", "my songs").err


def test_init_overwrites_nothing(cli, folder):
    (folder / ".gitignore").write_text("mine\n")
    done = cli("init", "--json")
    assert done.json["kept"] == [".gitignore"]
    assert (folder / ".gitignore").read_text() == "mine\n"
    toml = (folder / "firstlight.toml").read_text()
    again = cli("init")
    assert again.code == 1
    assert "already there" in again.err
    assert (folder / "firstlight.toml").read_text() == toml


def test_init_in_a_place_that_is_no_folder(cli, folder):
    (folder / "file").write_text("")
    done = cli("init", "file/inner")
    assert done.code == 1
    assert done.err.startswith("error: file/inner/firstlight.toml cannot be written")


def test_outside_a_project_the_starters_are_listed(cli):
    served = {endpoint["name"]: endpoint["task"] for endpoint in cli("list", "--json").json}
    assert set(served) == set(starters.names())
    assert (served["embeddings"], served["summarize"]) == ("feature-extraction", "summarization")


def test_a_starter_that_borrows_its_bundle_is_run_for_its_own_task(cli, folder):
    event = '{"inputs": "The mill stands by the river. It is old."}'
    for name in ("summarize", "starter:summarize"):
        assert cli("run", name, "-d", event).json == [{"summary_text": "The mill stands by the river."}]


def test_list_says_where_an_endpoint_is_from_and_no_secret(cli, project):
    shown = cli("list").out
    lines = [line.split() for line in shown.splitlines()]
    assert lines[0][0] == "NAME"
    assert lines[1][:2] == ["mood", "text-classification"]
    assert lines[1][-2:] == ["/mood", "starter:sentiment"]
    assert lines[2][-1] == "inference/hello.py"
    described = cli("list", "--json")
    assert described.json[0]["env"] == ["KEY"]
    assert "hf_hidden" not in shown + described.out


def test_a_script_without_a_handler_is_explained(cli, project):
    (project / "inference").mkdir(exist_ok=True)
    (project / "inference" / "tools.py").write_text("def handle(event, context): ...\n")
    done = cli("run", "tools", "-d", "{}")
    assert done.code == 1
    assert "inference/tools.py has nothing to call: define handler(event, context)" in done.err


def test_a_mistake_in_the_project_is_explained(cli, project):
    (project / "firstlight.toml").write_text("[endpoints.mood]\nmodl = 'x'\n")
    done = cli("list")
    assert (done.code, done.out) == (1, "")
    assert (
        done.err
        == "error: firstlight.toml [endpoints.mood] modl: is not a setting\nhelp: did you mean 'model'?\n"
    )


def test_run_answers_in_this_process(cli, project):
    done = cli("run", "hello", "inputs.question=who?", "parameters.top_k=2", "n=2")
    assert done.json == {
        "got": {"inputs": {"question": "who?"}, "parameters": {"top_k": 2}, "n": "2"},
        "by": "hello",
    }


def test_run_joins_a_stream(cli, project):
    (project / "inference" / "parts.py").write_text(
        "def handler(event, context):\n    yield b'one '\n    yield b'two'\n"
    )
    assert cli("run", "parts", "-d", "{}", "--json").json["payload"] == "one two"


def test_what_the_terminal_cannot_show_is_escaped(cli, project, monkeypatch):
    shown = subprocess.run(
        [sys.executable, "-m", "firstlight", "run", "hello", "inputs=né 😀"],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    ).stdout
    assert json.loads(shown)["got"] == {"inputs": "né 😀"}


def test_run_answers_with_a_model(cli, project):
    done = cli("run", "mood", "-d", '{"inputs": "what a lovely day"}', "--json")
    assert done.code == 0
    assert done.json["payload"][0]["label"] == "POSITIVE"


def test_run_explains_what_a_task_cannot_take(cli, project):
    done = cli("run", "mood", "-d", '{"inputs": 3}')
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: inputs must be")


def test_run_shows_the_trace_of_the_users_code(cli, project):
    done = cli("run", "hello", "fail=yes")
    assert done.code == 1
    assert "hello.py" in done.err
    assert done.err.endswith("error: ValueError: boom\n")


@pytest.mark.parametrize("way", ["-d", "-d@", "-f", "-f-", "-"])
def test_inputs_come_from_anywhere(cli, project, monkeypatch, way, tmp_path):
    event = '{"inputs": "né 😀"}'
    file = tmp_path / "event.json"
    file.write_text(event)
    words = {
        "-d": ["-d", event],
        "-d@": ["-d", f"@{file}"],
        "-f": ["-f", str(file)],
        "-f-": ["-f", "-"],
        "-": ["-"],
    }[way]
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        done = cli("run", "hello", *words)
    assert done.json["got"] == {"inputs": "né 😀"}


def test_inputs_that_are_not_json_are_explained(cli, project):
    done = cli("run", "hello", "-d", "what a lovely day")
    assert done.code == 1
    assert done.err.startswith("error: -d is not JSON")
    assert "help: for example" in done.err
    assert cli("run", "hello", "-f", "gone.json").err.startswith("error: gone.json cannot be read")


def test_a_value_may_be_a_file(cli, project):
    (project / "text.txt").write_text("from a file")
    assert cli("run", "hello", "inputs=@text.txt").json["got"] == {"inputs": "from a file"}


def test_a_bundle_can_be_looked_into_and_verified(cli, folder, tmp_path):
    described = cli("bundle", "inspect", "starter:sentiment", "--json").json
    assert described["task"] == "text-classification"
    text = cli("bundle", "inspect", "starter:sentiment").out
    assert described["digest"] in text
    assert "model.onnx" in text
    assert cli("bundle", "verify", "starter:sentiment", "--json").json["ok"] is True
    copy = tmp_path / "bundle"
    subprocess.run(["cp", "-r", described["path"], copy], check=True)
    assert cli("bundle", "verify", str(copy)).code == 0
    weights = copy / "tokenizer.json"
    changed = bytearray(weights.read_bytes())
    changed[100] ^= 1
    weights.write_bytes(changed)
    done = cli("bundle", "verify", str(copy))
    assert done.code == 1
    assert "tokenizer.json" in done.err
    weights.unlink()
    assert "tokenizer.json is missing" in cli("bundle", "inspect", str(copy)).err
    assert cli("bundle", "inspect", "nowhere").code == 1


def put(project, *records) -> None:
    store = SqliteStore(project / ".firstlight" / "records.sqlite")
    for record in records:
        store.put(record)
    store.close()


def test_logs_show_records(cli, project):
    put(
        project,
        {
            "request_id": "id-1",
            "endpoint": "mood",
            "status": "ok",
            "duration_ms": 2.5,
            "init_ms": 41.0,
            "cold": True,
        },
        {
            "request_id": "id-2",
            "endpoint": "qa",
            "status": "timeout",
            "error_type": "Sandbox.Timedout",
            "time": 1.0,
        },
        {
            "request_id": "id-3",
            "endpoint": "mood\x1b[31m",
            "status": "error",
            "warnings": ["cut\nhere"],
            "inputs": "ü",
        },
    )
    lines = cli("logs").out.splitlines()
    assert len(lines) == 3
    assert all(word in lines[0] for word in ("mood", "ok", "2.5 ms (init 41 ms)", "id-1"))
    assert "Sandbox.Timedout" in lines[1]
    assert "cut here" in lines[2]
    assert "\x1b" not in lines[2]
    assert [
        json.loads(line)["request_id"] for line in cli("logs", "--json", "--since", "1h").out.splitlines()
    ] == ["id-1", "id-3"]
    assert len(cli("logs", "--status", "timeout").out.splitlines()) == 1
    assert len(cli("logs", "--endpoint", "mood", "--limit", "5").out.splitlines()) == 1
    assert len(cli("logs", "--limit", "2").out.splitlines()) == 2


def test_logs_without_records(cli, project):
    done = cli("logs")
    assert done.code == 1
    assert "no records yet" in done.err


def test_invoke_without_a_server(cli, project):
    done = cli("invoke", "mood", "inputs=x", "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert done.err.startswith("error: no server answers at http://127.0.0.1:9")
    assert "help: start one" in done.err
    assert "is not the URL of a server" in cli("invoke", "mood", "inputs=x", "--url", "localhost").err
