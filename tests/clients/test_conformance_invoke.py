"""Invoke as AWS answers it: every way to name a function, every kind of answer, logs, limits."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from clients.conforming import Invoked, client_of, invoke
from firstlight.gateway.lambda_api.eventstream import messages
from serving import Server

SYNC = 6_291_456
ANSWER = 6_291_556
EVENT = 1_048_576
STREAM = 209_715_200
ARN = "arn:aws:lambda:us-east-1:000000000000:function:echo"


@pytest.fixture(scope="module")
def client(conforming_server: Server) -> Iterator[Any]:
    made = client_of(conforming_server.url)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "qualifier"),
    [
        ("echo", None),
        ("echo:$LATEST", None),
        ("echo", "$LATEST"),
        ("echo:$LATEST", "$LATEST"),
        ("000000000000:function:echo", None),
        ("000000000000:function:echo:$LATEST", None),
        ("function:echo", None),
        (ARN, None),
        (f"{ARN}:$LATEST", "$LATEST"),
    ],
)
def test_names(client: Any, name: str, qualifier: str | None) -> None:
    invoked = invoke(client, name, {"ä": 1}, **({"Qualifier": qualifier} if qualifier else {}))
    assert invoked.reply["StatusCode"] == 200
    assert invoked.reply["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in invoked.reply
    assert invoked.payload["event"] == {"ä": 1}
    assert invoked.payload["arn"] == ARN
    assert invoked.payload["version"] == invoked.payload["variable"] == "$LATEST"
    assert invoked.payload["id"] == invoked.request_id


def test_an_answer_is_the_functions_own_bytes(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload=b'{"do": "answer", "size": 5}')
    with reply["Payload"] as body:
        assert body.read() == b'"xxx"'
    assert reply["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"
    assert "LogResult" not in reply


def test_no_payload_is_an_empty_event(client: Any) -> None:
    assert invoke(client, "echo").payload["event"] == {}


@pytest.mark.parametrize("kind", ["DryRun", "Event"])
def test_answers_without_a_body(client: Any, kind: str) -> None:
    reply = client.invoke(FunctionName="echo", InvocationType=kind, Payload=b"{}")
    assert reply["StatusCode"] == {"DryRun": 204, "Event": 202}[kind]
    with reply["Payload"] as body:
        assert body.read() == b""
    assert len(reply["ResponseMetadata"]["RequestId"]) == 36
    assert not {"ExecutedVersion", "FunctionError", "LogResult"} & reply.keys()


def test_an_event_can_be_asked_after_by_its_request_id(client: Any, conforming_server: Server) -> None:
    reply = client.invoke(FunctionName="echo", InvocationType="Event", Payload=b'{"a": 1}')
    reply["Payload"].close()
    path = f"/v1/jobs/{reply['ResponseMetadata']['RequestId']}"
    job: dict[str, Any] = {}
    while job.get("status") not in ("succeeded", "failed"):
        status, _, body = conforming_server.ask("GET", path)
        assert status == 200
        job = json.loads(body)
    assert job["status"] == "succeeded"
    assert job["output"]["id"] == job["id"] == reply["ResponseMetadata"]["RequestId"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_invoke_async(client: Any) -> None:
    assert client.invoke_async(FunctionName="echo", InvokeArgs=b"{}")["Status"] == 202


def test_the_client_context_and_the_trace(client: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"who": "me"}}).encode()).decode()
    invoked = invoke(client, "echo", {}, ClientContext=context)
    assert invoked.payload["client"] == {"who": "me"}
    assert invoked.payload["trace"].startswith("Root=1-")


def check_log(invoked: Invoked, version: str = "$LATEST") -> None:
    """START, what was written, END, REPORT with figures that fit together."""
    first, last = invoked.lines[0], invoked.lines[-1]
    assert first == f"START RequestId: {invoked.request_id} Version: {version}"
    assert f"END RequestId: {invoked.request_id}" in invoked.lines
    assert last.startswith(f"REPORT RequestId: {invoked.request_id}\t")
    report = invoked.report
    duration = float(report["Duration"].removesuffix(" ms"))
    billed = int(report["Billed Duration"].removesuffix(" ms"))
    init = float(report.get("Init Duration", "0 ms").removesuffix(" ms"))
    # The figures of the line are rounded, the bill is not.
    assert duration + init - 0.02 <= billed < duration + init + 1.02
    assert 1 <= int(report["Max Memory Used"].removesuffix(" MB")) <= 900


def test_the_log(client: Any) -> None:
    invoked = invoke(client, "echo", {"do": "speak"})
    check_log(invoked)
    assert invoked.lines[1:2] == ["echo was asked to speak"]
    assert invoked.report["Memory Size"] == f"{invoked.payload['memory']} MB"


def test_a_cold_start_is_in_the_report(client: Any) -> None:
    invoke(client, "single", {"do": "exit"})
    cold = invoke(client, "single", {})
    check_log(cold)
    assert float(cold.report["Init Duration"].removesuffix(" ms")) > 1
    assert "Init Duration" not in invoke(client, "single", {}).report


def test_the_log_is_its_last_four_kilobytes(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload=b'{"do": "write"}', LogType="Tail")
    reply["Payload"].close()
    assert len(base64.b64decode(reply["LogResult"])) == 4096


def test_an_exception_in_the_handler(client: Any) -> None:
    invoked = invoke(client, "echo", {"do": "raise"})
    assert invoked.reply["FunctionError"] == "Unhandled"
    assert invoked.reply["StatusCode"] == 200
    assert invoked.payload.keys() == {"errorMessage", "errorType", "requestId", "stackTrace"}
    assert (invoked.payload["errorType"], invoked.payload["errorMessage"]) == ("ValueError", "boom")
    assert invoked.payload["requestId"] == invoked.request_id
    (frame,) = invoked.payload["stackTrace"]
    assert re.fullmatch(
        r'  File "[^"]+echo\.py", line \d+, in handler\n    raise ValueError\("boom"\)\n', frame
    )
    assert "Status" not in invoked.report


@pytest.mark.parametrize(
    ("name", "event", "kind", "message", "ending"),
    [
        (
            "echo",
            {"do": "exit"},
            "Runtime.ExitError",
            "Error: Runtime exited with error: exit status 3",
            "error",
        ),
        (
            "echo",
            {"do": "leave"},
            "Runtime.ExitError",
            "Error: Runtime exited without providing a reason",
            "error",
        ),
        (
            "echo",
            {"do": "abort"},
            "Runtime.ExitError",
            "Error: Runtime exited with error: signal: aborted",
            "error",
        ),
        (
            "greedy",
            {},
            "Runtime.OutOfMemory",
            "Error: Runtime exited with error: signal: killed",
            "error",
        ),
        ("brief", {}, "Sandbox.Timedout", "Error: Task timed out after 1.00 seconds", "timeout"),
    ],
)
def test_what_the_platform_ends(
    client: Any, name: str, event: Any, kind: str, message: str, ending: str
) -> None:
    invoked = invoke(client, name, event)
    assert invoked.reply["FunctionError"] == "Unhandled"
    assert invoked.reply["ExecutedVersion"] == "$LATEST"
    assert invoked.payload == {
        "errorType": kind,
        "errorMessage": f"RequestId: {invoked.request_id} {message}",
    }
    check_log(invoked)
    assert invoked.report["Status"] == ending
    assert invoked.report.get("Error Type") == (kind if ending == "error" else None)
    if ending == "timeout":
        assert f"{invoked.request_id} Task timed out after 1.00 seconds" in invoked.lines


@pytest.mark.parametrize(
    ("name", "kind", "message", "frames"),
    [
        ("raising", "RuntimeError", "no start", 1),
        (
            "missing",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'nothing_of_that_name'",
            1,
        ),
        (
            "unparsed",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'unparsed': expected ':' (unparsed.py, line 1)",
            1,
        ),
    ],
)
def test_a_module_that_cannot_be_loaded(client: Any, name: str, kind: str, message: str, frames: int) -> None:
    invoked = invoke(client, name, {})
    assert invoked.reply["FunctionError"] == "Unhandled"
    assert (invoked.payload["errorType"], invoked.payload["errorMessage"]) == (kind, message)
    assert invoked.payload["requestId"] == ""
    assert len(invoked.payload["stackTrace"]) == frames
    check_failed_init(invoked, kind)


def test_a_module_that_ends_the_worker(client: Any) -> None:
    invoked = invoke(client, "ending", {})
    assert invoked.payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {invoked.request_id} Error: Runtime exited with error: exit status 9",
    }
    check_failed_init(invoked, "Runtime.ExitError")


def check_failed_init(invoked: Invoked, kind: str) -> None:
    """INIT_REPORT, then an invocation that never ran."""
    report = next(line for line in invoked.lines if line.startswith("INIT_REPORT"))
    assert re.search(r"Init Duration: [\d.]+ ms\tPhase: invoke\tStatus: error\tError Type: [\w.]+$", report)
    after = invoked.lines[invoked.lines.index(report) + 1 :]
    assert after[:2] == [
        f"START RequestId: {invoked.request_id} Version: $LATEST",
        f"END RequestId: {invoked.request_id}",
    ]
    assert (invoked.report["Status"], invoked.report["Error Type"]) == ("error", kind)


def test_an_answer_that_is_not_json(client: Any) -> None:
    invoked = invoke(client, "echo", {"do": "object"})
    assert invoked.payload["errorType"] == "Runtime.MarshalError"
    assert invoked.payload["requestId"] == invoked.request_id
    assert invoked.payload["errorMessage"].startswith("Unable to marshal response: Object of type object")


def test_how_large_an_answer_may_be(client: Any) -> None:
    assert len(invoke(client, "echo", {"do": "answer", "size": ANSWER}).payload) == ANSWER - 2
    invoked = invoke(client, "echo", {"do": "answer", "size": ANSWER + 1})
    assert invoked.reply["FunctionError"] == "Unhandled"
    assert invoked.payload == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": f"Response payload size exceeded maximum allowed payload size ({ANSWER} bytes).",
    }


def event_of(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", SYNC), ("DryRun", SYNC), ("Event", EVENT)])
def test_how_large_an_event_may_be(client: Any, kind: str, limit: int) -> None:
    if kind != "RequestResponse":  # how that comes back is another test
        taken = client.invoke(FunctionName="echo", InvocationType=kind, Payload=event_of(limit))
        taken["Payload"].close()
        assert taken["StatusCode"] in (202, 204)
    with pytest.raises(client.exceptions.ClientError) as raised:
        client.invoke(FunctionName="echo", InvocationType=kind, Payload=event_of(limit + 1))
    error = raised.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert error["Error"] == {
        "Code": "RequestEntityTooLargeException",
        "Message": f"{limit + 1} byte payload is too large for the {kind} invocation type (limit {limit} bytes)",
    }


def test_six_megabytes_go_there_and_back(client: Any) -> None:
    reply = client.invoke(FunctionName="echo", Payload=b'{"do": "size"}' + b" " * (SYNC - 14))
    with reply["Payload"] as body:
        assert json.loads(body.read())["event"] == {"do": "size"}


@pytest.mark.parametrize(("size", "taken"), [(3583, True), (3584, False)])
def test_how_large_a_client_context_may_be(client: Any, size: int, taken: bool) -> None:
    inner = size // 4 * 3 - len('{"custom": {"a": ""}}')
    context = base64.b64encode(json.dumps({"custom": {"a": "x" * inner}}).encode()).decode()
    context = context if taken else context + "=" * (size - len(context)) + "A"
    assert (len(context) <= 3583) is taken
    if taken:
        assert invoke(client, "echo", {}, ClientContext=context).payload["client"]["a"] == "x" * inner
        return
    with pytest.raises(client.exceptions.InvalidRequestContentException, match="3583"):
        invoke(client, "echo", {}, ClientContext=context)


def streamed(client: Any, event: Any, **more: Any) -> tuple[list[bytes], dict[str, Any], dict[str, Any]]:
    reply = client.invoke_with_response_stream(
        FunctionName="echo", Payload=json.dumps(event), LogType="Tail", **more
    )
    pieces, end = [], {}
    with closing(reply["EventStream"]) as messages:
        for message in messages:
            if "PayloadChunk" in message:
                pieces.append(message["PayloadChunk"]["Payload"])
            end = message.get("InvokeComplete", end)
    return pieces, end, reply


def test_a_stream(client: Any) -> None:
    pieces, end, reply = streamed(client, {"do": "stream", "pieces": ["first ", "light"]})
    assert b"".join(pieces) == b"first light"
    assert (reply["StatusCode"], reply["ExecutedVersion"]) == (200, "$LATEST")
    assert reply["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-remapped-content-type"] == "application/octet-stream"
    assert "ErrorCode" not in end
    assert "REPORT RequestId" in base64.b64decode(end["LogResult"]).decode()


def test_a_stream_of_what_does_not_stream_and_of_what_fails(client: Any) -> None:
    pieces, _, _ = streamed(client, {})
    assert json.loads(b"".join(pieces))["event"] == {}
    pieces, end, _ = streamed(client, {"do": "raise"})
    assert pieces == []
    assert end["ErrorCode"] == "Unhandled"
    details = json.loads(end["ErrorDetails"])
    assert (details["errorType"], details["errorMessage"]) == ("ValueError", "boom")


@pytest.mark.parametrize("pieces", [200, 201])
def test_how_large_a_stream_may_be(conforming_server: Server, pieces: int) -> None:
    """Read without botocore, whose parser copies all that is left for every frame."""
    connection = http.client.HTTPConnection(urlsplit(conforming_server.url).netloc)
    event = {"do": "stream", "pieces": ["x" * 1_048_576], "times": pieces}
    path = "/2021-11-15/functions/echo/response-streaming-invocations"
    connection.request("POST", path, json.dumps(event))
    size, end = 0, {}
    for headers, payload in messages(connection.getresponse().read):
        if headers[":event-type"] == "PayloadChunk":
            size += len(payload)
        else:
            end = json.loads(payload)
    connection.close()
    assert size == STREAM
    assert end.get("ErrorCode") == (None if pieces == 200 else "Unhandled")
    if pieces == 201:
        assert json.loads(end["ErrorDetails"]) == {
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": f"Response payload size exceeded maximum allowed payload size ({STREAM} bytes).",
        }


def test_a_dry_run_of_a_stream(client: Any) -> None:
    reply = client.invoke_with_response_stream(FunctionName="echo", InvocationType="DryRun")
    reply["EventStream"].close()
    assert reply["StatusCode"] == 204
