"""What becomes of a job's request inside the server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from firstlight.gateway.asgi import Answer, Call
from firstlight.gateway.jobs import before_wall, runs_as_job
from firstlight.invoke.types import Invocation, Reply, Throttled
from firstlight.jobs.types import Status
from gateways import Client, TableInvoker, failed, generated, report, speaking, streamed

ASYNC = {"prefer": "respond-async"}


async def test_what_there_is_no_room_for_waits_in_the_queue(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    invoker.table["sentiment"] = Throttled("full", reason="ConcurrentInvocationLimitExceeded")
    response = await client("POST", "/models/sentiment", {"inputs": "hi"}, ASYNC)
    while not (job := await desk.get(response.json()["id"])).held_back:
        await asyncio.sleep(0.001)
    assert (job.status, job.failures) == (Status.STARTING, 0)


async def test_a_429_of_the_function_is_its_answer(client: Client, desk: Any, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = failed(message="slow down", status=429)
    response = await client(
        "POST", "/models/sentiment", {"inputs": "hi"}, {"prefer": "respond-async, wait=20"}
    )
    assert (response.status, response.json()["error"]) == (429, "slow down")
    assert (await desk.only()).status is Status.FAILED


async def test_an_answer_that_is_too_large(client: Client, desk: Any, invoker: TableInvoker) -> None:
    invoker.table["hello"] = streamed(*[b"x" * 1_000_000] * 7, content_type="text/plain")
    response = await client("POST", "/models/hello", {"inputs": "hi"}, {"prefer": "respond-async, wait=20"})
    assert (response.status, response.json()["code"]) == (502, "broken-off")
    assert "6291556 bytes" in response.json()["error"]


async def test_a_stream_that_breaks_off(client: Client, desk: Any, invoker: TableInvoker) -> None:
    error = json.dumps({"errorType": "E", "errorMessage": "it broke"}).encode()
    invoker.table["stories"] = speaking(
        generated("a ", "lamp")[:1], function_error="Unhandled", payload=error
    )
    body = {"model": "stories", "prompt": "x"}
    response = await client("POST", "/v1/completions", body, {"prefer": "respond-async, wait=20"})
    assert (response.status, response.json()["error"]["message"]) == (500, "it broke")
    job = await desk.only()
    assert (job.status, job.partial) == (Status.FAILED, "a ")


async def test_only_the_first_of_several_answers_is_told(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    invoker.table["stories"] = speaking(generated("a ", "lamp"))
    body = {"model": "stories", "prompt": ["x", "y"], "n": 2}
    response = await client("POST", "/v1/completions", body, {"prefer": "respond-async, wait=20"})
    assert [choice["text"] for choice in response.json()["choices"]] == ["a lamp"] * 4
    assert await desk.texts((await desk.only()).id) == "a lamp"


async def test_the_whole_answer_is_put_together_as_the_worker_would(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    def answer(invocation: Invocation) -> Reply:
        event = json.loads(invocation.payload)
        if event.get("stream"):
            return speaking(generated("a ", "lämp"))(invocation)
        if isinstance(event["inputs"], list):
            return Reply(
                invocation.request_id,
                b'[{"generated_text": "one"}, {"generated_text": "two"}]',
                report=report(),
            )
        return Reply(
            invocation.request_id, '[{"generated_text": "hi there a lämp"}]'.encode(), report=report()
        )

    invoker.table["stories"] = answer
    waits = {"prefer": "respond-async, wait=20"}
    body: dict[str, Any] = {"inputs": "hi there ", "parameters": {"return_full_text": True}}
    response = await client("POST", "/models/stories", body, waits)
    assert response.body == (await client("POST", "/models/stories", body)).body
    assert await desk.texts((await desk.only()).id) == "a lämp"
    verbatim = await client("POST", "/endpoints/stories/invocations", {"inputs": "hi there "}, waits)
    assert (verbatim.status, verbatim.json()) == (200, [{"generated_text": "hi there a lämp"}])
    several = await client("POST", "/models/stories", {"inputs": ["a", "b"]}, waits)
    assert [one["generated_text"] for one in several.json()] == ["one", "two"]
    # What the task would refuse is left to the worker to refuse, in its words.
    wrong = {"inputs": "hi", "parameters": {"max_new_tokens": -1}}
    invoker.table["stories"] = failed(message="'max_new_tokens' is not", status=400)
    assert (await client("POST", "/models/stories", wrong, waits)).status == 400
    assert "stream" not in invoker.event


@pytest.mark.parametrize("task", ["summarization", "translation", "text2text-generation"])
async def test_a_text_made_of_a_text_is_told_too(
    client: Client, desk: Any, invoker: TableInvoker, task: str
) -> None:
    entries = client.app.state.gateway.catalogue.entries
    entries["stories"] = replace(entries["stories"], task=task, tasks=(task,))
    invoker.table["stories"] = speaking(generated("un ", "phare"))
    response = await client(
        "POST", "/models/stories", {"inputs": "a lamp"}, {"prefer": "respond-async, wait=20"}
    )
    (answer,) = response.json()
    assert list(answer.values()) == ["un phare"]
    assert await desk.texts((await desk.only()).id) == "un phare"
    invoker.table["stories"] = [{"x_text": "one"}, {"x_text": "two"}]
    response = await client(
        "POST", "/models/stories", {"inputs": ["a", "b"]}, {"prefer": "respond-async, wait=20"}
    )
    assert len(response.json()) == 2


async def test_the_headers_of_an_answer_are_a_part_of_it(
    client: Client, desk: Any, invoker: TableInvoker
) -> None:
    headers = {
        "location": "/there",
        "set-cookie": "secret=1",
        "x-long": "x" * 9000,
        "cache-control": "no-store",
    }
    invoker.table["hello"] = {"statusCode": 302, "headers": headers, "body": ""}
    response = await client("POST", "/hello/ann", {}, {"prefer": "respond-async, wait=20"})
    assert (response.status, response.headers["location"]) == (302, "/there")
    job = await desk.only()
    assert "set-cookie" not in dict(job.result.headers)
    assert "x-long" not in dict(job.result.headers)
    invoker.table["sentiment"] = []
    response = await client(
        "POST", "/models/sentiment", {"inputs": "x"}, {"prefer": "respond-async, wait=20"}
    )
    assert response.headers["x-inference-time"] == "4"


async def test_figures(client: Client, desk: Any, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = []
    await client("POST", "/models/sentiment", {"inputs": "hi"}, {"prefer": "respond-async, wait=20"})
    result = (await desk.only()).result
    assert dict(result.metrics) == {"duration_ms": 4.2, "queue_ms": 0.5}


class TestWalls:
    """``before_wall``, as a front calls it."""

    def call(self, prefer: str = "", **scope: Any) -> Call:
        async def receive() -> Any:
            await asyncio.Event().wait()

        headers = [(b"prefer", prefer.encode())] if prefer else []
        return Call(
            {"type": "http", "method": "POST", "path": "/hello/ann", "headers": headers, **scope}, receive
        )

    async def quick(self, _call: Call) -> Answer:
        return Answer(200, b"done")

    async def slow(self, _call: Call) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async def test_in_time(self, app: Any) -> None:
        gateway = app.state.gateway
        answer = await before_wall(gateway, self.call(), "hello", b"{}", self.quick, 5)
        assert answer.body == b"done"

    async def test_the_wall_for_who_takes_no_job(self, app: Any) -> None:
        with pytest.raises(TimeoutError):
            await before_wall(app.state.gateway, self.call("wait=60"), "hello", b"{}", self.slow, 0.001)

    async def test_a_job_for_who_takes_one(self, app: Any, desk: Any, invoker: TableInvoker) -> None:
        begun = asyncio.Event()

        def answer(invocation: Invocation) -> Reply:
            reply = Reply(invocation.request_id, content_type="text/plain", report=report())

            async def stream() -> Any:
                yield b"the beginning"
                begun.set()
                await asyncio.Event().wait()

            reply.stream = stream()
            return reply

        invoker.table["hello"] = answer
        desk.waits.clear()
        call = self.call("respond-async, wait=600")
        told = await before_wall(app.state.gateway, call, "hello", b"{}", self.slow, 1.2)
        assert desk.waits == [pytest.approx(0.7)]  # an answer is sent a little before the wall
        assert begun.is_set()
        body = json.loads(told.body)
        assert (told.status, body["status"], body["partial"]) == (202, "processing", "the beginning")
        await desk.cancel(body["id"])

    async def test_without_a_wait_it_is_one_at_once(self, app: Any, desk: Any) -> None:
        desk.hold()
        told = await before_wall(app.state.gateway, self.call("respond-async"), "hello", b"{}", self.slow, 29)
        assert told.status == 202
        assert desk.waits == []

    async def test_a_job_itself_has_no_wall(self, app: Any) -> None:
        call = self.call(**{"firstlight.job": "x"})
        assert runs_as_job(call)
        answer = await before_wall(app.state.gateway, call, "hello", b"{}", self.quick, 0)
        assert answer.body == b"done"

    async def test_a_client_that_leaves_ends_the_wait(self, app: Any) -> None:
        ended = asyncio.Event()

        async def handle(_call: Call) -> Answer:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        waiting = asyncio.create_task(before_wall(app.state.gateway, self.call(), "hello", b"{}", handle, 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(ended.wait(), 5)
