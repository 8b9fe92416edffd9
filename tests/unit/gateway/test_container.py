from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.gateway import container
from firstlight.gateway.app import create_app
from firstlight.gateway.container import Emulating, Settings
from firstlight.project import Project
from firstlight.runtime.errors import ProjectError
from gateways import Client, TableInvoker

MODEL = {"FIRSTLIGHT_BUNDLE": "/var/task/.firstlight/bundle", "FIRSTLIGHT_ENDPOINT": "mood"}
SCRIPT = {"FIRSTLIGHT_SCRIPT": "/var/task/app.py"}


def test_what_an_image_says_is_read() -> None:
    settings = Settings.read(
        {**MODEL, "FIRSTLIGHT_TASK": "text-classification", "SECRET": "x", "PORT": "9000"}
    )
    assert (settings.endpoint, settings.port, settings.timeout_s) == ("mood", 9000, 300.0)
    assert settings.bundle == Path("/var/task/.firstlight/bundle")
    assert settings.variables["SECRET"] == "x"
    assert "PORT" not in settings.variables
    spec = settings.spec()
    assert (spec.bundle, spec.task, spec.cwd) == (settings.bundle, "text-classification", None)
    assert settings.project(Path("/tmp")).endpoints["mood"].timeout == 300.0


def test_a_script_runs_in_the_functions_folder() -> None:
    settings = Settings.read(SCRIPT)
    assert settings.endpoint == "function"
    assert (settings.spec().script, settings.spec().cwd) == (Path("/var/task/app.py"), Path("/var/task"))


def test_awss_own_names_of_limits_are_taken() -> None:
    settings = Settings.read(
        {**MODEL, "AWS_LAMBDA_FUNCTION_TIMEOUT": "7", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "PORT": ""}
    )
    assert (settings.timeout_s, settings.memory_mb, settings.port) == (7.0, 512, 8080)
    assert Settings.read({**MODEL, "FIRSTLIGHT_CONCURRENCY": "3"}).concurrency == 3


def test_a_token_is_asked_for_unless_it_is_said_otherwise() -> None:
    given = Settings.read({**MODEL, "FIRSTLIGHT_TOKEN": "lux"})
    assert (given.token, given.made) == ("lux", False)
    made = Settings.read(MODEL)
    assert made.made
    assert len(made.token or "") > 20
    assert Settings.read(MODEL).token != made.token
    opened = Settings.read({**MODEL, "FIRSTLIGHT_OPEN": "1", "FIRSTLIGHT_TOKEN": "lux"})
    assert (opened.token, opened.made) == (None, False)
    assert "FIRSTLIGHT_TOKEN" not in given.variables


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "nothing says what to serve"),
        ({**MODEL, "PORT": "http"}, "PORT is 'http'"),
        ({**MODEL, "PORT": "70000"}, "PORT is '70000'"),
        ({**MODEL, "FIRSTLIGHT_CONCURRENCY": "0"}, "FIRSTLIGHT_CONCURRENCY is '0'"),
        ({**MODEL, "AWS_LAMBDA_FUNCTION_TIMEOUT": "nan"}, "is 'nan'"),
    ],
)
def test_what_cannot_be_is_explained(env: dict[str, str], words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        Settings.read(env)


def test_it_ends_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        container.main({})
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: nothing says what to serve\nhelp: set ")


def test_the_containers_memory_is_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text("268435456\n")
    monkeypatch.setattr(container, "_CGROUP", (str(tmp_path / "none"), str(tmp_path / "max")))
    assert container.allowed_mb() == 256
    (tmp_path / "max").write_text("max\n")
    assert container.allowed_mb() > 256


async def test_the_endpoint_has_two_names_and_needs_no_token_where_it_is_open(
    project: Project, invoker: TableInvoker
) -> None:
    invoker.table["sentiment"] = {"yes": 1}
    client = Client(Emulating(create_app(project, invoker, hosts=("*",), anyone=True), "sentiment"))
    for called in ("function", "sentiment"):
        answer = await client(
            "POST",
            f"/2015-03-31/functions/{called}/invocations",
            {},
            {"host": "demo.example"},
            server=("10.0.0.7", 8080),
        )
        assert (answer.status, answer.json()) == (200, {"yes": 1})


async def test_whoever_is_not_told_to_be_open_is_not(project: Project, invoker: TableInvoker) -> None:
    client = Client(create_app(project, invoker, token="lux", hosts=("*",), anyone=True))
    assert (await client("GET", "/health", server=("10.0.0.7", 8080))).status == 401
