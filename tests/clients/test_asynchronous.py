"""Event invocations by boto3: retries, destinations, dead letters, order, and servers that end in the middle."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from firstlight.jobs.sqlite import SqliteJobs
from firstlight.jobs.types import Job, Status
from listening import Listener
from serving import PATIENCE, Server

PROJECT = """
name = "asynchronous"
[endpoints.work]
script = "inference/work.py"
concurrency = 1
[endpoints.work.asynchronous]
backoff = 0.1
on_success = "file:out/work.ok"
on_failure = "file:out/work.bad"
dead_letter = "file:out/work.dead"

[endpoints.hooked]
script = "inference/hooked.py"
concurrency = 1
asynchronous = {{ retries = 0, on_success = "{url}/ok", on_failure = "{url}/bad", dead_letter = "{url}/dead" }}

[endpoints.chained]
script = "inference/chained.py"
asynchronous = {{ retries = 0, on_success = "endpoint:work", on_failure = "endpoint:work" }}

[endpoints.slow]
script = "inference/slow.py"
concurrency = 1
timeout = 600
asynchronous = {{ on_failure = "file:out/slow.bad" }}

[endpoints.late]
script = "inference/late.py"
asynchronous = {{ backoff = 3600, max_age = 60, on_failure = "file:out/late.bad" }}

[endpoints.off]
script = "inference/off.py"
concurrency = 0
asynchronous = {{ on_failure = "file:out/off.bad", dead_letter = "file:out/off.dead" }}

[endpoints.itself]
script = "inference/itself.py"
concurrency = 1
asynchronous = {{ on_failure = "file:out/itself.bad" }}

[endpoints.round]
script = "inference/round.py"
asynchronous = {{ on_success = "endpoint:round", on_failure = "file:out/round.bad" }}
"""
WORK = """
import pathlib
import time


def handler(event, context):
    with pathlib.Path(__file__).with_suffix(".ran").open("a") as ran:
        ran.write(f"{context.aws_request_id} {event.get('n', '-')}\\n")
    print("working on", context.aws_request_id)
    time.sleep(event.get("seconds", 0))
    if event.get("fail"):
        raise ValueError(event["fail"])
    return {"got": event}
"""
ITSELF = WORK.replace(
    '    return {"got": event}',
    """
    import boto3, json
    own = boto3.client("lambda", endpoint_url=event["url"], region_name="us-east-1",
                       aws_access_key_id="a", aws_secret_access_key="b")
    own.invoke(FunctionName="itself", InvocationType="Event", Payload=json.dumps(event).encode())
""",
)
NAMES = ("work", "hooked", "chained", "slow", "late", "off", "round")


def write_project(folder: Path, url: str) -> Path:
    (folder / "inference").mkdir(parents=True)
    (folder / "firstlight.toml").write_text(PROJECT.format(url=url))
    for name in NAMES:
        (folder / "inference" / f"{name}.py").write_text(WORK)
    (folder / "inference" / "itself.py").write_text(ITSELF)
    # What it answers is not in the next record, which would be twice as large each time.
    (folder / "inference" / "round.py").write_text(WORK.replace('return {"got": event}', "return None"))
    return folder


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        yield listening


@pytest.fixture(scope="module")
def asynchronous(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Iterator[Server]:
    folder = write_project(tmp_path_factory.mktemp("asynchronous") / "project", listener.url)
    with Server(folder) as running:
        yield running


def aws(server: Server) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(read_timeout=PATIENCE, retries={"max_attempts": 0}),
    )


def send(server: Server, name: str, **event: Any) -> str:
    answer = aws(server).invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    assert "FunctionError" not in answer
    return str(answer["ResponseMetadata"]["RequestId"])


def until(found: Callable[[], Any]) -> Any:
    last = time.monotonic() + PATIENCE
    turn = threading.Event()
    while time.monotonic() < last:
        if (value := found()) is not None:
            return value
        turn.wait(0.02)
    raise TimeoutError


def told(server: Server, file: str, request_id: str) -> Any:
    """The line of a file that is about a request."""

    def look() -> Any:
        path = server.folder / "out" / file
        lines = path.read_text().splitlines() if path.exists() else []
        return next((json.loads(line) for line in lines if request_id in line), None)

    return until(look)


def job(server: Server, request_id: str) -> Any:
    """The job when it has ended."""

    def look() -> Any:
        status, _, body = server.ask("GET", f"/v1/jobs/{request_id}")
        assert status == 200
        shown = json.loads(body)
        return shown if shown["status"] in ("succeeded", "failed", "canceled") else None

    return until(look)


def runs(server: Server, name: str) -> list[list[str]]:
    path = server.folder / "inference" / f"{name}.ran"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def test_an_event_is_taken_and_its_function_runs(asynchronous: Server) -> None:
    request_id = send(asynchronous, "work", n=1)
    shown = job(asynchronous, request_id)
    assert (shown["status"], shown["condition"], shown["attempts"]) == ("succeeded", "Success", 1)
    assert shown["output"] == {"got": {"n": 1}}
    assert shown["logs"] == f"working on {request_id}\n"
    assert shown["metrics"]["duration_ms"] > 0
    record = told(asynchronous, "work.ok", request_id)
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST",
        "condition": "Success",
        "approximateInvokeCount": 1,
    }
    assert record["requestPayload"] == {"n": 1}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert record["responsePayload"] == {"got": {"n": 1}}


def test_an_error_is_tried_three_times_and_then_told(asynchronous: Server) -> None:
    request_id = send(asynchronous, "work", fail="no luck")
    shown = job(asynchronous, request_id)
    assert (shown["status"], shown["condition"], shown["attempts"]) == ("failed", "RetriesExhausted", 3)
    assert shown["error"] == "no luck"
    assert [one[0] for one in runs(asynchronous, "work")].count(request_id) == 3
    record = told(asynchronous, "work.bad", request_id)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert record["responsePayload"]["requestId"] == request_id
    letter = told(asynchronous, "work.dead", request_id)
    assert json.loads(letter["Body"]) == {"fail": "no luck"}
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no luck"}


def test_events_of_a_function_run_in_the_order_in_which_they_came(asynchronous: Server) -> None:
    ids = [send(asynchronous, "work", n=number) for number in range(20)]
    job(asynchronous, ids[-1])
    assert [one[0] for one in runs(asynchronous, "work") if one[0] in ids] == ids


def test_hooks_are_posted_and_signed(asynchronous: Server, listener: Listener) -> None:
    listener.answers = [(500, b""), (200, b"")]
    good, bad = send(asynchronous, "hooked", n=1), send(asynchronous, "hooked", fail="no")

    def look() -> Any:
        seen = {sent.headers["webhook-id"]: sent for sent in listener.seen}
        wanted = [f"{good}.on_success", f"{bad}.on_failure", f"{bad}.dead_letter"]
        return (
            [seen[name] for name in wanted] if len(listener.seen) == 4 and set(wanted) <= set(seen) else None
        )

    ok, failure, dead = until(look)
    assert [sent.path for sent in (ok, failure, dead)] == ["/ok", "/bad", "/dead"]
    assert json.loads(ok.body)["responsePayload"] == {"got": {"n": 1}}
    assert json.loads(failure.body)["requestContext"]["approximateInvokeCount"] == 1
    assert json.loads(dead.body) == {"fail": "no"}
    assert dead.headers["errormessage"] == "no"
    secret = (asynchronous.folder / "data" / "webhook-secret").read_text().strip()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{ok.headers['webhook-id']}.{ok.headers['webhook-timestamp']}.".encode() + ok.body
    mac = hmac.new(key, signed, hashlib.sha256).digest()
    assert ok.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


def test_another_endpoint_gets_the_record(asynchronous: Server) -> None:
    request_id = send(asynchronous, "chained", n=7)
    record = told(
        asynchronous, "work.ok", request_id
    )  # of the invocation of `work` by the record of `chained`
    assert record["requestPayload"]["requestContext"]["requestId"] == request_id
    assert record["requestPayload"]["responsePayload"] == {"got": {"n": 7}}


def test_a_retry_that_would_come_too_late_is_given_up(asynchronous: Server) -> None:
    request_id = send(asynchronous, "late", fail="once")
    record = told(asynchronous, "late.bad", request_id)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responsePayload"]["errorMessage"] == "once"


def test_with_no_concurrency_the_function_is_not_invoked(asynchronous: Server) -> None:
    request_id = send(asynchronous, "off", n=1)
    record = told(asynchronous, "off.bad", request_id)
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record
    letter = told(asynchronous, "off.dead", request_id)
    assert set(letter["MessageAttributes"]) == {"RequestID", "ErrorMessage"}
    assert runs(asynchronous, "off") == []


def test_what_is_set_by_the_api_counts_from_the_next_event_on(asynchronous: Server) -> None:
    client = aws(asynchronous)
    client.put_function_event_invoke_config(FunctionName="work", MaximumRetryAttempts=0)
    try:
        shown = job(asynchronous, send(asynchronous, "work", fail="at once"))
        assert (shown["condition"], shown["attempts"]) == ("RetriesExhausted", 1)
    finally:
        client.delete_function_event_invoke_config(FunctionName="work")
    client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=0)
    try:
        shown = job(asynchronous, send(asynchronous, "work", n=1))
        assert (shown["condition"], shown["started_at"]) == ("ZeroReservedConcurrency", None)
    finally:
        client.delete_function_concurrency(FunctionName="work")
    assert job(asynchronous, send(asynchronous, "work", n=1))["condition"] == "Success"


def test_a_version_and_an_alias_answer_events(asynchronous: Server) -> None:
    client = aws(asynchronous)
    number = client.publish_version(FunctionName="late")["Version"]
    client.create_alias(FunctionName="late", Name="live", FunctionVersion=number)
    request_id = send(asynchronous, "late:live", fail="as published")
    record = told(asynchronous, "late.bad", request_id)
    assert record["requestContext"]["functionArn"].endswith(":function:late:live")
    assert record["responseContext"]["executedVersion"] == number
    assert record["requestContext"]["condition"] == "EventAgeExceeded"


def test_a_function_that_feeds_itself_is_stopped(asynchronous: Server) -> None:
    send(asynchronous, "round", n=1)
    record = told(asynchronous, "round.bad", "RecursiveInvocation")
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["responseContext"] == {"statusCode": 400, "functionError": "RecursiveInvocationException"}
    assert len(runs(asynchronous, "round")) == 16


def test_a_function_that_invokes_itself_is_stopped(asynchronous: Server) -> None:
    send(asynchronous, "itself", url=asynchronous.url)
    record = told(asynchronous, "itself.bad", "RecursiveInvocation")
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert len(runs(asynchronous, "itself")) == 16


def test_a_running_event_is_canceled_though_its_function_does_not_notice(asynchronous: Server) -> None:
    running, waiting = send(asynchronous, "slow", seconds=300), send(asynchronous, "slow", n=2)
    until(lambda: runs(asynchronous, "slow") or None)
    for request_id in (waiting, running):
        status, _, body = asynchronous.ask("POST", f"/v1/jobs/{request_id}/cancel")
        assert (status, json.loads(body)["status"]) == (200, "canceled")
    answer = aws(asynchronous).invoke(FunctionName="slow", Payload=b'{"n": 3}')
    assert json.loads(answer["Payload"].read()) == {"got": {"n": 3}}
    assert [one[1] for one in runs(asynchronous, "slow")] == ["-", "3"]


def test_a_retry_of_the_same_call_is_one_event(asynchronous: Server) -> None:
    headers = {
        "X-Amz-Invocation-Type": "Event",
        "amz-sdk-invocation-id": "8f1c1f57-2ab4-4d7a-9d4e-0c8f1f0d7c11",
    }
    path = "/2015-03-31/functions/function:work/invocations"
    ids = {asynchronous.ask("POST", path, {"n": 99}, headers)[1]["x-amzn-requestid"] for _ in range(3)}
    (request_id,) = ids
    job(asynchronous, request_id)
    assert [one[1] for one in runs(asynchronous, "work")].count("99") == 1


def refused(server: Server) -> bool:
    try:
        server.ask("GET", "/livez")
    except OSError:
        return True
    return False


def kept(folder: Path, request_id: str) -> Job:
    store = SqliteJobs(folder / "data" / "jobs.sqlite")
    try:
        found = store.get(request_id)
        assert found is not None
        return found
    finally:
        store.close()


def test_what_runs_may_end_before_the_server_does(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", "http://127.0.0.1:1")
    with Server(folder) as server:
        running, waiting = send(server, "slow", seconds=1), send(server, "slow", n=2)
        until(lambda: runs(server, "slow") or None)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(PATIENCE)
    assert kept(folder, running).status is Status.SUCCEEDED
    left = kept(folder, waiting)
    assert (left.status, left.attempts, left.interrupted) == (Status.STARTING, 0, 0)


@pytest.mark.parametrize(
    "signals", [[signal.SIGKILL], [signal.SIGTERM, signal.SIGTERM]], ids=["kill", "hurry"]
)
def test_what_ran_when_the_server_ended_runs_again(tmp_path: Path, signals: list[int]) -> None:
    folder = write_project(tmp_path / "project", "http://127.0.0.1:1")
    with Server(folder) as server:
        request_id = send(server, "slow", seconds=300)
        until(lambda: runs(server, "slow") or None)
        server.process.send_signal(signals[0])
        for number in signals[1:]:
            until(lambda: refused(server) or None)  # two signals at once are one
            server.process.send_signal(number)
        server.process.wait(PATIENCE)
    job_then = kept(folder, request_id)
    put_back = signals != [signal.SIGKILL]
    assert job_then.status is (Status.STARTING if put_back else Status.PROCESSING)
    assert (job_then.interrupted, job_then.failures) == (int(put_back), 0)
    (folder / "inference" / "slow.py").write_text("def handler(event, context):\n    return 'done'\n")
    with Server(folder) as server:
        shown = job(server, request_id)
        assert (shown["status"], shown["output"]) == ("succeeded", "done")
        assert (shown["attempts"], shown["interrupted"]) == (2, 1)
