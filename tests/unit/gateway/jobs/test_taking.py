"""Prefer: respond-async on every inference route."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.invoke.types import Invocation, Reply
from firstlight.jobs.types import Kind, Status
from firstlight.project import Project
from gateways import Client, TableInvoker, failed, generated, report, speaking, streamed, with_stories

ASYNC = {"prefer": "respond-async"}
CHAT = {"model": "stories", "messages": [{"role": "user", "content": "hi"}]}
ROUTES: list[tuple[str, Any]] = [
    ("/models/sentiment", {"inputs": "hi"}),
    ("/models/acme/stories", {"inputs": "hi"}),
    ("/pipeline/text-classification", {"inputs": "hi"}),
    ("/pipeline/text-classification/sentiment", {"inputs": "hi"}),
    ("/", {"inputs": "hi"}),
    ("/predict", {"instances": ["hi"]}),
    ("/invocations", {"inputs": "hi"}),
    ("/endpoints/sentiment/invocations", {"inputs": "hi"}),
    ("/v1/chat/completions", CHAT),
    ("/models/stories/v1/chat/completions", CHAT),
    ("/v1/completions", {"model": "stories", "prompt": "hi"}),
    ("/v1/embeddings", {"model": "embeddings", "input": "hi"}),
    ("/hello/ann", {"any": "thing"}),
    ("/go", {"text": "hi"}),
]


@pytest.fixture(autouse=True)
def answers(invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = [{"label": "POSITIVE", "score": 0.75}]
    invoker.table["embeddings"] = [[0.5, 0.25]]
    invoker.table["hello"] = {"statusCode": 200, "body": "hello"}
    invoker.table["stories"] = tell


def tell(invocation: Invocation) -> Reply:
    """What a worker answers: events where they are asked for, else the whole."""
    if json.loads(invocation.payload).get("stream"):
        return speaking(generated("a ", "lamp"))(invocation)
    return Reply(invocation.request_id, b'[{"generated_text": "a lamp"}]', report=report())


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_every_inference_route_takes_jobs(client: Client, desk: Any, path: str, body: Any) -> None:
    response = await client("POST", path, body, ASYNC)
    told = response.json()
    assert (response.status, told["status"]) == (202, "starting")
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["retry-after"] == "1"
    place = f"/v1/jobs/{told['id']}"
    assert response.headers["location"] == told["urls"]["get"] == place
    assert told["urls"] | {"get": place} == {
        "get": place,
        "cancel": f"{place}/cancel",
        "stream": f"{place}/stream",
    }
    done = await desk.ended(told["id"])
    assert (done.status, done.kind) == (Status.SUCCEEDED, Kind.REQUEST)
    plain = await client("POST", path, body)
    fetched = await client("GET", f"{place}/result")
    assert (fetched.status, fetched.headers["content-type"]) == (plain.status, plain.headers["content-type"])
    if "/v1/" not in path or "embed" in path:  # a chat's id and time are its own
        assert fetched.body == plain.body


@pytest.mark.parametrize(
    "prefer", ["respond-async, wait=5", 'wait="5", respond-async', "Respond-Async;x=1,Wait=5"]
)
async def test_an_answer_that_is_there_in_time_is_the_answer(client: Client, prefer: str) -> None:
    plain = await client("POST", "/models/sentiment", {"inputs": "hi"})
    response = await client("POST", "/models/sentiment", {"inputs": "hi"}, {"prefer": prefer})
    assert (response.status, response.body) == (200, plain.body)
    assert response.headers["preference-applied"] == "wait=5"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-location"].startswith("/v1/jobs/")


async def test_two_prefer_headers_are_one(client: Client) -> None:
    headers = [(b"prefer", b"respond-async"), (b"prefer", b"wait=5")]
    response = await client("POST", "/models/sentiment", {"inputs": "hi"}, raw_headers=headers)
    assert response.status == 200


async def test_an_answer_that_is_not_there_in_time_is_a_job_with_what_there_is(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    never = asyncio.Event()

    async def pieces() -> Any:
        yield b'data:{"token": {"id": 1, "text": "a lamp", "special": false}, "details": null}\n\n'
        await never.wait()

    def answer(invocation: Any) -> Any:
        reply = streamed(content_type="text/event-stream")(invocation)
        reply.stream = pieces()
        return reply

    invoker.table["stories"] = answer
    response = await client("POST", "/v1/chat/completions", CHAT, {"prefer": "respond-async, wait=1"})
    told = response.json()
    assert (response.status, told["status"], told["partial"]) == (202, "processing", "a lamp")
    response = await client("POST", f"/v1/jobs/{told['id']}/cancel")
    assert response.json()["status"] == "canceled"


async def test_what_the_function_does_wrong_is_said_as_ever(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = failed(message="boom", status=418)
    plain = await client("POST", "/models/sentiment", {"inputs": "hi"})
    response = await client(
        "POST", "/models/sentiment", {"inputs": "hi"}, {"prefer": "respond-async, wait=5"}
    )
    assert (response.status, response.body) == (plain.status, plain.body) == (418, plain.body)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/nobody", {"inputs": "hi"}, 404),
        ("/models/sentiment", {"text": "hi"}, 400),
        ("/models/sentiment", "not json", 400),
        ("/v1/chat/completions", {"model": "stories", "messages": []}, 400),
        ("/v1/chat/completions", {"model": "nobody", "messages": [{"role": "user", "content": "x"}]}, 404),
        ("/v1/embeddings", {"model": "embeddings", "input": []}, 400),
        ("/invocations", "[]", 400),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once_in_the_words_of_the_wire(
    client: Client, desk: Any, path: str, body: Any, status: int
) -> None:
    plain = await client("POST", path, body)
    response = await client("POST", path, body, ASYNC)
    assert (response.status, response.body) == (status, plain.body)
    assert desk.submitted == 0


async def test_a_key_names_the_job(client: Client, desk: Any, invoker: TableInvoker) -> None:
    headers = {**ASYNC, "idempotency-key": "order-17"}
    first = await client("POST", "/models/sentiment", {"inputs": "hi"}, headers)
    again = await client("POST", "/models/sentiment", {"inputs": "hi"}, headers)
    assert first.json()["id"] == again.json()["id"] == "order-17"
    await desk.ended("order-17")
    waited = {"idempotency-key": '"order-17"', "prefer": "respond-async, wait=3"}
    done = await client("POST", "/models/sentiment", {"inputs": "hi"}, waited)
    assert (done.status, done.json()[0][0]["label"]) == (200, "POSITIVE")
    assert len(invoker.seen) == 1
    other = await client("POST", "/models/sentiment", {"inputs": "ho"}, headers)
    assert other.status == 409
    assert "order-17" in other.json()["error"]


async def test_a_key_that_is_no_name_stands_for_one(client: Client) -> None:
    found = []
    for key in ("a key with spaces", "a key with spaces", "/../x"):
        response = await client("POST", "/", {"inputs": "hi"}, {**ASYNC, "idempotency-key": key})
        found.append(response.json()["id"])
    assert found[0] == found[1] != found[2]
    assert all(name.isalnum() for name in found)
    long = await client("POST", "/", {"inputs": "hi"}, {**ASYNC, "idempotency-key": "x" * 1025})
    assert long.status == 400


async def test_nothing_that_lets_anybody_in_is_kept(client: Client, desk: Any) -> None:
    secrets = {
        "authorization": "Bearer s3cret",
        "cookie": "firstlight=s3cret",
        "x-api-key": "s3cret",
        "x-auth-thing": "s3cret",
        "x-my-token": "s3cret",
        "x-amz-security-token": "s3cret",
        "proxy-authorization": "s3cret",
    }
    plain = {"content-type": "application/json", "user-agent": "x; hf_hub/2.4.0", "x-amzn-trace-id": "Root=1"}
    response = await client(
        "POST", "/models/sentiment?token=s3cret&top_k=1", {"inputs": "hi"}, {**ASYNC, **secrets, **plain}
    )
    job = await desk.get(response.json()["id"])
    assert job.request is not None
    assert dict(job.request.headers) == plain
    assert (job.request.path, job.request.query) == ("/models/sentiment", "top_k=1")
    assert "s3cret" not in repr(job)
    assert job.trace_id == "Root=1"


async def test_who_is_told_by_headers(client: Client, desk: Any) -> None:
    told = {
        "x-firstlight-webhook": "https://example.com/x",
        "x-firstlight-webhook-events": "completed, start",
    }
    response = await client("POST", "/", {"inputs": "hi"}, {**ASYNC, **told})
    webhook = (await desk.get(response.json()["id"])).webhook
    assert webhook is not None
    assert (webhook.url, webhook.events) == ("https://example.com/x", ("start", "completed"))
    for wrong in (
        {"x-firstlight-webhook": "file:///etc/passwd"},
        {**told, "x-firstlight-webhook-events": "never"},
    ):
        response = await client("POST", "/", {"inputs": "hi"}, {**ASYNC, **wrong})
        assert response.status == 400


async def test_a_stream_as_a_job_is_the_same_text(client: Client, desk: Any, invoker: TableInvoker) -> None:
    body = {"inputs": "hi", "stream": True}
    plain = await client("POST", "/models/stories", body)
    assert plain.headers["content-type"] == "text/event-stream"
    response = await client("POST", "/models/stories", body, {"prefer": "respond-async, wait=5"})
    assert (response.headers["content-type"], response.body) == (plain.headers["content-type"], plain.body)
    assert await desk.texts((await desk.only()).id) == "a lamp"


async def test_pieces_of_a_script_that_streams(client: Client, desk: Any, invoker: TableInvoker) -> None:
    invoker.table["hello"] = streamed(
        b"first ", "l\u00efght".encode()[:2], "l\u00efght".encode()[2:], content_type="text/plain"
    )
    for path in ("/models/hello", "/hello/ann", "/endpoints/hello/invocations"):
        response = await client("POST", path, {"inputs": "hi"}, {"prefer": "respond-async, wait=5"})
        assert response.status == 200
        assert await desk.texts((await desk.all())[0].id) == "first l\u00efght"


async def test_a_server_that_keeps_no_jobs_says_so(project: Project, invoker: TableInvoker) -> None:
    client = Client(with_stories(create_app(project, invoker)))
    for path, body in ROUTES:
        response = await client("POST", path, body, ASYNC)
        assert response.status == (200 if path.startswith("/hello") else 501), path
    assert {invocation.endpoint for invocation in invoker.seen} == {
        "hello"
    }  # API Gateway knows no preferences
    assert (await client("GET", "/v1/jobs")).status == 501


async def test_a_client_that_leaves_while_it_waits_leaves_the_job(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    leaves = asyncio.Event()
    leaves.set()
    desk.hold()
    response = await client(
        "POST", "/", {"inputs": "hi"}, {"prefer": "respond-async, wait=60"}, leaves=leaves
    )
    assert response.status == 0
    assert (await desk.only()).status is Status.STARTING
