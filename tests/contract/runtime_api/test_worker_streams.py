"""Answers that leave in pieces: chunks, the HTTP prelude, and trailers that say what went wrong on the way."""

import base64
import json
from pathlib import Path

import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import Pipe, Start

NUL = bytes(8)


def test_pieces_leave_as_they_are_made(api: RuntimeApi, start: Start, pipe: Pipe) -> None:
    start(
        api,
        """
        def handler(event, context):
            yield "one"
            open("pipe", "rb", 0).read(1)  # until the test has seen the first piece
            yield b"two"
            yield ""
            yield bytearray(b"three")
        """,
    )
    event = api.put(invocation_id="9")
    assert api.wait_chunks(1) == [b"one"]
    pipe.write()
    answer = event.wait()
    assert answer.chunks == [b"one", b"two", b"three"]
    assert answer.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["lambda-runtime-invocation-id"] == "9"
    assert "content-length" not in answer.headers
    assert set(answer.trailers) == {"firstlight-notes"}
    assert json.loads(answer.trailers["firstlight-notes"]) == {"timings": {}, "warnings": []}


def test_a_response_with_a_streamed_body_has_a_prelude(api: RuntimeApi, start: Start) -> None:
    start(
        api,
        """
        def handler(event, context):
            response = {"statusCode": 201, "headers": {"content-type": "text/plain"}, "cookies": ["a=b"]}
            return {**response, "body": iter(["hello ", "wörld"]), "isBase64Encoded": False}
        """,
    )
    answer = api.invoke()
    assert answer.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    prelude, _, body = answer.body.partition(NUL)
    assert json.loads(prelude) == {
        "statusCode": 201,
        "headers": {"content-type": "text/plain"},
        "cookies": ["a=b"],
    }
    assert body.decode() == "hello wörld"


@pytest.mark.parametrize("body", ["iter(())", "iter(['', b''])", "(x for x in [])"])
def test_streams_without_a_byte(api: RuntimeApi, start: Start, body: str) -> None:
    start(
        api, f"def handler(event, context): return {body} if event else {{'statusCode': 204, 'body': {body}}}"
    )
    assert api.invoke(b"1").body == b""
    assert api.invoke(b"0").body == b'{"statusCode": 204}' + NUL


def test_an_error_on_the_way_is_in_the_trailers(api: RuntimeApi, start: Start, tmp_path: Path) -> None:
    start(
        api,
        """
        from firstlight.runtime import notes
        def handler(event, context):
            yield "so far"
            notes.warn("hurried")
            raise KeyError("lost")
        """,
    )
    event = api.put()
    answer = event.wait()
    assert answer.body == b"so far"
    assert answer.trailers["lambda-runtime-function-error-type"] == "Function.KeyError"
    error = json.loads(base64.b64decode(answer.trailers["lambda-runtime-function-error-body"], validate=True))
    assert error == {
        "errorMessage": "'lost'",
        "errorType": "KeyError",
        "requestId": event.request_id,
        "stackTrace": [f'  File "{tmp_path}/script.py", line 6, in handler\n    raise KeyError("lost")\n'],
    }
    assert json.loads(answer.trailers["firstlight-notes"])["warnings"] == ["hurried"]
    assert api.invoke().body == b"so far"


def test_a_piece_of_the_wrong_type(api: RuntimeApi, start: Start) -> None:
    start(api, "def handler(event, context):\n  yield 'a'\n  yield 5")
    trailers = api.invoke().trailers
    assert trailers["lambda-runtime-function-error-type"] == "Runtime.MarshalError"
    error = json.loads(base64.b64decode(trailers["lambda-runtime-function-error-body"]))
    assert error["errorMessage"] == "Unable to marshal response: a streamed piece is of type int"


@pytest.mark.parametrize("wrap", ["{}", "{{'statusCode': 200, 'body': {}}}"])
def test_an_error_before_the_first_piece_is_a_plain_function_error(
    api: RuntimeApi, start: Start, wrap: str
) -> None:
    start(
        api,
        f"""
        def pieces():
            raise ValueError("not one")
            yield
        def handler(event, context):
            return {wrap.format("pieces()")}
        """,
    )
    event = api.put()
    answer = event.wait()
    assert answer.path.endswith("/error")
    assert json.loads(answer.body)["errorMessage"] == "not one"
    assert len(event.answers) == 1


def test_a_reader_that_leaves_ends_the_generator_and_not_the_worker(
    api: RuntimeApi, start: Start, pipe: Pipe
) -> None:
    start(
        api,
        """
        def endless():
            try:
                while True:
                    yield b"x" * 100_000
            finally:
                with open("pipe", "w") as pipe:
                    pipe.write("now")
        def handler(event, context):
            return endless() if event == {} else event
        """,
    )
    api.hang_up_after_chunks = 3
    api.put()
    assert pipe.read() == b"now"
    assert api.invoke(b"5").body == b"5"


def test_a_stream_of_many_megabytes(api: RuntimeApi, start: Start) -> None:
    start(
        api,
        "def handler(event, context):\n  return (bytes([n % 251]) * 700_001 for n in range(40))",
    )
    body = api.invoke().body
    assert len(body) == 40 * 700_001
    assert body[::700_001] == bytes(range(40))
