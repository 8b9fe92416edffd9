"""Our worker under AWS's own Runtime Interface Emulator: what answers here answers on Lambda."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import firstlight
from clients.rie import Emulator

BOOTSTRAP = str(Path(firstlight.__file__).parent / "runtime" / "bootstrap.py")
SCRIPT = """
import os, sys

print("loading")
calls = 0

def handler(event, context):
    global calls
    calls += 1
    if event == "fail":
        raise ValueError("boom")
    if event == "leave":
        sys.exit(3)
    if event == "large":
        return "x" * 7_000_000
    if event == "stream":
        return iter(["a", b"b", "é"])
    if event == "http":
        return {"statusCode": 201, "headers": {"x": "y"}, "body": iter(["page"])}
    if event == "where":
        return [context.function_name, context.invoked_function_arn, context.memory_limit_in_mb,
                0 < context.get_remaining_time_in_millis() <= 5000, os.environ["AWS_LAMBDA_FUNCTION_VERSION"]]
    print("counting")
    return calls
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    script = tmp_path_factory.mktemp("rie") / "count-calls.py"
    script.write_text(SCRIPT)
    env = {
        "FIRSTLIGHT_SCRIPT": str(script),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "5",
        "AWS_LAMBDA_FUNCTION_NAME": "count",
        "PATH": os.environ["PATH"],
    }
    with Emulator([sys.executable, "-I", "-S", BOOTSTRAP], env) as running:
        yield running


def value(emulator: Emulator, event: str) -> object:
    status, body = emulator.invoke(json.dumps(event).encode())
    assert status == 200
    return json.loads(body)


def test_answers_come_from_one_worker(emulator: Emulator) -> None:
    first = value(emulator, "count")
    assert value(emulator, "count") == first + 1
    assert "loading\n" in emulator.log()
    assert "counting\n" in emulator.log()


def test_the_context_is_the_emulators(emulator: Emulator) -> None:
    arn = "arn:aws:lambda:us-east-1:012345678912:function:count"
    assert value(emulator, "where") == ["count", arn, "3008", True, "$LATEST"]


def test_an_error_is_the_answer(emulator: Emulator) -> None:
    error = value(emulator, "fail")
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "boom")
    assert "in handler" in error["stackTrace"][0]
    assert "[ERROR] ValueError: boom" in emulator.log()


def test_an_event_that_is_not_json(emulator: Emulator) -> None:
    status, body = emulator.invoke(b"{no")
    assert status == 200
    assert json.loads(body)["errorType"] == "Runtime.UnmarshalError"


def test_a_large_event(emulator: Emulator) -> None:
    status, body = emulator.invoke(json.dumps("y" * 5_000_000).encode())
    assert (status, int(body) > 0) == (200, True)


def test_an_answer_that_is_too_large_does_not_end_the_worker(emulator: Emulator) -> None:
    before = value(emulator, "count")
    status, body = emulator.invoke(b'"large"')
    assert json.loads(body)["errorType"] == "Function.ResponseSizeTooLarge"
    assert status == 200
    assert value(emulator, "count") == before + 2


def test_streams(emulator: Emulator) -> None:
    assert emulator.invoke(b'"stream"') == (200, "abé".encode())
    status, body = emulator.invoke(b'"http"')
    assert status == 200
    assert body == b'{"statusCode": 201, "headers": {"x": "y"}}' + bytes(8) + b"page"


def test_a_handler_that_leaves_is_started_again(emulator: Emulator) -> None:
    status, body = emulator.invoke(b'"leave"')
    assert status == 502
    assert json.loads(body)["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in json.loads(body)["errorMessage"]
    assert value(emulator, "count") == 1


def test_a_script_that_cannot_be_imported(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("import no_such_module\n")
    env = {"FIRSTLIGHT_SCRIPT": str(script), "AWS_LAMBDA_FUNCTION_TIMEOUT": "5"}
    with Emulator([sys.executable, "-I", "-S", BOOTSTRAP], env) as emulator:
        _, body = emulator.invoke(b"{}")
        assert json.loads(body)["errorType"] == "Runtime.ImportModuleError"
        assert "No module named 'no_such_module'" in json.loads(body)["errorMessage"]
