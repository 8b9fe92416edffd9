"""One record for every invocation, committed before its reply leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from firstlight.invoke.assignments import Waiter
from firstlight.invoke.recording import RecordingInvoker
from firstlight.invoke.types import ByteStream, Invocation, Reply, Report, Throttled, WorkerSpec
from firstlight.runtime.errors import EndpointNotFound, PayloadTooLarge, RecordError


class Inner:
    """Answers with what it was made with, when it is let."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer
        self.go = asyncio.Event()
        self.go.set()
        self.closed = False
        self.left: list[str] = []
        self.running: asyncio.Future[None] | None = None

    def leave(self, request_id: str) -> None:
        self.left.append(request_id)

    async def invoke(self, invocation: Invocation) -> Reply:
        raise NotImplementedError

    def submit(self, invocation: Invocation, waiter: Waiter) -> None:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.running = asyncio.ensure_future(self._answer(self.answer, waiter))

    async def _answer(self, reply: Reply, waiter: Waiter) -> None:
        await self.go.wait()
        waiter.set_result(reply)

    async def close(self) -> None:
        if self.running is not None:
            await self.running
        self.closed = True

    def function(self, name: str) -> WorkerSpec:
        return WorkerSpec(name, digest="abc")

    def status(self) -> dict[str, dict[str, Any]]:
        return {}

    def provisioned(self, name: str) -> Any: ...

    def replace(self, specs: Mapping[str, WorkerSpec]) -> None: ...


class Recorder:
    """Holds records; commits at once unless told to hold them back."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.futures: list[Future[None]] = []
        self.hold = False
        self.error: Exception | None = None

    def submit(self, record: Mapping[str, Any]) -> Future[None]:
        future: Future[None] = Future()
        self.records.append(dict(record))
        self.futures.append(future)
        if self.error is not None:
            future.set_exception(self.error)
        elif not self.hold:
            future.set_result(None)
        return future


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def made(inner: Inner, recorder: Recorder, store: str = "none") -> RecordingInvoker:
    return RecordingInvoker(inner, recorder, SimpleNamespace(store=store))


def reply(**fields: Any) -> Reply:
    report = Report(
        duration_ms=2.0, queue_ms=1.0, init_ms=30.0, cold=True, max_memory_mb=40, warnings=["cut"]
    )
    return Reply("r1", **{"payload": b'"out a@b.org"', "report": report, **fields})


ASKED = Invocation("f", b'"in a@b.org"', request_id="r1", wire="huggingface")


async def test_the_record_of_an_answer(recorder: Recorder) -> None:
    answer = await made(Inner(reply()), recorder).invoke(ASKED)
    assert answer.payload == b'"out a@b.org"'
    (record,) = recorder.records
    assert record.pop("time") > 1e9
    assert record == {
        "request_id": "r1", "endpoint": "f", "wire": "huggingface", "status": "ok", "error_type": None,
        "duration_ms": 2.0, "queue_ms": 1.0, "init_ms": 30.0, "cold": True, "request_bytes": 12, "response_bytes": 13,
        "max_memory_mb": 40, "model": "abc", "inputs": None, "outputs": None, "warnings": ["cut"],
    }  # fmt: skip


@pytest.mark.parametrize(("store", "inputs"), [
    ("none", None), ("hash", hashlib.sha256(ASKED.payload).hexdigest()), ("redacted", '"in [email]"'),
    ("full", '"in a@b.org"'),
])  # fmt: skip
async def test_what_is_kept_of_the_texts(recorder: Recorder, store: str, inputs: str | None) -> None:
    await made(Inner(reply()), recorder, store).invoke(ASKED)
    assert recorder.records[0]["inputs"] == inputs


async def test_a_long_text_is_redacted_too(recorder: Recorder) -> None:
    asked = Invocation("f", b'"' + b"word " * 10_000 + b'a@b.org"')
    await made(Inner(reply()), recorder, "redacted").invoke(asked)
    assert recorder.records[0]["inputs"].endswith('word [email]"')


async def test_the_reply_waits_for_the_record(recorder: Recorder) -> None:
    recorder.hold = True
    assignment = asyncio.create_task(made(Inner(reply()), recorder).invoke(ASKED))
    while not recorder.futures:
        await asyncio.sleep(0)
    assert not assignment.done()
    recorder.futures[0].set_result(None)
    assert (await assignment).payload


@pytest.mark.parametrize("outcome", ["error", "timeout", "crash"])
async def test_what_went_wrong(recorder: Recorder, outcome: str) -> None:
    failed = reply(payload=b'{"errorType":"X.Y"}', function_error="Unhandled", outcome=outcome)
    await made(Inner(failed), recorder).invoke(ASKED)
    assert (recorder.records[0]["status"], recorder.records[0]["error_type"]) == (outcome, "X.Y")


@pytest.mark.parametrize(("error", "status", "kind"), [
    (Throttled("full", reason="r"), "throttled", "TooManyRequests"),
    (PayloadTooLarge("big"), "error", "PayloadTooLarge"),
])  # fmt: skip
async def test_a_refusal(recorder: Recorder, error: Exception, status: str, kind: str) -> None:
    with pytest.raises(type(error)):
        await made(Inner(error), recorder, "full").invoke(ASKED)
    (record,) = recorder.records
    assert (record["status"], record["error_type"], record.get("inputs")) == (status, kind, None)


async def test_no_endpoint_no_record(recorder: Recorder) -> None:
    with pytest.raises(EndpointNotFound):
        await made(Inner(EndpointNotFound("no")), recorder).invoke(ASKED)
    assert recorder.records == []


async def test_a_record_that_cannot_be_written_is_a_warning(recorder: Recorder) -> None:
    recorder.error = RecordError("the disk is full")
    answer = await made(Inner(reply()), recorder).invoke(ASKED)
    assert answer.report.warnings == ["cut", "this invocation was not recorded: the disk is full"]
    assert answer.function_error is None


async def test_a_caller_that_leaves_is_recorded(recorder: Recorder) -> None:
    inner = Inner(reply())
    inner.go.clear()
    invoker = made(inner, recorder)
    assignment = asyncio.create_task(invoker.invoke(ASKED))
    await asyncio.sleep(0)
    assignment.cancel()
    await asyncio.wait([assignment])
    inner.go.set()
    await invoker.close()
    assert inner.closed
    assert [record["status"] for record in recorder.records] == ["ok"]


async def _pieces(answer: Reply) -> AsyncGenerator[bytes]:
    yield b"one "
    yield b"two"
    answer.outcome = "error"
    answer.function_error, answer.payload = "Unhandled", b'{"errorType":"E"}'


async def test_a_stream_is_recorded_at_its_end(recorder: Recorder) -> None:
    inner = reply(payload=b"")
    inner.stream = _pieces(inner)
    answer = await made(Inner(inner), recorder, "full").invoke(ASKED)
    assert answer.stream is not None
    assert await anext(answer.stream) == b"one "
    assert recorder.records == []
    assert [piece async for piece in answer.stream] == [b"two"]
    (record,) = recorder.records
    assert (record["status"], record["error_type"], record["outputs"], record["response_bytes"]) == (
        "error",
        "E",
        "one two",
        7,
    )


async def test_a_reader_that_leaves_is_recorded(recorder: Recorder) -> None:
    inner = reply(payload=b"")
    inner.stream = _pieces(inner)
    answer = await made(Inner(inner), recorder).invoke(ASKED)
    assert answer.stream is not None
    await anext(answer.stream)
    await answer.stream.aclose()
    await answer.stream.aclose()
    assert [piece async for piece in answer.stream] == []
    (record,) = recorder.records
    assert (record["status"], record["response_bytes"]) == ("cancelled", 4)


async def test_a_reader_that_leaves_at_the_end_is_recorded_once(recorder: Recorder) -> None:
    recorder.hold = True
    inner = reply(payload=b"")
    inner.stream = _pieces(inner)
    answer = await made(Inner(inner), recorder).invoke(ASKED)
    assert answer.stream is not None
    reading = asyncio.create_task(_all(answer.stream))
    while not recorder.futures:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    leaving = asyncio.create_task(answer.stream.aclose())
    await asyncio.sleep(0)
    recorder.futures[0].set_result(None)
    await leaving
    assert [record["status"] for record in recorder.records] == ["error"]


async def _all(stream: ByteStream) -> list[bytes]:
    return [piece async for piece in stream]


async def test_work_that_was_ended_is_recorded(recorder: Recorder) -> None:
    inner = Inner(reply(payload=b"", outcome="cancelled"))
    invoker = made(inner, recorder)
    invoker.leave("r1")
    assert inner.left == ["r1"]
    await invoker.invoke(ASKED)
    (record,) = recorder.records
    assert (record["status"], record["error_type"], record["duration_ms"]) == ("cancelled", None, 2.0)


async def test_a_caller_who_leaves_before_a_stream_begins_ends_it(recorder: Recorder) -> None:
    streamed = reply(payload=b"")
    streamed.stream = _pieces(streamed)
    inner = Inner(streamed)
    inner.go.clear()
    invoker = made(inner, recorder)
    assignment = asyncio.create_task(invoker.invoke(ASKED))
    await asyncio.sleep(0)
    assignment.cancel()
    await asyncio.wait([assignment])
    inner.go.set()
    await invoker.close()
    assert [(record["status"], record["response_bytes"]) for record in recorder.records] == [("cancelled", 0)]
