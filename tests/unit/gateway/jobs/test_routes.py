"""/v1/jobs: put, poll, follow, cancel, list."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.gateway.fronts.keys import Keys
from firstlight.gateway.jobs import RequestCarrier, events
from firstlight.invoke.types import Invocation, Reply
from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status
from firstlight.project import Front
from gateways import Client, TableInvoker, failed, generated, report, speaking

MOOD = {"endpoint": "sentiment", "inputs": "hi", "parameters": {"top_k": 1}}


@pytest.fixture(autouse=True)
def answers(invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = [{"label": "POSITIVE", "score": 0.75}]
    invoker.table["hello"] = lambda invocation: {"heard": json.loads(invocation.payload)}
    invoker.table["stories"] = speaking(generated("a ", "lamp"))


async def test_put_once_and_again(client: Client, desk: Any, invoker: TableInvoker) -> None:
    first = await client("PUT", "/v1/jobs/mine-1", MOOD)
    assert (first.status, first.headers["location"]) == (202, "/v1/jobs/mine-1")
    assert first.json()["id"] == "mine-1"
    done = await desk.ended("mine-1")
    assert done.status is Status.SUCCEEDED
    again = await client("PUT", "/v1/jobs/mine-1", MOOD)
    assert (again.status, again.json()["status"]) == (200, "succeeded")
    assert again.json()["output"] == [[{"label": "POSITIVE", "score": 0.75}]]
    assert len(invoker.seen) == 1
    assert invoker.event == {"inputs": "hi", "parameters": {"top_k": 1}}
    other = await client("PUT", "/v1/jobs/mine-1", {**MOOD, "inputs": "ho"})
    assert (other.status, other.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"endpoint": "hello", "input": {"prompt": "x"}}, {"prompt": "x"}),
        ({"endpoint": "hello", "input": "x"}, {"inputs": "x"}),
        ({"endpoint": "hello", "inputs": "x"}, {"inputs": "x", "text": "x"}),
        ({"request": {"path": "/models/hello", "body": {"a": 1}}}, {"a": 1}),
        ({"request": {"path": "/go", "body": {"text": "x", "functionARN": "hello"}}}, {"text": "x"}),
        ({"endpoint": "sentiment", "input": "x"}, {"inputs": "x", "parameters": {"top_k": None}}),
        ({"input": {"inputs": "x"}}, {"inputs": "x", "parameters": {"top_k": None}}),
        (
            {"model": "acme/qa-model", "inputs": {"question": "q", "context": "c"}},
            {"inputs": {"question": "q", "context": "c"}},
        ),
        (
            {"request": {"path": "/models/sentiment?top_k=2", "body": {"inputs": "x"}}},
            {"inputs": "x", "parameters": {"top_k": 2}},
        ),
    ],
)
async def test_what_a_job_may_be_asked_as(
    client: Client, desk: Any, invoker: TableInvoker, body: dict[str, Any], event: Any
) -> None:
    invoker.table["qa"] = {"answer": "c"}
    response = await client("POST", "/v1/jobs", body)
    assert response.status == 202, response.body
    await desk.ended(response.json()["id"])
    assert invoker.event == event


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("nonsense", 400, "not JSON"),
        ([], 400, "not a JSON object"),
        ({}, 400, "one of"),
        ({"inputs": "x", "input": "x"}, 400, "one of"),
        ({"endpoint": 3, "inputs": "x"}, 400, "'endpoint'"),
        ({"endpoint": "nobody", "inputs": "x"}, 404, "nobody"),
        ({**MOOD, "parameter": 1}, 400, "'parameter'"),
        ({**MOOD, "parameters": 1}, 400, "'parameters'"),
        ({**MOOD, "webhook": "ftp://x"}, 400, "'webhook'"),
        ({**MOOD, "webhook": "https://x/", "webhook_events_filter": ["never"]}, 400, "filter"),
        ({"request": {"path": "/health", "body": {}}}, 400, "not an inference route"),
        ({"request": {"path": "/v1/jobs", "body": MOOD}}, 400, "not an inference route"),
        ({"request": {"path": "/endpoints/hello", "body": {}}}, 400, "not an inference route"),
        ({"request": {"path": "/models/\n", "body": {}}}, 400, "not an inference route"),
        (
            {"request": {"path": "/2015-03-31/functions/hello/invocations", "body": {}}},
            400,
            "not an inference",
        ),
        ({"request": {"path": "models/x", "body": {}}}, 400, "slash"),
        ({"request": {"path": "/models/hello"}}, 400, "'body'"),
        ({"request": {"path": "/", "body": {}, "headers": {"host": "x"}}}, 400, "'headers'"),
        ({"request": {"path": "/v1/completions", "body": {"model": "nobody", "prompt": "x"}}}, 404, "nobody"),
        ({"request": {"path": "/v1/completions", "body": {"model": "stories", "prompt": 3}}}, 400, "prompt"),
        ({"request": {"path": "/models/nobody", "body": {}}}, 404, "nobody"),
    ],
)
async def test_what_is_refused(
    client: Client, desk: Any, invoker: TableInvoker, body: Any, status: int, said: str
) -> None:
    for method, path in (("PUT", "/v1/jobs/x"), ("POST", "/v1/jobs")):
        response = await client(method, path, body)
        assert (response.status, set(response.json())) == (status, {"error", "code", "hint"}), response.body
        assert said in response.json()["error"]
    assert desk.submitted == 0
    assert not invoker.seen


@pytest.mark.parametrize("name", ["-x", "a b", "x" * 129, "%2e%2e", "\u00e4", "a%00b"])
async def test_names_that_are_none(client: Client, name: str) -> None:
    response = await client("PUT", f"/v1/jobs/{name}", MOOD)
    assert response.status == 400
    assert (await client("GET", f"/v1/jobs/{name}")).status == 404


async def test_a_body_that_is_too_large(client: Client) -> None:
    response = await client("PUT", "/v1/jobs/x", b"x", {"content-length": "7000000"})
    assert (response.status, response.json()["code"]) == (413, "payload-too-large")
    large = {"endpoint": "sentiment", "inputs": "x" * 6_291_450}
    assert (await client("PUT", "/v1/jobs/x", large)).status == 413


async def test_methods(client: Client) -> None:
    for method, path, allowed in (
        ("DELETE", "/v1/jobs/x", "GET, PUT"),
        ("PATCH", "/v1/jobs", "GET, POST"),
        ("GET", "/v1/jobs/x/cancel", "POST"),
    ):
        response = await client(method, path)
        assert (response.status, response.headers["allow"]) == (405, allowed)
    assert (await client("GET", "/v1/jobs/x/what")).json()["code"] == "endpoint-not-found"
    assert (await client("GET", "/v1/jobs/nobody")).status == 404


async def test_waiting_for_the_end(client: Client, desk: Any) -> None:
    response = await client("PUT", "/v1/jobs/a", MOOD, {"prefer": "wait=5"})
    assert (response.status, response.json()["status"]) == (200, "succeeded")
    desk.hold()
    await client("PUT", "/v1/jobs/b", MOOD)
    desk.waits.clear()
    asking = [
        asyncio.create_task(client("GET", "/v1/jobs/b?wait=30")),
        asyncio.create_task(Client(client.app)("GET", "/v1/jobs/b", headers={"prefer": "wait=5"})),
        asyncio.create_task(Client(client.app)("GET", "/v1/jobs/b/result?wait=99999")),
    ]
    while len(desk.waits) < 3:
        await asyncio.sleep(0)
    assert sorted(desk.waits) == [5, 30, 900]
    await desk.cancel("b")
    polled, preferred, result = await asyncio.gather(*asking)
    assert polled.json()["status"] == preferred.json()["status"] == "canceled"
    assert (result.status, result.json()["code"]) == (409, "conflict")
    assert (await client("GET", "/v1/jobs/b?wait=soon")).status == 400


async def test_a_poll_knows_what_the_client_has(client: Client, desk: Any) -> None:
    await client("PUT", "/v1/jobs/a", MOOD, {"prefer": "wait=5"})
    first = await client("GET", "/v1/jobs/a")
    again = await client("GET", "/v1/jobs/a", headers={"if-none-match": first.headers["etag"]})
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert "retry-after" not in first.headers
    desk.hold()
    waiting = await client("PUT", "/v1/jobs/b", MOOD)
    assert waiting.headers["retry-after"] == "1"
    assert (await client("GET", "/v1/jobs/b")).headers["etag"] != first.headers["etag"]


async def test_results(client: Client, desk: Any, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = failed(message="boom", status=422)
    await client("PUT", "/v1/jobs/bad", MOOD, {"prefer": "wait=5"})
    bad = await client("GET", "/v1/jobs/bad")
    assert (bad.json()["status"], bad.json()["error"], bad.json()["output"]) == ("failed", "boom", None)
    assert (await client("GET", "/v1/jobs/bad/result")).status == 422
    desk.put(Job("never", Kind.REQUEST, "sentiment", b"{}", 0.0, status=Status.FAILED, error="too old"))
    never = await client("GET", "/v1/jobs/never/result")
    assert (never.status, never.json()["error"]) == (500, "job never failed: too old")


async def test_an_event_invocation_is_found_by_its_request_id(client: Client, desk: Any) -> None:
    result = Result(200, b'{"errorMessage": "boom"}', function_error="Unhandled", executed_version="3")
    desk.put(Job("0b3a", Kind.EVENT, "hello", b'{"a": 1}', 0.0, status=Status.FAILED, result=result))
    response = await client("GET", "/v1/jobs/0b3a")
    assert (response.json()["kind"], response.json()["error"]) == ("event", "boom")
    response = await client("GET", "/v1/jobs/0b3a/result")
    assert (response.status, response.json()) == (200, {"errorMessage": "boom"})
    assert response.headers["x-amz-function-error"] == "Unhandled"
    assert response.headers["x-amz-executed-version"] == "3"


async def test_a_list(client: Client, desk: Any) -> None:
    for number in range(5):
        name = "sentiment" if number % 2 else "hello"
        await client(
            "PUT", f"/v1/jobs/j{number}", {"endpoint": name, "inputs": "secret"}, {"prefer": "wait=5"}
        )
    listed = await client("GET", "/v1/jobs")
    assert [job["id"] for job in listed.json()["jobs"]] == ["j4", "j3", "j2", "j1", "j0"]
    assert listed.json()["next"] is None
    assert b"secret" not in listed.body
    some = (await client("GET", "/v1/jobs?endpoint=hello&status=succeeded&limit=2")).json()
    assert [job["id"] for job in some["jobs"]] == ["j4", "j2"]
    rest = (await client("GET", f"/v1/jobs?endpoint=hello&limit=2&cursor={some['next']}")).json()
    assert [job["id"] for job in rest["jobs"]] == ["j0"]
    assert (await client("GET", "/v1/jobs?inputs=true")).body.count(b"secret") == 5
    await client("PUT", "/v1/jobs/large", {"endpoint": "hello", "input": {"text": "x" * 70_000}})
    (large, *_) = (await client("GET", "/v1/jobs?inputs=true")).json()["jobs"]
    assert (large["id"], "input" in large) == ("large", False)
    for wrong in ("status=done", "limit=0", "limit=x", "colour=red"):
        assert (await client("GET", f"/v1/jobs?{wrong}")).status == 400


def events_of(body: bytes) -> list[tuple[int, str, Any]]:
    found = []
    for block in body.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "id" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def test_events_with_replay(client: Client, desk: Any) -> None:
    chat = {
        "path": "/v1/chat/completions",
        "body": {"model": "stories", "messages": [{"role": "user", "content": "x"}]},
    }
    await client("PUT", "/v1/jobs/s", {"request": chat}, {"prefer": "wait=5"})
    whole = await client("GET", "/v1/jobs/s/stream")
    assert whole.headers["content-type"].startswith("text/event-stream")
    said = events_of(whole.body)
    assert [number for number, _, _ in said] == [1, 2, 3, 4]
    assert [kind for _, kind, _ in said] == ["start", "output", "metric", "completed"]
    assert said[1][2]["text"] == "a lamp"
    rest = await client("GET", "/v1/jobs/s/stream", headers={"last-event-id": "1"})
    assert events_of(rest.body) == said[1:]
    by_accept = await client("GET", "/v1/jobs/s?after=3", headers={"accept": "text/event-stream"})
    assert events_of(by_accept.body) == said[3:]
    # An EventSource asks again after the end, until it is told to stop.
    assert (await client("GET", "/v1/jobs/s/stream", headers={"last-event-id": "4"})).status == 204
    assert (await client("GET", "/v1/jobs/s/stream", headers={"last-event-id": "x"})).status == 400


async def test_events_as_they_come(client: Client, desk: Any) -> None:
    desk.hold()
    asking = asyncio.create_task(client("PUT", "/v1/jobs/live", MOOD, {"accept": "text/event-stream"}))
    while not (await desk.list()).jobs:
        await asyncio.sleep(0)
    desk.tell("live", 1, "output", {"text": "line\nbreak"})
    await desk.cancel("live")
    response = await asking
    assert [kind for _, kind, _ in events_of(response.body)] == ["output", "completed"]
    assert events_of(response.body)[0][2] == {"text": "line\nbreak"}


async def test_a_quiet_stream_is_kept_alive_and_closed() -> None:
    closed = asyncio.Event()

    async def quiet() -> Any:
        try:
            await asyncio.Event().wait()
            yield JobEvent(1, "start", {}, 0.0)
        finally:
            closed.set()

    coming = events.lines(quiet(), quiet=0.001)
    assert (await anext(coming)).startswith(b"retry:")
    assert (await anext(coming)).startswith(b": ")
    assert (await anext(coming)).startswith(b": ")
    await coming.aclose()
    assert closed.is_set()


async def test_a_client_that_leaves_leaves_the_job(client: Client, desk: Any) -> None:
    desk.hold()
    await client("PUT", "/v1/jobs/a", MOOD)
    leaves = asyncio.Event()
    asking = asyncio.create_task(
        client("GET", "/v1/jobs/a/stream", leaves=leaves, got=lambda _: leaves.set())
    )
    assert (await asking).status == 200
    assert (await desk.get("a")).status is Status.STARTING


async def test_canceling_ends_the_work(client: Client, desk: Any, invoker: TableInvoker) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    def answer(invocation: Invocation) -> Reply:
        reply = Reply(invocation.request_id, content_type="text/event-stream", report=report())

        async def stream() -> Any:
            try:
                yield b'data:{"token":{"text":"a"},"details":null}\n\n'
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.set()

        reply.stream = stream()
        return reply

    invoker.table["stories"] = answer
    body = {"model": "stories", "prompt": "x"}
    await client("PUT", "/v1/jobs/long", {"request": {"path": "/v1/completions", "body": body}})
    await begun.wait()
    polled = await client("GET", "/v1/jobs/long")
    assert (polled.json()["status"], polled.json()["partial"]) == ("processing", "a")
    response = await client("POST", "/v1/jobs/long/cancel")
    assert (response.status, response.json()["status"]) == (200, "canceled")
    assert ended.is_set()
    again = await client("POST", "/v1/jobs/long/cancel")
    assert again.json()["status"] == "canceled"


async def test_the_token_is_asked_for_everywhere(client: Client, desk: Any, invoker: TableInvoker) -> None:
    project = client.app.state.gateway.project
    guarded = Client(create_app(project, invoker, token="s3cret", jobs=desk))
    paths = ["/v1/jobs", "/v1/jobs/a", "/v1/jobs/a/stream", "/v1/jobs/a/result"]
    asked = [("GET", path) for path in paths] + [
        ("PUT", "/v1/jobs/a"),
        ("POST", "/v1/jobs"),
        ("POST", "/v1/jobs/a/cancel"),
    ]
    for method, path in asked:
        response = await guarded(method, path, MOOD)
        assert (response.status, set(response.json())) == (401, {"error", "code", "hint"})
    assert desk.submitted == 0
    known = {"authorization": "Bearer s3cret"}
    assert (await guarded("PUT", "/v1/jobs/a", MOOD, known)).status == 202
    assert (
        await guarded("PUT", "/v1/jobs/b", MOOD, {**known, "origin": "https://evil.example"})
    ).status == 403


async def test_a_server_that_ends_keeps_nobody_waiting(client: Client, desk: Any) -> None:
    desk.stop()
    await client("PUT", "/v1/jobs/a", MOOD)
    waited = await client("GET", "/v1/jobs/a?wait=900")
    assert (waited.status, waited.json()["status"]) == (200, "starting")
    followed = await client("GET", "/v1/jobs/a/stream")
    assert events_of(followed.body) == []


async def test_a_front_that_asks_for_a_key_asks_for_it_here_too(
    tmp_path: Path, client: Client, desk: Any, invoker: TableInvoker
) -> None:
    project = client.app.state.gateway.project
    endpoint = replace(project.endpoints["hello"], front=Front(auth="key"))
    project = replace(project, endpoints={**project.endpoints, "hello": endpoint})
    keys = Keys(tmp_path / "keys.json")
    made = Client(create_app(project, invoker, jobs=desk, keys=keys))
    desk.carriers[Kind.REQUEST] = RequestCarrier(made.app)
    invoker.table["hello"] = {"statusCode": 200, "body": "hello"}
    for path in ("/hello/ann", "/rest-api/hello/x"):
        response = await made("PUT", "/v1/jobs/k", {"request": {"path": path, "body": {}}})
        assert response.status == 403, path
        response = await made("POST", path, {}, {"prefer": "respond-async"})
        assert response.status == 403, path
    assert desk.submitted == 0
    _, value = keys.create("ann", "api")
    headers = {"prefer": "respond-async, wait=20", "x-api-key": value}
    response = await made("POST", "/hello/ann", {}, headers)
    assert (response.status, response.text) == (200, "hello")
    assert value not in repr(await desk.only())
    keys.close()
