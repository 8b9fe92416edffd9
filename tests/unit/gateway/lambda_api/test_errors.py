"""Every error goes through botocore as it is: its parser, its exception classes, its retry rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from firstlight.gateway.asgi import Answer, BodyTooLarge, Call
from firstlight.gateway.lambda_api.errors import (
    _BY_CODE,
    EXCEPTIONS,
    LambdaError,
    Violation,
    explain,
    violated,
)
from firstlight.invoke.snapshot import SnapStartError
from firstlight.invoke.types import Throttled
from firstlight.jobs.lineage import RecursiveInvocation
from firstlight.runtime.errors import (
    BundleError,
    Conflict,
    EndpointNotFound,
    EngineError,
    FirstlightError,
    Forbidden,
    InvalidInput,
    NotSupported,
    Unauthorized,
    UnsupportedMedia,
    WorkerFailed,
)
from firstlight.versions.errors import Outdated

UNMODELED = {
    "ValidationException",
    "SerializationException",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "RequestEntityTooLargeException",
}


class Wire:
    """A boto3 client whose requests are answered with ``answer``."""

    def __init__(self) -> None:
        self.client: Any = boto3.client(
            "lambda",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"max_attempts": 0}),
        )
        self.client.meta.events.register("before-send.lambda", self._send)
        self.answer = Answer()

    def _send(self, **_: Any) -> AWSResponse:
        headers = {name.decode(): value.decode() for name, value in self.answer.headers}
        response = AWSResponse("http://localhost", self.answer.status, headers, None)
        response._content = self.answer.body
        return response

    def raised(self, answer: Answer) -> ClientError:
        self.answer = answer
        with pytest.raises(ClientError) as raised:
            self.client.invoke(FunctionName="x")
        return raised.value


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.client.close()


def call(path: str = "/2015-03-31/functions/x/invocations", **headers: str) -> Call:
    async def receive() -> Any:
        raise AssertionError

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Call({"type": "http", "method": "POST", "path": path, "headers": pairs}, receive)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_each_is_what_botocore_calls_it(wire: Wire, name: str) -> None:
    error = wire.raised(explain(LambdaError(name, "why"), call()))
    shape = EXCEPTIONS[name]
    text = "Rate Exceeded." if name == "TooManyRequestsException" else "why"
    assert error.response["Error"] == {"Code": name, "Message": text}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == shape.status
    assert len(error.response["ResponseMetadata"]["RequestId"]) == 36
    if name in UNMODELED:
        assert not hasattr(wire.client.exceptions, name)
        return
    assert type(error) is getattr(wire.client.exceptions, name)
    model = wire.client.meta.service_model.shape_for_error_code(name)
    assert model.metadata["error"]["httpStatusCode"] == shape.status
    expected = {"Type": shape.blamed, shape.key: text}
    if name == "TooManyRequestsException":
        expected |= {"retryAfterSeconds": "1", "Reason": "ConcurrentInvocationLimitExceeded"}
    found = {member: error.response.get(member) for member in model.members if member != "EC2ErrorCode"}
    assert found == expected


def test_none_is_left_out(wire: Wire) -> None:
    operation = wire.client.meta.service_model.operation_model("Invoke")
    assert {shape.name for shape in operation.error_shapes} <= EXCEPTIONS.keys()


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidInput("x"), 400, "InvalidParameterValueException"),
        (Violation(violated("v", "member", "no")), 400, "ValidationException"),
        (RecursiveInvocation("x"), 400, "RecursiveInvocationException"),
        (SnapStartError("x"), 400, "SnapStartException"),
        (Unauthorized("x"), 403, "UnrecognizedClientException"),
        (Forbidden("x"), 403, "AccessDeniedException"),
        (EndpointNotFound("x"), 404, "ResourceNotFoundException"),
        (Conflict("x"), 409, "ResourceConflictException"),
        (Outdated(), 412, "PreconditionFailedException"),
        (BodyTooLarge(7, 6, False), 413, "RequestEntityTooLargeException"),
        (UnsupportedMedia("x"), 415, "UnsupportedMediaTypeException"),
        (Throttled("x", reason="y", retry_after=3), 429, "TooManyRequestsException"),
        (EngineError("x"), 500, "ServiceException"),
        (FirstlightError("x", "do this"), 500, "ServiceException"),
        (NotSupported("x"), 501, "ServiceException"),
        (WorkerFailed("x"), 502, "ResourceNotReadyException"),
        (BundleError("x"), 502, "InvalidZipFileException"),
    ],
)
def test_what_goes_wrong_here_has_a_name_there(
    wire: Wire, error: FirstlightError, status: int, name: str
) -> None:
    found = wire.raised(explain(error, call())).response
    assert found["Error"]["Code"] == name
    assert found["ResponseMetadata"]["HTTPStatusCode"] == status


def test_a_throttle_says_why_and_when_to_come_back(wire: Wire) -> None:
    found = wire.raised(explain(Throttled("x", reason="y", retry_after=3), call())).response
    assert (found["Reason"], found["retryAfterSeconds"]) == ("y", "3")


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (call(), "RequestResponse"),
        (call(x_amz_invocation_type="Event"), "Event"),
        (call("/2014-11-13/functions/x/invoke-async"), "Event"),
    ],
)
def test_too_large_for_what(asked: Call, kind: str) -> None:
    body = explain(BodyTooLarge(7, 6, False), asked).body
    assert f"7 byte payload is too large for the {kind} invocation type (limit 6 bytes)".encode() in body


def test_hints_go_where_there_is_room_for_them() -> None:
    assert b"x; do this" in explain(FirstlightError("x", "do this"), call()).body
    assert b'"Hint":"look"' in explain(EndpointNotFound("x", "look"), call()).body


def test_all_that_can_happen_here_is_documented() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs" / "lambda-api.md").read_text()
    assert {name for name in {*_BY_CODE.values(), *UNMODELED} if name not in text} == set()
