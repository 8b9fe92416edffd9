"""Every service error that has a cause on this machine, as boto3 raises it; the others are in the unit tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.conforming import client_of, invoke
from serving import Server

ARN = "arn:aws:lambda:us-east-1:000000000000:function"


@pytest.fixture(scope="module")
def client(conforming_server: Server) -> Iterator[Any]:
    made = client_of(conforming_server.url)
    yield made
    made.close()


@contextmanager
def sending(client: Any, **headers: str) -> Iterator[None]:
    """What boto3 has no parameter for."""

    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value

    client.meta.events.register("before-sign.lambda", add)
    try:
        yield
    finally:
        client.meta.events.unregister("before-sign.lambda", add)


def refused(
    client: Any, ask: Callable[[], Any], status: int, name: str, modeled: bool = True
) -> dict[str, Any]:
    """What boto3 makes of a refusal; the members that its model has are filled."""
    with pytest.raises(ClientError) as raised:
        ask()
    error = raised.value
    found: dict[str, Any] = error.response
    assert found["Error"]["Code"] == name
    assert found["ResponseMetadata"]["HTTPStatusCode"] == status
    assert len(found["ResponseMetadata"]["RequestId"]) == 36
    if modeled:
        assert type(error) is getattr(client.exceptions, name)
        model = client.meta.service_model.shape_for_error_code(name)
        assert {member for member in model.members if member not in found} == set()
        assert found["Type"] == ("User" if status < 500 else "Service")
    return found


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"{'a': 1}", "Could not parse request body into json: Could not parse payload into json: "),
        (b"n\x87r\x9e", "Invalid UTF-8 start byte 0x87"),
        (b"NaN", "Could not parse payload into json"),
        (b"[" * 100_000, "Could not parse payload into json"),
    ],
)
@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
def test_a_payload_that_is_not_json(client: Any, payload: bytes, told: str, kind: str) -> None:
    found = refused(
        client,
        lambda: client.invoke(FunctionName="echo", Payload=payload, InvocationType=kind),
        400,
        "InvalidRequestContentException",
    )
    assert told in found["message"]


@pytest.mark.parametrize("context", ["e30", "bm90IGpzb24="])
def test_a_client_context_that_is_none(client: Any, context: str) -> None:
    found = refused(
        client,
        lambda: invoke(client, "echo", {}, ClientContext=context),
        400,
        "InvalidRequestContentException",
    )
    assert found["message"] == "Client context must be a valid Base64-encoded JSON object."


def test_two_qualifiers(client: Any) -> None:
    found = refused(
        client,
        lambda: invoke(client, "echo:1", {}, Qualifier="2"),
        400,
        "InvalidParameterValueException",
    )
    told = "The derived qualifier from the function name does not match the specified qualifier."
    assert found["message"] == told


@pytest.mark.parametrize("more", [{"TenantId": "a"}, {"DurableExecutionName": "a"}])
def test_what_these_functions_do_not_take(client: Any, more: dict[str, str]) -> None:
    refused(client, lambda: invoke(client, "echo", {}, **more), 400, "InvalidParameterValueException")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a b", "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: "),
        ("x" * 257, "Member must have length less than or equal to 256"),
        ("arn:aws:s3:::bucket", "Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?"),
        ("echo:$latest", "Member must satisfy regular expression pattern"),
    ],
)  # fmt: skip
def test_names_that_are_none(conforming_server: Server, name: str, told: str) -> None:
    lax = client_of(conforming_server.url, parameter_validation=False)
    found = refused(lax, lambda: invoke(lax, name, {}), 400, "ValidationException", modeled=False)
    assert told in found["Error"]["Message"]
    lax.close()


@pytest.mark.parametrize(
    ("more", "values"),
    [
        ({"InvocationType": "Later"}, "[Event, RequestResponse, DryRun]"),
        ({"LogType": "Head"}, "[Tail, None]"),
        ({"Qualifier": "a b"}, "[a-zA-Z0-9-_$]+"),
        ({"Qualifier": "x" * 129}, "less than or equal to 128"),
    ],
)
def test_members_with_other_values(conforming_server: Server, more: dict[str, str], values: str) -> None:
    lax = client_of(conforming_server.url, parameter_validation=False)
    found = refused(
        lax,
        lambda: lax.invoke(FunctionName="echo", Payload=b"{}", **more),
        400,
        "ValidationException",
        modeled=False,
    )
    assert values in found["Error"]["Message"]
    lax.close()


def test_the_newest_version_of_a_function_without_any(client: Any) -> None:
    refused(
        client,
        lambda: invoke(client, "echo", {}, Qualifier="$LATEST.PUBLISHED"),
        400,
        "NoPublishedVersionException",
    )


def test_a_function_that_leads_to_itself_is_stopped(client: Any) -> None:
    """Each invocation carries on the trace that the one before it was given, as an SDK within a function does."""
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    for _ in range(16):
        with sending(client, X_Amzn_Trace_Id=trace):
            trace = invoke(client, "echo", {}).payload["trace"]
    assert trace.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;")
    with sending(client, X_Amzn_Trace_Id=trace):
        refused(client, lambda: invoke(client, "echo", {}), 400, "RecursiveInvocationException")


def test_a_page_of_another_site(client: Any) -> None:
    with sending(client, Origin="http://example.org"):
        found = refused(client, lambda: invoke(client, "echo"), 403, "AccessDeniedException", modeled=False)
    assert "may not use this server" in found["Error"]["Message"]


def test_a_wrong_token(guarded: Server) -> None:
    wrong = client_of(guarded.url)
    refused(wrong, lambda: invoke(wrong, "echo"), 403, "UnrecognizedClientException", modeled=False)
    wrong.close()


@pytest.mark.parametrize(
    ("name", "more", "arn"),
    [
        ("nope", {}, f"{ARN}:nope:$LATEST"),
        ("nope", {"Qualifier": "1"}, f"{ARN}:nope:1"),
        ("echo", {"Qualifier": "99"}, f"{ARN}:echo:99"),
        ("echo", {"Qualifier": "prod"}, f"{ARN}:echo:prod"),
        ("x" * 64, {}, f"{ARN}:{'x' * 64}:$LATEST"),
    ],
)
@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
def test_what_is_not_there(client: Any, name: str, more: dict[str, str], arn: str, kind: str) -> None:
    found = refused(
        client,
        lambda: client.invoke(FunctionName=name, InvocationType=kind, **more),
        404,
        "ResourceNotFoundException",
    )
    assert found["Message"] == f"Function not found: {arn}"


def test_a_stream_of_what_is_not_there(client: Any) -> None:
    refused(
        client,
        lambda: client.invoke_with_response_stream(FunctionName="nope"),
        404,
        "ResourceNotFoundException",
    )


def test_a_body_of_another_type(client: Any) -> None:
    with sending(client, Content_Type="text/xml"):
        found = refused(client, lambda: invoke(client, "echo", {}), 415, "UnsupportedMediaTypeException")
    assert found["message"] == "The content type of the Invoke request body is not JSON."


def test_a_function_that_is_turned_off(client: Any) -> None:
    found = refused(client, lambda: invoke(client, "off", {}), 429, "TooManyRequestsException")
    assert found["message"] == "Rate Exceeded."
    assert found["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert int(found["retryAfterSeconds"]) >= 1


def test_reserved_concurrency_of_nothing_is_the_switch(client: Any) -> None:
    client.put_function_concurrency(FunctionName="changing", ReservedConcurrentExecutions=0)
    try:
        refused(client, lambda: invoke(client, "changing", {}), 429, "TooManyRequestsException")
    finally:
        client.delete_function_concurrency(FunctionName="changing")
    assert invoke(client, "changing", {}).payload["number"] >= 1


def test_a_damaged_bundle(client: Any) -> None:
    """It is the function's own init that finds it out, as with an image that does not start."""
    invoked = invoke(client, "damaged", {})
    assert invoked.reply["FunctionError"] == "Unhandled"
    assert invoked.payload["errorType"] == "BundleError"


def test_what_this_server_does_not_speak(client: Any) -> None:
    found = refused(
        client,
        lambda: client.update_function_code(FunctionName="echo", ImageUri="a:b"),
        501,
        "ServiceException",
    )
    assert "is not a part of the Lambda API that this server speaks" in found["Message"]
    assert json.dumps(found["ResponseMetadata"]["RetryAttempts"]) == "0"


def test_refusals_that_sdks_do_not_try_again(conforming_server: Server) -> None:
    """A 4xx but 429, and 501; a throttle is tried three times more."""
    eager = client_of(conforming_server.url, retries={"mode": "standard", "max_attempts": 3})
    sent: list[Any] = []
    eager.meta.events.register("before-send.lambda", lambda **request: sent.append(request))
    for name, more, attempts in (("nope", {}, 1), ("echo", {"TenantId": "a"}, 1), ("off", {}, 4)):
        sent.clear()
        with pytest.raises(ClientError):
            invoke(eager, name, {}, **more)
        assert len(sent) == attempts
    eager.close()
