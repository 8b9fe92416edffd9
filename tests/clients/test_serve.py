from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from firstlight.cli import client, server

HELLO = "def handler(event, context):\n    return {'said': %r, 'pid': __import__('os').getpid()}\n"
SLOW = """
import pathlib, time
def handler(event, context):
    pathlib.Path(event["started"]).write_text("")
    time.sleep(event["seconds"])
    return "slept"
"""


@pytest.fixture
def project(folder):
    write(folder, "hello", HELLO % "hello")
    return folder


def write(folder, name: str, text: str) -> None:
    (folder / "inference").mkdir(exist_ok=True)
    (folder / "inference" / f"{name}.py").write_text(text)


def post(url: str, path: str, body: str = "{}", headers: dict[str, str] | None = None) -> tuple[int, dict]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("POST", path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def invoke(url: str, name: str, body: str = "{}", **headers: str) -> tuple[int, dict]:
    return post(url, f"/2015-03-31/functions/{name}/invocations", body, headers)


def until(condition, seconds: float = 30.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "gave up waiting"
        threading.Event().wait(0.02)
    return value


def test_no_project_serves_the_starters(serve, cli, folder):
    served = serve()
    assert {"sentiment", "qa", "lyrics", "embeddings"} <= set(served.facts["endpoints"])
    assert urlsplit(served.url).hostname == "127.0.0.1"
    status, answer = invoke(served.url, "sentiment", '{"inputs": "what a lovely day"}')
    assert (status, answer[0]["label"]) == (200, "POSITIVE")


def test_the_first_ten_minutes(serve, cli, project):
    """A project is served, invoked by name, logged; every ending says so in its exit code."""
    write(
        project,
        "bad",
        "def handler(event, context):\n    print('about to fail')\n    raise ValueError('boom')\n",
    )
    served = serve()
    assert served.facts["endpoints"] == ["bad", "hello"]
    answer = cli("invoke", "hello", "name=Ann")
    assert (answer.code, answer.json["said"]) == (0, "hello")
    failed = cli("invoke", "bad", "-d", "{}", "--tail")
    assert (failed.code, failed.out) == (1, "")
    assert "START RequestId" in failed.err
    assert "about to fail" in failed.err
    assert failed.err.endswith("error: ValueError: boom\n")
    document = cli("invoke", "bad", "-d", "{}", "--json")
    assert document.code == 1
    assert document.json["functionError"] == "Unhandled"
    assert document.json["payload"]["errorType"] == "ValueError"
    assert "REPORT RequestId" in document.json["log"]
    missing = cli("invoke", "helo", "-d", "{}")
    assert missing.code == 1
    assert "helo" in missing.err
    records = [json.loads(line) for line in cli("logs", "--json").out.splitlines()]
    assert [(record["endpoint"], record["status"]) for record in records] == [
        ("hello", "ok"),
        ("bad", "error"),
        ("bad", "error"),
    ]
    assert [record["cold"] for record in records] == [True, True, False]
    assert all(record["inputs"] is None for record in records)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_lets_running_invocations_end(serve, project, tmp_path, number):
    write(project, "slow", SLOW)
    served = serve()
    started = tmp_path / "started"
    answers: list[tuple[int, dict]] = []
    event = json.dumps({"started": str(started), "seconds": 1.0})
    asking = threading.Thread(target=lambda: answers.append(invoke(served.url, "slow", event)))
    asking.start()
    until(started.exists)
    code, errors = served.stop(number)
    asking.join(timeout=30)
    assert answers == [(200, "slept")]
    assert (code, errors) == (0, "")
    assert not (project / ".firstlight" / client.NOTE).exists()


def test_a_server_that_has_just_begun_can_be_stopped(serve, project):
    assert [serve().stop(signal.SIGTERM)[0] for _ in range(3)] == [0, 0, 0]


ENDLESS = """
import os, pathlib
def handler(event, context):
    pathlib.Path(event["pid"]).with_suffix(".new").write_text(str(os.getpid()))
    pathlib.Path(event["pid"]).with_suffix(".new").rename(event["pid"])
    while True:
        pass
"""


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def endless(served, project, tmp_path) -> tuple[threading.Thread, list, int]:
    """An invocation that is under way and will not end, what it was answered in the end, and its worker."""
    answers: list = []
    noted = tmp_path / "pid"

    def ask() -> None:
        try:
            answers.append(invoke(served.url, "endless", json.dumps({"pid": str(noted)})))
        except (OSError, http.client.HTTPException) as error:
            answers.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    until(noted.exists)
    return asking, answers, int(noted.read_text())


def test_a_second_ctrl_c_ends_running_invocations_with_an_answer_and_a_record(serve, cli, project, tmp_path):
    write(project, "endless", ENDLESS)
    served = serve()
    asking, answers, worker = endless(served, project, tmp_path)
    served.process.send_signal(signal.SIGINT)
    until(lambda: refuses(served.url))
    code, errors = served.stop(signal.SIGINT)
    asking.join(timeout=30)
    assert answers[0][0] == 200
    assert answers[0][1]["errorType"] == "Runtime.ExitError"
    assert (code, "Traceback" in errors) == (0, False)
    assert not running(worker)
    assert json.loads(cli("logs", "--json").out)["status"] == "crash"


def test_a_second_ctrl_c_does_not_wait_for_a_request_that_is_never_finished(serve, project):
    served = serve()
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as half:
        half.sendall(b"POST /models/hello HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        assert invoke(served.url, "hello")[0] == 200
        served.process.send_signal(signal.SIGINT)
        until(lambda: refuses(served.url))
        code, errors = served.stop(signal.SIGINT)
    assert (code, errors) == (0, "")


def refuses(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def test_kill_9_leaves_no_worker_behind(serve, project, tmp_path):
    write(project, "endless", ENDLESS)
    served = serve()
    asking, _, worker = endless(served, project, tmp_path)
    assert running(worker)
    served.stop(signal.SIGKILL)
    asking.join(timeout=30)
    until(lambda: not running(worker))


def test_of_two_servers_in_one_folder_the_one_that_runs_is_found(serve, project):
    first, second = serve(), serve()
    found = lambda: client.Server.find(None, None, project / ".firstlight", {}).url  # noqa: E731
    assert found() == second.url
    second.stop()
    assert found() == first.url
    first.stop()
    assert found() == client.DEFAULT_URL


def test_kill_9_loses_no_record(serve, cli, project):
    served = serve()
    for _ in range(20):
        assert invoke(served.url, "hello")[0] == 200
    served.stop(signal.SIGKILL)
    assert len(cli("logs", "--json").out.splitlines()) == 20
    assert client.Server.find(None, None, project / ".firstlight", {}).url == client.DEFAULT_URL
    again = serve()
    assert invoke(again.url, "hello")[0] == 200
    assert len(cli("logs", "--json").out.splitlines()) == 21


def test_a_port_in_use_is_said_at_once(cli, project):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = cli("serve", "--port", str(port))
    assert done.code == 1
    assert done.err.startswith(f"error: cannot listen on 127.0.0.1:{port}")
    assert "--port" in done.err.splitlines()[1]


def test_an_address_of_another_machine_is_explained(cli, project):
    done = cli("serve", "--host", "192.0.2.1", "--port", "0")
    assert done.code == 1
    assert "help: choose an address of this machine" in done.err


def test_an_empty_project_is_explained(cli, folder):
    (folder / "firstlight.toml").write_text('name = "empty"\n')
    done = cli("serve", "--port", "0")
    assert done.code == 1
    assert done.err.startswith("error: firstlight.toml has no endpoints")


def test_a_model_that_is_not_there_is_explained(cli, folder):
    (folder / "firstlight.toml").write_text('[endpoints.a]\nmodel = "./gone"\n')
    done = cli("serve", "--port", "0")
    assert done.code == 1
    assert "gone" in done.err
    assert "Traceback" not in done.err


def test_an_open_server_asks_for_a_token(serve, cli, project):
    served = serve("--host", "0.0.0.0")
    token = served.facts["token"]
    assert len(token) >= 32
    assert invoke(served.url, "hello")[0] in (401, 403)
    assert invoke(served.url, "hello", Authorization=f"Bearer {token}")[0] == 200
    assert cli("invoke", "hello", "-d", "{}").code == 0
    wrong = cli("invoke", "hello", "-d", "{}", "--token", "wrong")
    assert wrong.code == 1
    assert "is not this server's" in wrong.err
    note = project / ".firstlight" / client.NOTE
    assert note.stat().st_mode & 0o077 == 0


def test_a_token_may_be_chosen(serve, project):
    served = serve("--token", "chosen-by-me")
    assert served.facts["token"] == "chosen-by-me"
    assert invoke(served.url, "hello", Authorization="Bearer chosen-by-me")[0] == 200
    assert invoke(served.url, "hello")[0] in (401, 403)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_which_addresses_need_a_token(host, loopback):
    assert server.is_loopback(host) is loopback
    assert (server.needed_token(host) is None) is loopback


def test_a_project_that_cannot_keep_records_is_served(serve, folder, project, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("FIRSTLIGHT_DATA_DIR", str(folder / "file" / "inside"))
    served = serve()
    assert invoke(served.url, "hello")[0] == 200
    assert "nothing will be recorded" in served.stop()[1]


def test_a_broken_bundle_answers_with_its_error_and_the_rest_works(serve, cli, folder, project):
    import shutil

    shutil.copytree(cli("bundle", "inspect", "starter:sentiment", "--json").json["path"], folder / "mine")
    (folder / "mine" / "tokenizer.json").unlink()
    (folder / "firstlight.toml").write_text('[endpoints.mine]\nmodel = "mine"\n')
    served = serve()
    status, answer = invoke(served.url, "mine", '{"inputs": "x"}')
    assert status == 200
    assert "tokenizer.json is missing" in answer["errorMessage"]
    assert invoke(served.url, "hello")[0] == 200
    assert "mine will answer with an error" in served.stop()[1]


def test_reload_keeps_what_did_not_change(serve, folder, project):
    write(project, "other", HELLO % "other")
    served = serve("--reload")
    before = {name: invoke(served.url, name)[1] for name in ("hello", "other")}
    write(project, "hello", HELLO % "changed")
    assert served.event() == {"event": "reloaded", "changed": ["hello"]}
    after = {name: invoke(served.url, name)[1] for name in ("hello", "other")}
    assert after["hello"]["said"] == "changed"
    assert after["other"] == before["other"]


def test_reload_serves_new_endpoints_and_keeps_the_old_after_a_mistake(serve, folder, project):
    served = serve("--reload")
    (folder / "firstlight.toml").write_text("[endpoints.hello]\nmemroy = 512\n")
    assert "did you mean 'memory'?" in json.loads(served.complaint())["hint"]
    assert invoke(served.url, "hello")[1]["said"] == "hello"
    (folder / "firstlight.toml").write_text("[endpoints.hello]\nroute = '/hi'\n")
    assert served.event()["event"] == "reloaded"
    write(project, "second", 'def handler(event, context):\n    return {"statusCode": 200, "body": "[1]"}\n')
    assert served.event()["changed"] == ["second"]
    assert invoke(served.url, "second")[1]["body"] == "[1]"
    (folder / "firstlight.toml").write_text("[endpoints.second]\nroute = '/hi'\n")
    assert served.event()["changed"] == []
    assert post(served.url, "/hi") == (200, [1])
    (folder / "firstlight.toml").write_text("")
    (project / "inference" / "second.py").unlink()
    assert served.event()["changed"] == ["second"]
    assert invoke(served.url, "second")[0] == 404


def test_reload_may_change_what_is_kept_of_texts(serve, cli, folder, project):
    served = serve("--reload")
    (folder / "firstlight.toml").write_text("[records]\nstore = 'redacted'\n")
    assert served.event() == {"event": "reloaded", "changed": []}
    invoke(served.url, "hello", '{"inputs": "ann@b.example"}')
    record = json.loads(cli("logs", "--json").out)
    assert record["inputs"] == '{"inputs":"[email]"}'


def test_logs_can_be_followed(serve, folder, project):
    import subprocess
    import sys

    served = serve()
    invoke(served.url, "hello")
    command = [sys.executable, "-m", "firstlight", "logs", "-f", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        try:
            assert json.loads(following.stdout.readline())["cold"] is True
            invoke(served.url, "hello")
            assert json.loads(following.stdout.readline())["cold"] is False
            following.send_signal(signal.SIGINT)
            assert following.wait(timeout=30) == 130
        finally:
            following.kill()
