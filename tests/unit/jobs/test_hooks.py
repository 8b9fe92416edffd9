"""Destinations, dead letters and webhooks: what is told, where, and until when."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desks import Made, Scripted, bad, desk, event, good, request
from firstlight.invoke.types import Throttled
from firstlight.jobs import destinations, signing
from firstlight.jobs.current import Running
from firstlight.jobs.hooks import HookCarrier
from firstlight.jobs.types import EVENT_LIMIT, Condition, Job, Kind, Result, Status, Webhook
from firstlight.jobs.webhooks import Messenger, Teller
from firstlight.project import Asynchronous
from firstlight.runtime.errors import FirstlightError
from listening import Listener


@asynccontextmanager
async def telling(
    folder: Path, carrier: Any, policy: Asynchronous | None = None, **more: Any
) -> AsyncIterator[Made]:
    async with desk(folder / "jobs", carrier, policy, **more) as made:
        messenger = Messenger(folder, made.clock, 5)
        made.desk._notes._messenger = messenger
        made.desk.base = "http://here"
        made.carriers[Kind.HOOK] = HookCarrier(made.desk, messenger, lambda: folder)
        yield made
        messenger.close()


async def hook_ended(made: Made, hook_id: str) -> Job:
    return await made.ended(hook_id)


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_the_record_of_a_success_is_lambdas(tmp_path: Path) -> None:
    async with telling(tmp_path, Scripted(good()), Asynchronous(on_success="file:out/ok.jsonl")) as made:
        await made.desk.submit(event())
        await hook_ended(made, "j1.on_success")
        assert lines(tmp_path / "out" / "ok.jsonl") == [
            {
                "version": "1.0",
                "timestamp": "2023-11-14T22:13:20.000Z",
                "requestContext": {
                    "requestId": "j1",
                    "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
                    "condition": "Success",
                    "approximateInvokeCount": 1,
                },
                "requestPayload": {"n": 1},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
                "responsePayload": "fine",
            }
        ]
        assert (await made.until("j1", lambda job: bool(job.told))).told == ("on_success",)


async def test_a_failure_goes_to_its_destination_and_its_event_to_the_dead_letters(tmp_path: Path) -> None:
    policy = Asynchronous(retries=1, on_success="file:ok", on_failure="file:bad", dead_letter="file:dead")
    async with telling(tmp_path, Scripted(bad()), policy) as made:
        await made.desk.submit(event(qualifier="live"))
        await made.waiting_again("j1", 1)
        await made.later(60)
        await hook_ended(made, "j1.on_failure")
        await hook_ended(made, "j1.dead_letter")
        record = lines(tmp_path / "bad")[0]
        assert record["requestContext"] == {
            "requestId": "j1",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:f:live",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 2,
        }
        assert record["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        }
        assert record["responsePayload"] == {"errorMessage": "boom", "errorType": "ValueError"}
        letter = lines(tmp_path / "dead")[0]
        assert letter == {
            "MessageId": "j1.dead_letter",
            "Body": '{"n":1}',
            "MessageAttributes": {
                "RequestID": {"DataType": "String", "StringValue": "j1"},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": "boom"},
            },
        }
        assert not (tmp_path / "ok").exists()


async def test_what_was_never_invoked_has_no_response(tmp_path: Path) -> None:
    policy = Asynchronous(on_failure="file:bad", dead_letter="file:dead")
    async with telling(tmp_path, Scripted(good()), policy, room={"f": 0}) as made:
        await made.desk.submit(event())
        await hook_ended(made, "j1.on_failure")
        await hook_ended(made, "j1.dead_letter")
        record = lines(tmp_path / "bad")[0]
        assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
        assert record["requestContext"]["approximateInvokeCount"] == 0
        assert "responseContext" not in record
        assert "responsePayload" not in record
        attributes = lines(tmp_path / "dead")[0]["MessageAttributes"]
        assert "ErrorCode" not in attributes
        assert attributes["ErrorMessage"]["StringValue"].startswith("Function not invoked.")


async def test_a_throttle_that_never_ended_says_so(tmp_path: Path) -> None:
    policy = Asynchronous(max_age=60, on_failure="file:bad", dead_letter="file:dead")
    async with telling(tmp_path, Scripted(Throttled("full", reason="x")), policy) as made:
        await made.desk.submit(replace(event(), held_back=8))
        await hook_ended(made, "j1.on_failure")
        await hook_ended(made, "j1.dead_letter")
        record = lines(tmp_path / "bad")[0]
        assert record["requestContext"]["condition"] == "EventAgeExceeded"
        assert record["responseContext"] == {"statusCode": 429}
        attributes = lines(tmp_path / "dead")[0]["MessageAttributes"]
        assert attributes["ErrorCode"]["StringValue"] == "429"
        assert attributes["ErrorMessage"]["StringValue"] == "Rate Exceeded."


async def test_a_destination_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    with Listener() as listener:
        listener.answers = [(500, b""), (302, b""), (204, b"")]
        policy = Asynchronous(on_success=f"{listener.url}/hook")
        async with telling(tmp_path, Scripted(good()), policy) as made:
            await made.desk.submit(event())
            for attempt, seconds in ((1, 1), (2, 2)):
                hook = await made.waiting_again("j1.on_success", attempt)
                assert hook.due == made.clock.now + seconds
                await made.later(seconds)
            assert (await hook_ended(made, "j1.on_success")).status is Status.SUCCEEDED
            assert (await made.desk.get("j1")).status is Status.SUCCEEDED
        sent = listener.wait(3)
    assert {one.headers["webhook-id"] for one in sent} == {"j1.on_success"}
    assert json.loads(sent[2].body)["requestContext"]["condition"] == "Success"
    key = base64.b64decode(signing.secret(tmp_path).removeprefix("whsec_"))
    head = sent[2].headers
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + sent[2].body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert head["webhook-signature"] == f"v1,{expected}"


async def test_a_destination_that_is_gone_is_not_asked_again(tmp_path: Path) -> None:
    with Listener() as listener:
        listener.answers = [(410, b"")]
        async with telling(tmp_path, Scripted(good()), Asynchronous(on_success=listener.url)) as made:
            await made.desk.submit(event())
            hook = await hook_ended(made, "j1.on_success")
            assert hook.status is Status.FAILED
            assert (await made.desk.get("j1")).told == ()


async def test_a_dead_letter_is_the_event_itself(tmp_path: Path) -> None:
    with Listener() as listener:
        policy = Asynchronous(retries=0, dead_letter=f"{listener.url}/dead")
        async with telling(tmp_path, Scripted(bad(r"wörse\nand")), policy) as made:
            await made.desk.submit(event(payload='{"ö":1}'.encode()))
            await hook_ended(made, "j1.dead_letter")
        sent = listener.wait(1)[0]
    assert sent.body == '{"ö":1}'.encode()
    assert sent.headers["requestid"] == "j1"
    assert sent.headers["errorcode"] == "200"
    assert sent.headers["errormessage"] == "w\\xf6rse and"


async def test_another_endpoint_is_invoked_with_the_record(tmp_path: Path) -> None:
    seen: list[Job] = []

    async def first_fails(job: Job, now: Running) -> Result:
        seen.append(job)
        return bad() if job.endpoint == "f" else good()

    policy = Asynchronous(retries=0, on_failure="endpoint:g", dead_letter="endpoint:g")
    async with telling(tmp_path, Scripted(first_fails), policy, room={"f": 1, "g": 1}) as made:
        await made.desk.submit(event(trace_id="Root=1-5759e988-bd862e3fe1be46a994272793"))
        await hook_ended(made, "j1.on_failure")
        await hook_ended(made, "j1.dead_letter")
        page = await made.desk.list(endpoint="g")
        for job in page.jobs:
            await made.ended(job.id)
        payloads = [json.loads(job.payload) for job in seen if job.endpoint == "g"]
        record = next(one for one in payloads if "requestContext" in one)
        assert record["responsePayload"]["errorMessage"] == "boom"
        letter = next(one["Records"][0] for one in payloads if "Records" in one)
        assert letter["body"] == '{"n":1}'
        assert letter["messageAttributes"]["ErrorCode"] == {"stringValue": "200", "dataType": "Number"}
        assert letter["eventSource"] == "aws:sqs"
        assert all("Lineage=" in (job.trace_id or "") for job in seen if job.endpoint == "g")


async def test_a_function_that_feeds_itself_is_stopped_after_16_rounds(tmp_path: Path) -> None:
    from firstlight.invoke.types import Invocation, Reply
    from firstlight.jobs.carrying import EventCarrier

    invocations: list[Invocation] = []

    class Invoker:
        async def invoke(self, invocation: Invocation) -> Reply:
            invocations.append(invocation)
            return Reply(invocation.request_id, b"1")

    policy = Asynchronous(on_success="endpoint:f", on_failure="endpoint:f", dead_letter="file:dead")
    carrier = EventCarrier(Invoker(), clock=lambda: 0.0)
    async with telling(tmp_path, carrier, policy, room={"f": 1}) as made:
        await made.desk.submit(event())
        async with asyncio.timeout(20):
            while not (tmp_path / "dead").exists():
                await asyncio.sleep(0.005)
        assert len(invocations) == 16
        page = await made.desk.list(limit=100)
        assert len(page.jobs) == 17
        last = page.jobs[0]
        assert last.condition is Condition.RECURSIVE
        assert (await hook_ended(made, f"{last.id}.on_failure")).status is Status.FAILED
        assert len((await made.desk.list(limit=100)).jobs) == 17


async def test_a_record_that_no_function_can_take_is_dropped(tmp_path: Path) -> None:
    large = Result(body=b'"' + b"x" * EVENT_LIMIT + b'"')
    async with telling(tmp_path, Scripted(large), Asynchronous(on_success="endpoint:g")) as made:
        await made.desk.submit(event())
        hook = await hook_ended(made, "j1.on_success")
        assert hook.result is not None
        assert hook.result.status == 413


async def test_a_hook_of_a_job_that_is_gone_or_ended_otherwise_tells_nothing(tmp_path: Path) -> None:
    async with telling(tmp_path, Scripted(good()), Asynchronous()) as made:
        await made.desk.submit(event())
        ended = await made.ended("j1")
        policy = Asynchronous(on_failure="file:x", dead_letter="file:x")
        hooks = destinations.hooks(replace(ended, condition=Condition.AGE_EXCEEDED), policy, made.clock.now)
        nobody = destinations.hooks(
            replace(ended, id="j9"), Asynchronous(on_success="file:x"), made.clock.now
        )
        for hook in (*hooks, *nobody):
            made.store.put(hook)
        await made.later(0)
        for hook in (*hooks, *nobody):
            assert (await made.ended(hook.id)).status is Status.FAILED
        assert not (tmp_path / "x").exists()


async def test_a_hook_waits_until_its_job_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstlight.jobs.hooks._SOON_S", 0.01)
    async with telling(tmp_path, Scripted(good()), Asynchronous(), room={}) as made:
        await made.desk.submit(event())
        job = replace(event(), condition=Condition.SUCCESS)
        (hook,) = destinations.hooks(job, Asynchronous(on_success="file:x"), made.clock.now)
        made.store.put(hook)
        await made.later(0)
        assert (await made.waiting_again(hook.id, 1)).held_back == 1
        made.room["f"] = 1
        await made.later(0)
        await made.ended("j1")
        await made.later(1)
        assert (await made.ended(hook.id)).status is Status.SUCCEEDED
        assert len(lines(tmp_path / "x")) == 1


async def test_a_webhook_hears_of_the_start_and_of_the_end(tmp_path: Path) -> None:
    with Listener() as listener:
        webhook = Webhook(f"{listener.url}/w", ("start", "completed"))
        async with telling(tmp_path, Scripted(good())) as made:
            await made.desk.submit(request(webhook=webhook))
            await hook_ended(made, "r1.completed")
        sent = listener.wait(2)
    bodies = [json.loads(one.body) for one in sent]
    assert [body["status"] for body in bodies] == ["processing", "succeeded"]
    assert bodies[1]["output"] == "fine"
    assert bodies[1]["urls"]["get"] == "http://here/v1/jobs/r1"
    assert bodies[1]["webhook"] == webhook.url
    assert sent[0].headers["webhook-id"] != sent[1].headers["webhook-id"]


async def test_a_webhook_hears_of_a_job_that_was_canceled_before_it_began(tmp_path: Path) -> None:
    with Listener() as listener:
        async with telling(tmp_path, Scripted(good()), room={}) as made:
            await made.desk.submit(request(webhook=Webhook(listener.url, ("completed",))))
            await made.desk.cancel("r1")
            await made.later(1)
            await hook_ended(made, "r1.completed")
        assert json.loads(listener.wait(1)[0].body)["status"] == "canceled"


async def test_output_is_told_in_few_messages_that_have_it_all() -> None:
    sent: list[str] = []
    text = ""

    async def send(name: str) -> int:
        sent.append(f"{name} {text}")
        await asyncio.sleep(0)
        return 200

    teller = Teller(send, ("output", "completed"), interval_s=0.001)
    teller.say("start")
    assert teller._task is None
    for number in range(1000):
        text += "x"
        teller.say("output")
        if number % 100 == 0:
            await asyncio.sleep(0)
    while teller._task is not None:
        await asyncio.sleep(0.001)
    assert 1 <= len(sent) < 20
    assert sent[-1] == "output " + "x" * 1000
    assert teller.end() is None
    teller.say("output")
    assert teller._task is None


async def test_a_slow_webhook_holds_no_job_up_and_hears_in_order() -> None:
    sent: list[str] = []
    gate = asyncio.Event()

    async def send(name: str) -> int:
        await gate.wait()
        sent.append(name)
        return 200

    teller = Teller(send, ("start", "output"), interval_s=60)
    teller.say("start")
    teller.say("output")
    left = teller.end()
    assert left is not None
    await asyncio.sleep(0)
    gate.set()
    await left
    assert sent == ["start"]


async def test_a_webhook_that_is_not_there_does_not_stop_the_job(caplog: pytest.LogCaptureFixture) -> None:
    async def send(name: str) -> int:
        raise FirstlightError("nobody there")

    teller = Teller(send, ("start",), interval_s=0.001)
    teller.say("start")
    left = teller.end()
    assert left is not None
    await left
    assert "was not told of start: nobody there" in caplog.text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    json_values,
    st.none() | st.builds(Result, st.sampled_from([200, 404, 429, 500]), st.binary(max_size=20)),
    st.sampled_from(Condition),
)
def test_every_end_has_a_record(payload: Any, result: Result | None, condition: Condition) -> None:
    job = replace(
        event(payload=json.dumps(payload).encode()), result=result, condition=condition, completed=1.0
    )
    record = json.loads(json.dumps(destinations.record(job)))
    assert record["requestPayload"] == payload
    assert record["requestContext"]["condition"] == condition.value
    assert ("responsePayload" in record) <= ("responseContext" in record)
    _, attributes = destinations.dead_letter(job)
    assert len(attributes["ErrorMessage"].encode()) <= 1024
