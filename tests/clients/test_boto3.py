"""The AWS SDK for Python, as it is: every answer and every exception it knows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from serving import Server


def client_of(url: str, key: str = "local") -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="local",
        config=Config(read_timeout=60, retries={"max_attempts": 0}),
    )


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    made = client_of(server.url)
    yield made
    made.close()


def invoke(client: Any, name: str, event: Any = None, **more: Any) -> tuple[dict[str, Any], Any]:
    payload = {} if event is None else {"Payload": json.dumps(event)}
    reply = client.invoke(FunctionName=name, **payload, **more)
    with reply["Payload"] as body:
        data = body.read()
    return reply, json.loads(data) if data else None


def test_a_model_answers(client: Any) -> None:
    reply, answer = invoke(client, "sentiment", {"inputs": "what a lovely day"})
    assert reply["StatusCode"] == 200
    assert reply["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in reply
    assert answer[0]["label"] == "POSITIVE"


@pytest.mark.parametrize(
    "name",
    [
        "echo",
        "echo:$LATEST",
        "123456789012:function:echo",
        "arn:aws:lambda:us-east-1:123456789012:function:echo",
        "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST",
    ],
)
def test_every_way_to_name_a_function(client: Any, name: str) -> None:
    _, answer = invoke(client, name, {"a": "ä"})
    assert answer["event"] == {"a": "ä"}
    assert answer["arn"].endswith(":function:echo")


def test_no_payload_is_an_empty_event(client: Any) -> None:
    assert invoke(client, "echo")[1]["event"] == {}


def test_the_client_context_arrives(client: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"who": "me"}}).encode()).decode()
    assert invoke(client, "echo", {}, ClientContext=context)[1]["context"] == {"who": "me"}


def test_the_log_can_be_had(client: Any) -> None:
    reply, _ = invoke(client, "echo", {"do": "speak"}, LogType="Tail")
    log = base64.b64decode(reply["LogResult"]).decode()
    request_id = reply["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request_id} Version: $LATEST" in log
    assert "echo was asked to speak" in log
    assert f"REPORT RequestId: {request_id}" in log


def test_an_exception_in_the_handler(client: Any) -> None:
    reply, answer = invoke(client, "echo", {"do": "raise"})
    assert reply["StatusCode"] == 200
    assert reply["FunctionError"] == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "boom")
    assert any("handler" in line for line in answer["stackTrace"])


def test_bad_inputs_of_a_model(client: Any) -> None:
    reply, answer = invoke(client, "qa", {"inputs": {"question": "who?"}})
    assert reply["FunctionError"] == "Unhandled"
    assert answer["errorType"] == "InvalidInput"
    assert "context" in answer["errorMessage"]


def test_a_worker_that_dies_and_the_next_one(client: Any) -> None:
    reply, answer = invoke(client, "echo", {"do": "exit"})
    assert reply["FunctionError"] == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert invoke(client, "echo", {})[1]["event"] == {}


def test_a_timeout(client: Any) -> None:
    reply, answer = invoke(client, "brief", {})
    assert reply["FunctionError"] == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]


def test_an_answer_over_six_megabytes(client: Any) -> None:
    reply, answer = invoke(client, "echo", {"do": "large"})
    assert reply["FunctionError"] == "Unhandled"
    assert answer["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_dry_run(client: Any) -> None:
    assert invoke(client, "echo", {"do": "raise"}, InvocationType="DryRun")[0]["StatusCode"] == 204


def test_an_unknown_function(client: Any) -> None:
    with pytest.raises(
        client.exceptions.ResourceNotFoundException, match="Function not found: arn:aws:lambda"
    ):
        invoke(client, "nope", {})
    with pytest.raises(client.exceptions.ResourceNotFoundException, match=":echo:prod"):
        invoke(client, "echo", {}, Qualifier="prod")


def test_a_payload_that_is_not_json(client: Any) -> None:
    with pytest.raises(
        client.exceptions.InvalidRequestContentException, match="Could not parse request body"
    ):
        client.invoke(FunctionName="echo", Payload=b"{'a': 1}")


def test_a_payload_of_seven_megabytes(client: Any) -> None:
    with pytest.raises(ClientError, match=r"7000002 byte payload is too large") as raised:
        client.invoke(FunctionName="echo", Payload=json.dumps("x" * 7_000_000))
    assert raised.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert invoke(client, "echo", {})[1]["event"] == {}


def test_an_event_is_taken(client: Any) -> None:
    reply, answer = invoke(client, "echo", {}, InvocationType="Event")
    assert (reply["StatusCode"], answer) == (202, None)


def test_functions_are_listed_and_described(client: Any) -> None:
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    names = [found["FunctionName"] for page in pages for found in page["Functions"]]
    assert set(names) >= {"sentiment", "qa", "embeddings", "brief", "echo", "router"}
    assert len(names) == len(set(names))
    assert client.get_function(FunctionName="brief")["Configuration"]["Timeout"] == 1
    assert client.get_function_configuration(FunctionName="echo")["State"] == "Active"


def streamed(client: Any, event: Any, **more: Any) -> tuple[bytes, dict[str, Any]]:
    reply = client.invoke_with_response_stream(FunctionName="echo", Payload=json.dumps(event), **more)
    data, end = b"", {}
    for message in reply["EventStream"]:
        data += message.get("PayloadChunk", {}).get("Payload", b"")
        end = message.get("InvokeComplete", end)
    return data, end


def test_a_stream(client: Any) -> None:
    data, end = streamed(client, {"do": "stream"}, LogType="Tail")
    assert data == b"first light"
    assert "REPORT" in base64.b64decode(end["LogResult"]).decode()
    assert "ErrorCode" not in end


def test_a_function_that_does_not_stream_and_one_that_fails(client: Any) -> None:
    assert json.loads(streamed(client, {})[0])["event"] == {}
    data, end = streamed(client, {"do": "raise"})
    assert data == b""
    assert end["ErrorCode"] == "Unhandled"
    assert json.loads(end["ErrorDetails"])["errorType"] == "ValueError"


def test_the_token_is_the_access_key_id(guarded: Server) -> None:
    allowed, refused = client_of(guarded.url, "s3cret"), client_of(guarded.url, "wrong")
    try:
        assert invoke(allowed, "echo", {})[1]["event"] == {}
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            invoke(refused, "echo", {})
    finally:
        allowed.close()
        refused.close()
