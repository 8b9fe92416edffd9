"""A job as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from desks import bad, event, good, request
from firstlight.jobs.rendering import rendered
from firstlight.jobs.types import Condition, Result, Status, Webhook


def test_what_is_shown_of_a_job() -> None:
    result = replace(
        good(), log="START RequestId: j1 Version: $LATEST\nhello\nEND RequestId: j1\nREPORT RequestId: j1\n"
    )
    job = replace(
        event(),
        status=Status.SUCCEEDED,
        condition=Condition.SUCCESS,
        attempts=2,
        interrupted=1,
        started=1_700_000_001.5,
        completed=1_700_000_002.0,
        result=result,
        webhook=Webhook("http://127.0.0.1/x"),
    )
    shown = rendered(job, "http://127.0.0.1:8400")
    assert shown == {
        "id": "j1",
        "status": "succeeded",
        "endpoint": "f",
        "kind": "event",
        "urls": {
            "get": "http://127.0.0.1:8400/v1/jobs/j1",
            "cancel": "http://127.0.0.1:8400/v1/jobs/j1/cancel",
            "stream": "http://127.0.0.1:8400/v1/jobs/j1/stream",
        },
        "created_at": "2023-11-14T22:13:20.000Z",
        "started_at": "2023-11-14T22:13:21.500Z",
        "completed_at": "2023-11-14T22:13:22.000Z",
        "attempts": 2,
        "interrupted": 1,
        "input": {"n": 1},
        "output": "fine",
        "partial": None,
        "error": None,
        "condition": "Success",
        "metrics": {"duration_ms": 1.0},
        "logs": "hello\n",
        "webhook": "http://127.0.0.1/x",
    }


def test_an_error_is_said_in_words() -> None:
    assert rendered(replace(event(), result=bad("it broke")))["error"] == "it broke"
    assert rendered(replace(event(), result=bad("it broke")))["output"] is None
    openai = Result(404, b'{"error":{"message":"no such model"}}')
    assert rendered(replace(request(), result=openai))["error"] == "no such model"
    assert rendered(replace(request(), result=Result(500)))["error"] == "status 500"


def test_an_image_is_shown_as_a_url() -> None:
    picture = Result(body=b"\x89PNG\xff", content_type="image/png")
    assert rendered(replace(request(), result=picture))["output"] == "data:image/png;base64,iVBOR/8="
    text = Result(body=b"12", content_type="text/plain")
    assert rendered(replace(request(), result=text))["output"] == "12"


@given(
    st.binary(max_size=60),
    st.sampled_from(["application/json", "text/plain; charset=utf-8", "image/png", ""]),
)
def test_any_bytes_can_be_shown(body: bytes, kind: str) -> None:
    job = replace(event(payload=body), result=Result(body=body, content_type=kind))
    json.dumps(rendered(job), allow_nan=False)
