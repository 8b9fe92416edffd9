"""What a worker does with events: context, answers, errors, over TCP and over a Unix socket."""

import json
import time

import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import Start

ECHO = """
def handler(event, context):
    return {"got": event}
"""


def test_an_event_becomes_an_answer(api: RuntimeApi, start: Start) -> None:
    start(api, ECHO)
    event = api.put(b'{"a": [1, 2.5, null, "\xc3\xa9\\u00e9"]}', invocation_id="attempt-7")
    answer = event.wait()
    assert answer.path == f"/2018-06-01/runtime/invocation/{event.request_id}/response"
    assert json.loads(answer.body) == {"got": {"a": [1, 2.5, None, "éé"]}}
    assert answer.body.decode().count("é") == 2, "text is sent as UTF-8, not escaped"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["lambda-runtime-invocation-id"] == "attempt-7"
    assert answer.headers["user-agent"].startswith("firstlight/")


def test_one_connection_serves_many_invocations(api: RuntimeApi, start: Start) -> None:
    start(api, ECHO)
    for number in range(20):
        assert json.loads(api.invoke(b"%d" % number).body) == {"got": number}
    assert len(api.connections) == 1


def test_the_context_has_every_field(api: RuntimeApi, start: Start) -> None:
    source = """
    def handler(event, context):
        client = context.client_context
        return {
            "id": context.aws_request_id, "arn": context.invoked_function_arn, "tenant": context.tenant_id,
            "name": context.function_name, "version": context.function_version,
            "memory": context.memory_limit_in_mb, "group": context.log_group_name,
            "stream": context.log_stream_name, "left": context.get_remaining_time_in_millis(),
            "app": client.client.app_title, "nothing": client.client.app_package_name,
            "custom": client.custom, "env": client.env, "w3c": context.w3c(),
            "pool": context.identity.cognito_identity_pool_id, "who": context.identity.cognito_identity_id,
            "shown": repr(context),
        }
    """
    start(
        api,
        source,
        AWS_LAMBDA_FUNCTION_NAME="mood",
        AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769",
        AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/mood",
        AWS_LAMBDA_LOG_STREAM_NAME="2026/11/20/[$LATEST]1",
    )
    client = {
        "client": {"app_title": "Übung"},
        "custom": {"k": 1},
        "env": {"e": 2},
        "w3c": {"traceparent": "00", "x": 1},
    }
    event = api.put(
        client_context=json.dumps(client, ensure_ascii=False).encode().decode("latin-1"),
        cognito_identity='{"cognitoIdentityId": "me", "cognitoIdentityPoolId": "us-east-1:pool"}',
        aws_tenant_id="tenant-1",
        timeout=60.0,
    )
    seen = json.loads(event.wait().body)
    assert 50_000 < seen.pop("left") <= 60_000
    assert "aws_request_id='" in seen.pop("shown")
    assert seen == {
        "id": event.request_id,
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:test",
        "tenant": "tenant-1",
        "name": "mood",
        "version": "$LATEST",
        "memory": "1769",
        "group": "/aws/lambda/mood",
        "stream": "2026/11/20/[$LATEST]1",
        "app": "Übung",
        "nothing": None,
        "custom": {"k": 1},
        "env": {"e": 2},
        "w3c": {"traceparent": "00"},
        "pool": "us-east-1:pool",
        "who": "me",
    }


def test_what_was_not_sent_is_none(api: RuntimeApi, start: Start) -> None:
    start(
        api,
        """
        def handler(event, context):
            return [context.client_context, context.identity.cognito_identity_id, context.tenant_id,
                    context.function_name, context.w3c()]
        """,
    )
    assert json.loads(api.invoke().body) == [None, None, None, None, {}]


def test_a_deadline_that_has_passed_leaves_nothing(api: RuntimeApi, start: Start) -> None:
    start(api, "def handler(event, context): return context.get_remaining_time_in_millis()")
    assert json.loads(api.invoke(deadline_ms=str(int(time.time() * 1000) - 5000)).body) == 0


@pytest.mark.parametrize("field", ["client_context", "cognito_identity"])
def test_a_broken_context_is_a_function_error(api: RuntimeApi, start: Start, field: str) -> None:
    start(api, ECHO)
    answer = api.invoke(**{field: "{not json"})
    assert answer.path.endswith("/error")
    assert json.loads(answer.body)["errorType"] == "Runtime.LambdaContextUnmarshalError"
    assert json.loads(api.invoke(b"1").body) == {"got": 1}


def test_the_trace_id_is_that_of_the_invocation(api: RuntimeApi, start: Start) -> None:
    start(api, "import os\ndef handler(event, context): return os.environ.get('_X_AMZN_TRACE_ID')")
    assert json.loads(api.invoke(trace_id="Root=1-a;Sampled=1").body) == "Root=1-a;Sampled=1"
    assert json.loads(api.invoke().body) is None


def test_an_error_has_the_shape_of_aws(api: RuntimeApi, start: Start, tmp_path) -> None:
    start(
        api,
        """
        def inner(event):
            raise ValueError("boom: é")

        def handler(event, context):
            return inner(event)
        """,
    )
    event = api.put(invocation_id="1", trace_id="Root=1-a")
    answer = event.wait()
    assert answer.path.endswith(f"{event.request_id}/error")
    file = tmp_path / "script.py"
    assert json.loads(answer.body) == {
        "errorMessage": "boom: é",
        "errorType": "ValueError",
        "requestId": event.request_id,
        "stackTrace": [
            f'  File "{file}", line 6, in handler\n    return inner(event)\n',
            f'  File "{file}", line 3, in inner\n    raise ValueError("boom: é")\n',
        ],
    }
    assert answer.headers["lambda-runtime-function-error-type"] == "Function.ValueError"
    assert answer.headers["lambda-runtime-invocation-id"] == "1"
    cause = json.loads(answer.headers["lambda-runtime-function-xray-error-cause"])
    assert cause["paths"] == [str(file)]
    assert [frame["label"] for frame in cause["exceptions"][0]["stack"]] == ["handler", "inner"]


@pytest.mark.parametrize(
    ("source", "message", "kind"),
    [
        (
            "class not_a_type(Exception): pass\ndef handler(e, c): raise not_a_type(1)",
            "1",
            "Function.Unhandled",
        ),
        (
            "def handler(e, c): return handler(e, c)",
            "maximum recursion depth exceeded",
            "Function.RecursionError",
        ),
        (
            "class Odd(Exception):\n  def __str__(self): raise OSError\ndef handler(e, c): raise Odd",
            "",
            "Function.Odd",
        ),
    ],
)
def test_odd_errors_are_reported_too(
    api: RuntimeApi, start: Start, source: str, message: str, kind: str
) -> None:
    start(api, source)
    answer = api.invoke()
    assert json.loads(answer.body)["errorMessage"].startswith(message)
    assert answer.headers["lambda-runtime-function-error-type"] == kind


@pytest.mark.parametrize("payload", [b"{", b"", b"\xff\xfe\xfd", b"[" * 200_000, b'{"a": 1} x'])
def test_an_event_that_is_not_json(api: RuntimeApi, start: Start, payload: bytes) -> None:
    start(api, ECHO)
    error = json.loads(api.invoke(payload).body)
    assert error["errorType"] == "Runtime.UnmarshalError"
    assert error["errorMessage"].startswith("Unable to unmarshal input: ")
    assert error["stackTrace"] == []
    assert json.loads(api.invoke(b"2").body) == {"got": 2}


def test_an_event_that_does_not_say_json_is_bytes(api: RuntimeApi, start: Start) -> None:
    start(api, "def handler(event, context): return event[::-1]")
    answer = api.invoke(b"\x00abc", content_type="application/octet-stream")
    assert answer.body == b"cba\x00"
    assert answer.headers["content-type"] == "application/unknown"


@pytest.mark.parametrize(
    "expression",
    ["{1, 2}", "object()", "{(1, 2): 3}", "loop", "deep", "{'a': [b'bytes']}", "async_handler()"],
)
def test_an_answer_that_json_cannot_carry(api: RuntimeApi, start: Start, expression: str) -> None:
    start(
        api,
        f"""
        loop = []
        loop.append(loop)
        deep = []
        for _ in range(100_000):
            deep = [deep]
        class async_handler: pass
        def handler(event, context):
            return {expression} if event == {{}} else event
        """,
    )
    answer = api.invoke()
    error = json.loads(answer.body)
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"].startswith("Unable to marshal response: ")
    assert answer.headers["lambda-runtime-function-error-type"] == "Runtime.MarshalError"
    assert json.loads(api.invoke(b"2").body) == 2


def test_decimals_keep_their_digits(api: RuntimeApi, start: Start) -> None:
    start(
        api,
        """
        from decimal import Decimal as D
        def handler(event, context):
            return {"price": D("1.10"), "long": D("0.1234567890123456789012345"), "text": "é\\"", "n": [1, None, 0.1]}
        """,
    )
    body = api.invoke().body.decode()
    assert body == '{"price": 1.10, "long": 0.1234567890123456789012345, "text": "é\\"", "n": [1, null, 0.1]}'


def test_half_a_surrogate_pair_is_escaped(api: RuntimeApi, start: Start) -> None:
    start(api, "def handler(event, context): return event + 'é'")
    assert json.loads(api.invoke(b'"\\ud83d"').body) == "\ud83dé"


def test_an_answer_that_is_too_large_becomes_an_error(api: RuntimeApi, start: Start) -> None:
    start(api, "def handler(event, context): return 'x' * event")
    event = api.put(b"7000000")
    error = json.loads(event.wait().body)
    assert [message.path.rpartition("/")[2] for message in event.answers] == ["response", "error"]
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert error["requestId"] == event.request_id
    assert json.loads(api.invoke(b"3").body) == "xxx"


@pytest.mark.parametrize(
    ("statement", "status"),
    [("sys.exit(3)", 3), ("sys.exit()", 0), ("raise KeyboardInterrupt", 130), ("os._exit(9)", 9)],
)
def test_a_handler_that_ends_the_process(start: Start, statement: str, status: int) -> None:
    with RuntimeApi() as api:
        worker = start(
            api, f"import os, sys\ndef handler(event, context):\n    print('so far')\n    {statement}"
        )
        event = api.put()
        code, output, _ = worker.end()
        assert code == status
        assert "so far" in output
        assert not event.answers


def test_a_large_event_in_chunks(start: Start) -> None:
    with RuntimeApi(chunked_events=70_001) as api:
        start(api, "def handler(event, context): return len(event)")
        assert json.loads(api.invoke(b'"' + b"y" * 5_000_000 + b'"').body) == 5_000_000
        assert json.loads(api.invoke(b'""').body) == 0


def test_connections_that_are_dropped_between_invocations(start: Start) -> None:
    with RuntimeApi(drop_after_answer=True) as api:
        start(api, ECHO)
        for number in range(5):
            assert json.loads(api.invoke(b"%d" % number).body) == {"got": number}
        assert len(api.connections) == 5 + 1 or len(api.connections) == 5


def test_a_worker_ends_when_its_runtime_api_does(api: RuntimeApi, start: Start) -> None:
    worker = start(api, ECHO)
    api.invoke()
    api.close()
    assert worker.end() == (0, "", "")


def test_a_worker_that_finds_no_runtime_api_says_so(start: Start) -> None:
    with RuntimeApi() as api:
        pass
    code, output, complaint = start(api, ECHO).end()
    assert (code, output) == (1, "")
    assert complaint == f"error: no Runtime API at {api.address}: Connection refused\n"


def test_notes_travel_in_a_header(api: RuntimeApi, start: Start) -> None:
    start(
        api,
        """
        from time import perf_counter_ns
        from firstlight.runtime import notes
        def handler(event, context):
            notes.since("engine", perf_counter_ns() - 2_000_000)
            notes.warn("cut at é tokens")
            if event == 1:
                raise ValueError
        """,
        FIRSTLIGHT_STARTED_NS=str(time.perf_counter_ns()),
    )
    for payload in (b"0", b"1"):
        notes = json.loads(api.invoke(payload).headers["firstlight-notes"])
        assert notes["warnings"] == ["cut at é tokens"]
        assert notes["timings"]["engine"] >= 2.0
    first, second = (message.headers for message in api.of("/next")[:2])
    assert set(json.loads(first["firstlight-notes"])["timings"]) == {"interpreter", "import", "load"}
    assert all(value > 0 for value in json.loads(first["firstlight-notes"])["timings"].values())
    assert "firstlight-notes" not in second
