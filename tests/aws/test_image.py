"""Images of functions under a real daemon: as on Lambda (AWS's emulator), and as an HTTP server everywhere else."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from parts.daemon import Daemon
from parts.functions import Functions

INVOKE = "/2015-03-31/functions/function/invocations"
HARD = (
    *("--read-only", "--tmpfs", "/tmp:size=64m", "--ipc", "none", "--cap-drop", "ALL", "--user", "993:990"),
    *("--security-opt", "no-new-privileges", "--memory", "512m", "--publish", "127.0.0.1::8080"),
)
"""As on Lambda: nothing but /tmp can be written, nobody knows the user, there is no /dev/shm."""
TOKEN = {"Authorization": "Bearer lux"}


@contextmanager
def running(daemon: Daemon, *words: str) -> Iterator[tuple[str, str]]:
    """A container, removed afterwards: its id and its address."""
    container = daemon.docker("run", "--detach", *words).stdout.strip()
    try:
        yield container, f"http://127.0.0.1:{daemon.port(container)}"
    finally:
        daemon.remove(container)


def ask(url: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    """Status, headers and body of an answer; a server that is only starting is waited for."""
    text = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, text, {"content-type": "application/json", **(headers or {})})
    last = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, answer.headers, _content(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, _content(error.read())
        except OSError:
            assert time.monotonic() < last, "nothing answers"
            time.sleep(0.05)


def _content(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def test_it_serves_http_where_there_is_no_lambda(daemon: Daemon, functions: Functions) -> None:
    with running(daemon, *HARD, "--env", "FIRSTLIGHT_TOKEN=lux", functions.names["mood"]) as (container, url):
        event = {"inputs": "I love you"}
        status, headers, answer = ask(url + INVOKE, event, TOKEN)
        assert status == 200, answer
        assert answer[0]["label"] == "POSITIVE"
        assert headers["x-amz-executed-version"] == "$LATEST"
        assert ask(url + INVOKE.replace("function/", "mood/"), event, TOKEN)[2] == answer
        assert ask(f"{url}/models/mood", event, TOKEN)[2][0][0]["label"] == "POSITIVE"
        assert ask(url + INVOKE, event)[0] == 403
        assert ask(f"{url}/livez")[0] == 200
        began = time.monotonic()
        daemon.docker("stop", "--time", "30", container)
        assert time.monotonic() - began < 20  # it heard SIGTERM
        assert daemon.docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip() == "0"
        assert "serves mood on port 8080" in daemon.docker("logs", container).stderr


def test_a_token_is_made_where_none_is_given(daemon: Daemon, functions: Functions) -> None:
    with running(daemon, *HARD, functions.names["hello"]) as (container, url):
        assert ask(f"{url}/livez")[0] == 200
        said = daemon.docker("logs", container).stderr
        token = said.partition("the token ")[2].split()[0]
        assert ask(url + INVOKE, {}, {"Authorization": f"Bearer {token}"})[2] == {"hello": "world"}
        assert ask(url + INVOKE, {})[0] == 403


def test_it_is_open_where_it_is_told_so_and_listens_where_it_is_told(
    daemon: Daemon, functions: Functions
) -> None:
    words = [word.replace("8080", "9000") for word in HARD]
    container = daemon.docker(
        *("run", "--detach", *words, "--env", "PORT=9000", "--env", "FIRSTLIGHT_OPEN=1"),
        functions.names["hello"],
    ).stdout.strip()
    try:
        url = f"http://127.0.0.1:{daemon.port(container, 9000)}"
        assert ask(url + INVOKE, {"name": "you"})[2] == {"hello": "you"}
        where = ask(url + INVOKE, {"do": "where"})[2]
        assert where == {"home": "/tmp", "user": 993, "function": "hello"}
        assert (
            ask(f"{url}/2021-11-15/functions/function/response-streaming-invocations", {"do": "stream"})[0]
            == 200
        )
    finally:
        daemon.remove(container)


def test_memory_ends_the_worker_and_not_the_container(daemon: Daemon, functions: Functions) -> None:
    limited = [word.replace("512m", "256m") for word in HARD]
    with running(daemon, *limited, "--env", "FIRSTLIGHT_TOKEN=lux", functions.names["hello"]) as (_, url):
        status, headers, answer = ask(url + INVOKE, {"do": "memory", "bytes": 400_000_000}, TOKEN)
        assert (status, headers["x-amz-function-error"]) == (200, "Unhandled"), answer
        assert ask(url + INVOKE, {"name": "you"}, TOKEN)[2] == {"hello": "you"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--read-only",), "mount /tmp"),
        (("--env", "PORT=many"), "PORT is 'many'"),
        (("--env", "FIRSTLIGHT_BUNDLE="), "nothing says what to serve"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(
    daemon: Daemon, functions: Functions, options: tuple[str, ...], said: str
) -> None:
    ended = daemon.docker("run", "--rm", *options, functions.names["mood"], check=False)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def emulated(rie: Path, *more: str) -> tuple[str, ...]:
    """Options for a container in which AWS's emulator starts the function."""
    return (*HARD, "--volume", f"{rie}:/rie:ro", "--entrypoint", "/rie", *more)


def command(daemon: Daemon, image: str) -> list[str]:
    """The command line that an image starts."""
    said = daemon.docker("inspect", "--format", "{{json .Config.Entrypoint}}", image).stdout
    words: list[str] = json.loads(said)
    return words


@pytest.mark.parametrize("name", ["mood", "hello"])
def test_it_is_a_worker_under_awss_emulator(
    daemon: Daemon, functions: Functions, rie: Path, name: str
) -> None:
    image = functions.names[name]
    with running(daemon, *emulated(rie), image, *command(daemon, image)) as (container, url):
        event = {"inputs": "I love you"}
        answer = ask(url + INVOKE, event)[2]
        assert answer == {"hello": "world"} if name == "hello" else answer[0]["label"] == "POSITIVE"
        assert ask(url + INVOKE, event)[2] == answer
        failed = ask(url + INVOKE, {"do": "memory"})[2]
        assert failed["errorType"]
        assert "REPORT RequestId" in "".join(daemon.docker("logs", container).stdout)


def test_awss_own_client_runs_in_it(
    daemon: Daemon, functions: Functions, rie: Path, lambda_client: Path
) -> None:
    paths = "/ric:/var/task/.firstlight/src:/var/task/.firstlight/lib"
    more = ("--volume", f"{lambda_client}:/ric:ro", "--env", f"PYTHONPATH={paths}")
    words = ("/usr/bin/python3.11", "-m", "awslambdaric", "firstlight.runtime.lambda_function.handler")
    with running(daemon, *emulated(rie, *more), functions.names["mood"], *words) as (_, url):
        assert ask(url + INVOKE, {"inputs": "I love you"})[2][0]["label"] == "POSITIVE"


def test_the_image_is_what_docker_says_it_is(daemon: Daemon, functions: Functions) -> None:
    said = json.loads(daemon.docker("inspect", functions.names["mood"]).stdout)[0]
    assert (said["Architecture"], said["Os"], said["Config"]["User"]) == ("amd64", "linux", "65532:65532")
    assert said["Config"]["WorkingDir"] == "/var/task"
    listed = daemon.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", functions.names["mood"])
    made = [line for line in listed.stdout.splitlines() if line.startswith("firstlight build")]
    assert [line.rpartition(" ")[2] for line in made] == ["bill", "bundle", "runtime", "server", "wheels"]
    own = [layer["size"] for layer in functions.package("mood")["layers"]]
    assert sum(own) < 40_000_000  # the bar is 90
