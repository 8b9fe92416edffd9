"""What is said of an invocation within Lambda's walls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from examined import Making, only, trial, write
from firstlight import isolation
from firstlight.doctor import sandbox, trials
from firstlight.doctor.types import OK, PROBLEM, WARNING, Subject
from firstlight.invoke.types import WorkerSpec
from firstlight.isolation.walls import HOME


def failed(kind: str, message: str, hint: str = "", **more: Any) -> dict[str, Any]:
    return {"payload": {"errorType": kind, "errorMessage": message, "hint": hint}, "failed": True, **more}


def found(subject: Subject, check: Any, **changes: Any) -> list[Any]:
    endpoint = next(subject.endpoints())
    subject.trials[endpoint.name] = trial(**changes)
    return list(check(subject, endpoint))


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({}, OK, "ready after 0.20 s of the 10 s"),
        ({"init_s": 8.5}, WARNING, "8.50 s"),
        ({"init_s": 12.0}, PROBLEM, "12.00 s"),
        (failed("OSError", "[Errno 30]", "HOME is not there", init_s=None), PROBLEM, "OSError: [Errno 30]"),
        (failed("OSError", "[Errno 30]", "HOME is not there"), PROBLEM, "OSError: [Errno 30]"),
        ({"payload": "text", "failed": True, "init_s": None}, PROBLEM, "text"),
    ],
)
def test_start(subject: Making, changes: dict[str, Any], level: str, says: str) -> None:
    one = only(found(subject(), sandbox.start, **changes))
    assert one.level == level
    assert says in one.what
    assert one.fix if level != OK and "hint" in str(changes) else True


def test_an_event_that_a_script_does_not_take_is_no_fault_of_the_sandbox(subject: Making) -> None:
    started, said = found(subject(), sandbox.start, **failed("KeyError", "'inputs'"))
    assert (started.level, said.level) == (OK, WARNING)
    assert said.what == "called with an empty event it answers KeyError: 'inputs'"
    assert "--data" in said.fix


@pytest.mark.parametrize(
    ("toml", "changes", "says"),
    [
        ("", failed("Sandbox.Timedout", "x", outcome="timeout"), "has no answer after 30 s"),
        (
            '[endpoints.a]\nmodel = "x"\n',
            failed("EngineError", "x"),
            "fails with its task's own example: EngineError: x",
        ),
    ],
)
def test_what_does_not_answer(subject: Making, toml: str, changes: dict[str, Any], says: str) -> None:
    started, said = found(subject(toml), sandbox.start, **changes)
    assert (started.level, said.level, said.what) == (OK, PROBLEM, says)


def test_what_needs_more_memory_is_said_once(subject: Making) -> None:
    changes = failed("Runtime.OutOfMemory", "x", outcome="crash")
    assert only(found(subject(), sandbox.start, **changes)).level == OK
    assert only(found(subject(), sandbox.memory, **changes)).level == PROBLEM


@pytest.mark.parametrize(
    ("changes", "levels"),
    [
        ({}, [OK]),
        ({"memory_mb": 1700}, [WARNING]),
        (failed("Runtime.OutOfMemory", "x", outcome="crash", init_s=None), [PROBLEM]),
        (failed("OSError", "x", init_s=None), []),
    ],
)
def test_memory(subject: Making, changes: dict[str, Any], levels: list[str]) -> None:
    assert [one.level for one in found(subject(), sandbox.memory, **changes)] == levels


def test_memory_that_a_new_account_may_not_have(subject: Making) -> None:
    fine, said = found(subject("[endpoints.hello]\nmemory = 4000\n"), sandbox.memory)
    assert (fine.level, said.level, said.what) == (OK, WARNING, "asks for 4000 MB")


@pytest.mark.parametrize(
    ("changes", "levels"),
    [
        ({}, [OK]),
        ({"bytes": 4_000_000}, [WARNING]),
        (failed("Function.ResponseSizeTooLarge", "x"), [PROBLEM]),
        (failed("ValueError", "x"), []),
    ],
)
def test_payload(subject: Making, changes: dict[str, Any], levels: list[str]) -> None:
    assert [one.level for one in found(subject(), sandbox.payload, **changes)] == levels


@pytest.mark.parametrize(
    ("changes", "levels"),
    [({}, [OK]), ({"tmp_mb": 300.0}, [WARNING]), ({"tmp_mb": None}, [OK]), ({"init_s": None}, [])],
)
def test_tmp(subject: Making, changes: dict[str, Any], levels: list[str]) -> None:
    assert [one.level for one in found(subject(), sandbox.tmp, **changes)] == levels


@pytest.mark.parametrize(
    ("changes", "levels"), [({}, [OK]), ({"offline": False}, [WARNING]), (failed("OSError", "x"), [])]
)
def test_network(subject: Making, changes: dict[str, Any], levels: list[str]) -> None:
    assert [one.level for one in found(subject(), sandbox.network, **changes)] == levels


def test_bodies(subject: Making, root: Path) -> None:
    assert only(found(subject(), sandbox.body)).level == OK
    answer = {"payload": {"statusCode": 200, "body": {"a": 1}}}
    assert only(found(subject(), sandbox.body, **answer)).level == WARNING
    routed = '[endpoints.hello]\nroute = "/hello"\n'
    assert only(found(subject(routed), sandbox.body, **answer)).level == PROBLEM
    assert only(found(subject(), sandbox.body, payload={"statusCode": 200, "body": "{}"})).level == OK
    assert only(found(subject(), sandbox.body, payload={"statusCode": 204})).level == OK
    write(root, "inference/hello.py", 'def handler(e, c):\n    return {"statusCode": 200, "body": [1]}\n')
    one = only(found(subject(), sandbox.body, **answer))
    assert (one.level, one.where, one.fix) == (
        PROBLEM,
        "inference/hello.py:2",
        'write "body": json.dumps(...)',
    )


def test_locks(subject: Making, root: Path) -> None:
    assert only(found(subject(), sandbox.locks)).level == OK
    write(
        root, "inference/hello.py", "import multiprocessing\ndef handler(e, c):\n    multiprocessing.Pool()\n"
    )
    one = only(found(subject(), sandbox.locks))
    assert (one.level, one.where) == (PROBLEM, "inference/hello.py:3")
    write(root, "inference/hello.py", "def handler(:\n")
    assert found(subject(), sandbox.locks) == []


def test_timeouts(subject: Making) -> None:
    assert only(found(subject("[endpoints.hello]\ntimeout = 60\n"), sandbox.timeout)).level == OK
    one = only(found(subject('[endpoints.hello]\ntimeout = 60\nroute = "/x"\n'), sandbox.timeout))
    assert one.level == WARNING
    assert "29 s" in one.why
    text = '[endpoints.hello]\ntimeout = 60\nroute = "/x"\nfront = { '
    assert "30 s" in only(found(subject(text + 'kind = "http" }\n'), sandbox.timeout)).why
    for front in ('kind = "url" }\n', "stream = true }\n"):
        assert only(found(subject(text + front), sandbox.timeout)).level == OK


def test_one_real_invocation(root: Path) -> None:
    """It runs behind the walls of this machine: HOME is what Lambda's is, and nothing is inherited."""
    file = Path("/tmp") / root.parent.name
    text = f"import os\ndef handler(event, context):\n    open({str(file)!r}, 'wb').write(bytes(9 << 20))\n"
    text += "    print('said')\n    return [os.environ['HOME'], event]\n"
    script = write(root, "inference/hello.py", text)
    one = trials.tried(WorkerSpec("hello", script=script, cwd=root), b'{"a": 1}')
    assert one.payload == [HOME, {"a": 1}]
    assert not one.failed
    assert one.error == one.hint == ""
    assert one.init_s is not None
    assert 0 < one.init_s < 10
    assert one.memory_mb > 1
    assert one.offline
    assert "said" in one.log
    if "tmp" in isolation.support().missing:
        file.unlink()
    else:
        assert one.tmp_mb == pytest.approx(9.4, abs=0.5)


def test_what_needs_the_network_is_tried_again_with_it(root: Path) -> None:
    import socket
    import threading

    text = "import socket\ndef handler(event, context):\n"
    text += "    return socket.create_connection(('127.0.0.1', event['port'])).recv(2).decode()\n"
    script = write(root, "inference/hello.py", text)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hi")

        served = threading.Thread(target=greet)
        served.start()
        event = json.dumps({"port": server.getsockname()[1]}).encode()
        one = trials.tried(WorkerSpec("hello", script=script, cwd=root), event)
        served.join(60)
    assert one.payload == "hi"
    assert one.offline == ("network" in isolation.support().missing)


def test_a_failure_that_has_nothing_to_do_with_walls(root: Path) -> None:
    script = write(root, "inference/hello.py", "def handler(event, context):\n    return event['inputs']\n")
    one = trials.tried(WorkerSpec("hello", script=script, cwd=root), None)
    assert (one.failed, one.error, one.hint) == (True, "KeyError: 'inputs'", "")


@pytest.mark.parametrize(("text", "ready"), [("raise ValueError('no')\n", False), ("import os\n", True)])
def test_a_start_that_fails_and_one_that_ends_when_it_is_called(root: Path, text: str, ready: bool) -> None:
    script = write(root, "inference/hello.py", f"{text}def handler(event, context):\n    os._exit(3)\n")
    one = trials.tried(WorkerSpec("hello", script=script, cwd=root), None)
    assert one.failed
    assert (one.init_s is not None) == ready
    assert one.error == ("Runtime.ExitError: " + one.payload["errorMessage"] if ready else "ValueError: no")
