"""AWS's own Python runtime runs our handlers, and says of a user's code what our worker says of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import firstlight
from contract.runtime_api.recorder import PATIENCE, RuntimeApi

BOOTSTRAP = str(Path(firstlight.__file__).parent / "runtime" / "bootstrap.py")
THEIRS = (sys.executable, "-W", "ignore", "-m", "awslambdaric")
Run = Callable[..., subprocess.Popen]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a command on the files in the test's folder."""
    started = []

    def start(api: RuntimeApi, *command: str, **env: str) -> subprocess.Popen:
        variables = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "PYTHONPATH": str(tmp_path),
            "PATH": os.environ["PATH"],
        }
        variables |= {"LAMBDA_TASK_ROOT": str(tmp_path), "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12", **env}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, env=variables, cwd=tmp_path, **quiet))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE)


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as server:
        yield server


def echo_bundle(folder: Path) -> str:
    folder.mkdir()
    bundle = {"schema": 1, "name": "echo", "task": "echo", "engine": "echo", "precision": "fp32", "files": {}}
    (folder / "bundle.json").write_text(json.dumps(bundle))
    return str(folder)


def test_a_bundle(api: RuntimeApi, run: Run, tmp_path: Path) -> None:
    run(
        api,
        *THEIRS,
        "firstlight.runtime.lambda_function.handler",
        FIRSTLIGHT_BUNDLE=echo_bundle(tmp_path / "echo"),
    )
    assert json.loads(api.invoke(b'{"inputs": "good"}').body) == "good"
    assert json.loads(api.invoke(b'{"instances": ["a", "b"]}').body) == {"predictions": ["a", "b"]}
    response = json.loads(api.invoke(b'{"body": "{\\"inputs\\": 5}"}').body)
    assert (response["statusCode"], response["body"]) == (200, "5")
    error = json.loads(api.invoke(b'{"input": 1}').body)
    assert error["errorType"] == "InvalidInput"
    assert error["errorMessage"] == 'unknown key "input" in the request'


def test_a_script(api: RuntimeApi, run: Run, tmp_path: Path) -> None:
    (tmp_path / "translate-en2fr.py").write_text("def handler(event, context): return context.aws_request_id")
    script = str(tmp_path / "translate-en2fr.py")
    run(api, *THEIRS, "firstlight.runtime.lambda_function.handler", FIRSTLIGHT_SCRIPT=script)
    event = api.put()
    assert json.loads(event.wait().body) == event.request_id


def test_nothing_to_run_is_an_init_error(api: RuntimeApi, run: Run) -> None:
    process = run(api, *THEIRS, "firstlight.runtime.lambda_function.handler")
    assert process.wait(PATIENCE) == 1
    (message,) = api.of("/init/error")
    assert json.loads(message.body)["errorType"] == "HandlerError"


CODE = """
import sys
def inner(event):
    return 1 / event

def handler(event, context):
    if event == 0:
        return inner(event)
    if event == 1:
        raise KeyError("é")
    if event == 2:
        return {1, 2}
    if event == 3:
        raise Exception
    if event == 4:
        return {"text": "é😀", "list": [1, 2.5, None, True], 3: "number"}
    if event == 5:
        return b"bytes"
    if event == 6:
        from decimal import Decimal
        return [Decimal("1.50"), 0.1]
    if event == 7:
        return float("nan")
    return [context.client_context.custom, context.client_context.client.app_title, context.tenant_id,
            context.identity.cognito_identity_id, context.invoked_function_arn, context.memory_limit_in_mb,
            context.w3c(), context.log_stream_name]
"""


@pytest.mark.parametrize("event", [*range(9), "not json"])
def test_both_runtimes_post_the_same(run: Run, tmp_path: Path, event: object) -> None:
    (tmp_path / "code_of_user.py").write_text(CODE)
    payload = json.dumps(event).encode() if event != "not json" else b"not json"
    client = '{"custom": {"a": 1}, "client": {"app_title": "t"}, "w3c": {"traceparent": "00-1"}}'
    headers = {"client_context": client, "aws_tenant_id": "x", "invocation_id": "7"}
    seen = []
    for command in ((*THEIRS, "code_of_user.handler"), (sys.executable, "-I", "-S", BOOTSTRAP)):
        with RuntimeApi() as own:
            run(own, *command, _HANDLER="code_of_user.handler", AWS_LAMBDA_FUNCTION_MEMORY_SIZE="128")
            sent = own.put(payload, **headers)
            answer = sent.wait()
        body = (
            answer.body
            if answer.headers["content-type"] == "application/unknown"
            else json.loads(answer.body)
        )
        if isinstance(body, dict) and "requestId" in body:
            assert body.pop("requestId") == sent.request_id
        invocation = answer.headers["lambda-runtime-invocation-id"]
        seen.append((answer.path.rpartition("/")[2], repr(body), invocation))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("source", "handler"),
    [
        ("1 +", "broken.handler"),
        ("x = 1", "broken.handler"),
        ("x = 1", "broken"),
        ("x = 1", "sys.exit"),
        ("raise ValueError('no')", "broken.handler"),
        ("def handler(e, c): pass", "absent.handler"),
    ],
)
def test_both_runtimes_post_the_same_init_error(run: Run, tmp_path: Path, source: str, handler: str) -> None:
    (tmp_path / "broken.py").write_text(source)
    seen = []
    for command in ((*THEIRS, handler), (sys.executable, "-I", "-S", BOOTSTRAP)):
        with RuntimeApi() as own:
            assert run(own, *command, _HANDLER=handler).wait(PATIENCE) == 1
            (message,) = own.of("/init/error")
        error = json.loads(message.body)
        # Theirs begins a trace in the import system, ours in the user's file; advice is ours alone.
        trace = [frame for frame in error.pop("stackTrace") if "broken.py" in frame]
        error.pop("hint", None)
        seen.append((error, trace))
    assert seen[0] == seen[1]
