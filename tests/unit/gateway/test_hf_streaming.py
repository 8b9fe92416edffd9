from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.invoke.types import Throttled
from firstlight.project import Project
from gateways import Client, Response, TableInvoker, failed, generated, speaking, token, with_stories

ASKED = {"inputs": "hi", "stream": True}


@pytest.fixture
def client(project: Project, invoker: TableInvoker) -> Client:
    return Client(with_stories(create_app(project, invoker)))


def events(response: Response) -> list[Any]:
    lines = response.text.split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data:{") for line in lines)
    return [json.loads(line.removeprefix("data:")) for line in lines]


async def test_events_come_as_tgi_sends_them(client: Client, invoker: TableInvoker) -> None:
    top = [{"id": 7, "text": "Hel", "logprob": -0.5}]
    said = [token("Hel", logprob=-0.5, top=top), *generated("lo", finish_reason="length", seed=5)]
    invoker.table["stories"] = speaking(said)
    response = await client("POST", "/models/stories", {**ASKED, "parameters": {"details": True}})
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-request-id"] == invoker.seen[0].request_id
    first, second, last = events(response)
    assert first == {
        "index": 1,
        "token": {"id": 7, "text": "Hel", "logprob": -0.5, "special": False},
        "top_tokens": [{"id": 7, "text": "Hel", "logprob": -0.5, "special": False}],
        "generated_text": None,
        "details": None,
    }
    assert second["token"]["text"] == "lo"
    assert last["generated_text"] == "lo"
    assert last["details"] == {
        "finish_reason": "length",
        "generated_tokens": 1,
        "input_length": 3,
        "prompt_tokens": 3,
        "seed": 5,
    }


async def test_what_the_task_is_asked(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    await client("POST", "/models/acme/stories", {**ASKED, "parameters": {"seed": None, "top_k": 5}})
    parameters = {"return_full_text": False, "top_k": 5}
    assert invoker.event == {"inputs": "hi", "parameters": parameters, "stream": True}
    await client("POST", "/models/stories", {"inputs": "hi"}, {"accept": "text/event-stream"})
    assert invoker.event["stream"] is True


async def test_a_whole_answer(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = [{"generated_text": "x"}]
    response = await client(
        "POST", "/models/stories", {"inputs": "hi", "stream": False}, {"prefer": "wait=9"}
    )
    assert response.json() == [{"generated_text": "x"}]
    assert invoker.event == {"inputs": "hi", "parameters": {"return_full_text": False, "max_time": 9}}
    assert "x-compute-time" in response.headers


async def test_what_fails_in_the_middle(client: Client, invoker: TableInvoker) -> None:
    error = b'{"errorType":"EngineError","errorMessage":"it broke","status":500,"hint":"mend it"}'
    invoker.table["stories"] = speaking(
        [token("Hel")], function_error="Unhandled", payload=error, outcome="error"
    )
    _, last = events(await client("POST", "/models/stories", ASKED))
    assert last == {"error": "it broke (mend it)", "error_type": "generation"}


async def test_a_stream_that_just_ends(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking([token("Hel")])
    _, last = events(await client("POST", "/models/stories", ASKED))
    assert last["error"] == "the answer ended early"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        (failed("InvalidInput", "no", status=400), 400, "validation"),
        (failed("EngineError", "no", status=500), 500, "generation"),
        (failed("Sandbox.Timedout", "Task timed out"), 504, "generation"),
        (Throttled("busy", reason="x", retry_after=3), 429, "overloaded"),
    ],
)
async def test_errors_have_the_types_that_clients_of_tgi_know(
    client: Client, invoker: TableInvoker, answer: Any, status: int, kind: str, stream: bool
) -> None:
    invoker.table["stories"] = answer
    response = await client("POST", "/models/stories", {"inputs": "hi", "stream": stream})
    assert (response.status, response.json()["error_type"]) == (status, kind)


@pytest.mark.parametrize("stream", [1, "yes", []])
async def test_stream_is_true_or_false(client: Client, invoker: TableInvoker, stream: Any) -> None:
    response = await client("POST", "/models/stories", {"inputs": "hi", "stream": stream})
    assert response.status == 400
    assert invoker.seen == []


async def test_a_task_that_does_not_generate_does_not_stream(client: Client, invoker: TableInvoker) -> None:
    response = await client("POST", "/models/sentiment", ASKED)
    assert response.status == 400
    assert "does not stream" in response.json()["error"]


async def test_a_job_is_declined(client: Client, invoker: TableInvoker) -> None:
    response = await client("POST", "/models/stories", {"inputs": "hi"}, {"prefer": "respond-async"})
    assert response.status == 501
    assert "nothing was started" in response.json()["error"]
    assert invoker.seen == []
