from __future__ import annotations

import io
import json

import pytest

from firstlight.deploy.aws.errors import AwsError
from firstlight.deploy.remote import Caller, FunctionFailed
from firstlight.project.names import Names
from firstlight.runtime.errors import EndpointNotFound


class Lambda:
    """Answers each call with the next of what it was given: an error, or an answer."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def invoke(self, **asked):
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, AwsError):
            raise answer
        return answer

    invoke_with_response_stream = invoke


class Session:
    region = "eu-central-1"

    def __init__(self, client):
        self._client = client

    def client(self, name, patience=0.0):
        assert (name, patience) == ("lambda", 60.0)
        return self._client


def refused(reason):
    return AwsError(f"AWS refused it: {reason}", reason=reason)


def answered(**more):
    return {"StatusCode": 200, "Payload": io.BytesIO(b"[1]"), "ResponseMetadata": {"RequestId": "r"}, **more}


@pytest.fixture
def calling():
    """A caller of a client; what it said while it waited, and for how long it did."""

    def make(client):
        said, waits, now = [], [], [0.0]

        def pause(seconds):
            waits.append(seconds)
            now[0] += seconds

        caller = Caller(
            Session(client),
            Names("demo", "try"),
            60.0,
            waiting=said.append,
            clock=lambda: now[0],
            pause=pause,
        )
        return caller, said, waits

    return make


def test_the_live_alias_is_called(calling):
    client = Lambda(answered(ExecutedVersion="3", LogResult="aGVsbG8="))
    caller, _, _ = calling(client)
    answer = caller.answer("mood", b"{}", tail=True, qualifier=None)
    assert client.asked == [
        {"FunctionName": "demo-try-mood", "Qualifier": "live", "Payload": b"{}", "LogType": "Tail"}
    ]
    assert (answer["payload"], answer["log"], answer["executedVersion"]) == (b"[1]", "hello", "3")


def test_a_function_that_lambda_put_away_is_waited_for(calling):
    client = Lambda(*[refused("CodeArtifactUserPendingException")] * 3, answered())
    caller, said, waits = calling(client)
    assert caller.answer("mood", b"{}", tail=False, qualifier=None)["payload"] == b"[1]"
    assert len(said) == 1
    assert len(waits) == 3


def test_it_is_not_waited_for_for_ever(calling):
    client = Lambda(*[refused("ResourceConflictException")] * 100)
    caller, _, waits = calling(client)
    with pytest.raises(AwsError, match="ResourceConflictException"):
        caller.hand_in("mood", b"{}", qualifier=None)
    assert 100 <= sum(waits) <= 130


def test_other_refusals_are_not_tried_again(calling):
    client = Lambda(refused("TooManyRequestsException"))
    caller, _, waits = calling(client)
    with pytest.raises(AwsError):
        caller.answer("mood", b"{}", tail=False, qualifier=None)
    assert waits == []


@pytest.mark.parametrize(
    ("qualifier", "said"), [(None, "has no endpoint 'mood'"), ("9", "no version or alias '9'")]
)
def test_what_is_not_there_is_named(calling, qualifier, said):
    caller, _, _ = calling(Lambda(refused("ResourceNotFoundException")))
    with pytest.raises(EndpointNotFound, match=said):
        caller.answer("mood", b"{}", tail=False, qualifier=qualifier)


def chunk(data):
    return {"PayloadChunk": {"Payload": data}}


def test_an_answer_in_pieces(calling):
    caller, _, _ = calling(Lambda({"EventStream": [chunk(b"a"), chunk(b"b"), {"InvokeComplete": {}}]}))
    assert list(caller.pieces("mood", b"{}", qualifier=None)) == [b"a", b"b"]


@pytest.mark.parametrize(
    ("details", "payload"),
    [
        (json.dumps({"errorMessage": "boom"}), {"errorMessage": "boom"}),
        ("gone", {"errorType": "Unhandled", "errorMessage": "gone"}),
    ],
)
def test_a_stream_that_fails_halfway(calling, details, payload):
    end = {"InvokeComplete": {"ErrorCode": "Unhandled", "ErrorDetails": details}}
    caller, _, _ = calling(Lambda({"EventStream": [chunk(b"a"), end]}))
    pieces = caller.pieces("mood", b"{}", qualifier="2")
    assert next(pieces) == b"a"
    with pytest.raises(FunctionFailed) as caught:
        next(pieces)
    assert caught.value.payload == payload
