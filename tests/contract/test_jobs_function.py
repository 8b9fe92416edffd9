"""The function that works off the queue, over a real table and a real queue: what becomes of jobs and messages."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from desks import Clock
from firstlight.gateway.app import create_app
from firstlight.gateway.aws.working import Working
from firstlight.invoke.types import Reply, Throttled
from firstlight.jobs.desk import Desk
from firstlight.jobs.sqs import SqsJobs
from firstlight.jobs.types import Condition, Job, Kind, Request, Status
from firstlight.project import Asynchronous
from firstlight.runtime.errors import InvalidInput, JobError
from gateways import TableInvoker, failed, make_project

NOW = 1_800_000_000.0


class Place:
    """A queue, a table, the function on them, and a desk that hands in jobs as the router does."""

    def __init__(self, sqs_place, folder: Path, policy: Asynchronous) -> None:
        self.place, self.clock = sqs_place, Clock(NOW)
        self.store = SqsJobs(sqs_place.table, sqs_place.queue, sqs_place.plain, sqs_place.sqs, self.clock)
        self.loop = asyncio.new_event_loop()
        self.invoker = TableInvoker()
        app = create_app(make_project(folder), self.invoker)
        self.function = Working(app, self.store, lambda *_: policy, self.loop, self.clock)
        self.function._folder = folder
        self.desk = Desk(self.store, {}, lambda *_: policy, dict, self.clock)
        self.sent = []

    def submit(self, job_id="one", **changes) -> None:
        job = Job(
            **{
                "id": job_id,
                "kind": Kind.EVENT,
                "endpoint": "hello",
                "payload": b"{}",
                "created": NOW,
                **changes,
            }
        )
        self.loop.run_until_complete(self.desk.submit(job))

    def messages(self):
        """What waits in the queue now: id of a message, text, seconds of delay are not told by SQS."""
        asked = {"QueueUrl": self.place.queue, "MaxNumberOfMessages": 10}
        found = self.place.sqs.call("AmazonSQS.ReceiveMessage", asked)
        return [
            {"messageId": message["MessageId"], "body": message["Body"]}
            for message in found.get("Messages", ())
        ]

    def run(self, *records, left_ms=900_000):
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: left_ms)
        return self.function({"Records": list(records)}, context)["batchItemFailures"]

    def close(self) -> None:
        self.loop.run_until_complete(self.desk.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture
def policy():
    return Asynchronous()


@pytest.fixture
def made(sqs_place, tmp_path, policy, monkeypatch):
    place = Place(sqs_place, tmp_path, policy)
    send = place.store._queue.send
    monkeypatch.setattr(
        place.store._queue, "send", lambda job_id, s=0.0: (place.sent.append((job_id, s)), send(job_id, s))
    )
    yield place
    place.close()


def message(job_id):
    return {"messageId": f"m-{job_id}", "body": json.dumps({"job": job_id})}


def test_what_is_handed_in_is_carried_by_its_message(made):
    made.invoker.table["hello"] = {"label": "joy"}
    made.submit()
    made.submit("two", payload=b'{"inputs":"x"}')
    made.submit(
        "web", kind=Kind.REQUEST, request=Request("POST", "/models/hello"), payload=b'{"inputs": "hi"}'
    )
    records = made.messages()
    assert sorted(json.loads(record["body"])["job"] for record in records) == ["one", "two", "web"]
    assert made.run(*records) == []
    one, web = made.store.get("one"), made.store.get("web")
    assert (one.status, one.result.body, one.attempts) == (Status.SUCCEEDED, b'{"label": "joy"}', 1)
    assert (web.status, web.result.status) == (Status.SUCCEEDED, 200)
    assert [event.kind for event in made.store.events("one")] == ["start", "metric"]
    assert made.run(*records) == []  # a message that comes again is for nothing
    assert len(made.invoker.seen) == 3


@pytest.mark.parametrize("policy", [Asynchronous(retries=1, on_failure="endpoint:qa")])
def test_a_failure_is_tried_again_later_and_told(made):
    made.invoker.table |= {"hello": failed(), "qa": 1}
    made.submit()
    made.run(message("one"))
    assert made.store.get("one").status is Status.STARTING
    assert made.sent[1:] == [("one", 60.0)]
    made.run(message("one"))  # too early: it goes round once more
    assert made.sent[2:] == [("one", 60.0)]
    made.clock.now += 60
    made.run(message("one"))
    assert made.store.get("one").condition is Condition.RETRIES_EXHAUSTED
    assert [job_id for job_id, _ in made.sent[3:]] == ["one.on_failure"]
    made.run(message("one.on_failure"))
    assert made.store.get("one.on_failure").status is Status.SUCCEEDED
    event, _ = made.sent[4]
    made.run(message(event))
    assert json.loads(made.invoker.seen[-1].payload)["requestContext"]["condition"] == "RetriesExhausted"


def test_a_throttle_puts_it_back(made):
    made.invoker.table["hello"] = Throttled("no room", reason="x")
    made.submit()
    assert made.run(message("one")) == []
    assert made.store.get("one").held_back == 1
    assert made.sent[-1] == ("one", 1.0)


def test_what_another_one_runs_is_left_until_its_lease_ends(made):
    made.invoker.table["hello"] = 1
    made.submit()
    made.store.claim("other", NOW, 30.0, {"hello": 1})
    made.run(message("one"))
    assert made.sent[-1] == ("one", 30.0)
    assert made.invoker.seen == []
    made.clock.now += 31
    made.run(message("one"))
    done = made.store.get("one")
    assert (done.status, done.attempts, done.interrupted) == (Status.SUCCEEDED, 2, 1)


def test_what_was_canceled_is_not_begun(made):
    made.submit()
    made.loop.run_until_complete(made.desk.cancel("one"))
    assert made.run(message("one"), message("none")) == []
    assert made.invoker.seen == []


def test_more_than_there_is_room_for_waits_for_its_turn(made):
    made.invoker.table["hello"] = 1
    for number in range(5):
        made.submit(f"j{number}")
    made.function._room = lambda: {"hello": 2}
    assert made.run(*(message(f"j{number}") for number in range(5))) == []
    assert {made.store.get(f"j{number}").status for number in range(5)} == {Status.SUCCEEDED}


def test_what_runs_when_the_time_is_over_goes_back(made):
    passed, real = [0.0], made.loop.time
    made.loop.time = lambda: real() + passed[0]

    class Endless:
        def __aiter__(self):
            return self

        async def __anext__(self):
            passed[0] = 1000.0
            await asyncio.Event().wait()

        async def aclose(self):
            pass

    made.invoker.table["hello"] = lambda invocation: Reply(invocation.request_id, stream=Endless())
    made.submit()
    assert made.run(message("one")) == []
    job = made.store.get("one")
    assert (job.status, job.interrupted, job.owner) == (Status.STARTING, 1, "")
    assert made.sent[-1][0] == "one"


def test_a_table_that_fails_has_the_message_come_again(made, monkeypatch):
    def fail(*_):
        raise JobError("no table today")

    made.submit()
    monkeypatch.setattr(made.store, "take", fail)
    monkeypatch.setattr("firstlight.jobs.handed._TRIES", 1)
    assert made.run(message("one")) == [{"itemIdentifier": "m-one"}]


def test_what_names_no_job_is_thrown_away(made):
    records = [{"messageId": "m", "body": body} for body in ("", "[]", "{}", '{"job": 1}', '{"job": ""}')]
    assert made.run(*records) == []
    with pytest.raises(InvalidInput):
        made.function({"inputs": "x"}, None)


def test_a_schedule_looks_after_what_was_forgotten(made):
    made.submit()
    made.submit("two")
    made.submit("new", created=NOW + 2000)
    made.store.claim("gone", NOW, 30.0, {"hello": 1})
    made.clock.now += 2000
    assert made.function({"source": "aws.scheduler"}, None) == {"warm": True, "sent": 2}
    assert sorted(job_id for job_id, _ in made.sent[3:]) == ["one", "two"]


def test_a_retry_of_what_was_not_queued_is_queued(made, monkeypatch):
    queue, sent = made.store._queue, made.sent

    def lost(*_):
        raise JobError("no queue today")

    with monkeypatch.context() as broken:
        broken.setattr(queue, "send", lost)
        with pytest.raises(JobError):
            made.submit()
    made.submit()
    assert [job_id for job_id, _ in sent] == ["one"]


def test_the_secret_of_webhooks_is_the_same_for_all(made, sqs_place):
    first = made.store.secret(lambda: "whsec_a")
    other = SqsJobs(sqs_place.table, sqs_place.queue, sqs_place.plain, sqs_place.sqs)
    assert [first, other.secret(lambda: "whsec_b")] == ["whsec_a"] * 2


def test_a_queue_that_is_not_there_is_said(sqs_place):
    store = SqsJobs(sqs_place.table, sqs_place.queue + "-gone", sqs_place.plain, sqs_place.sqs)
    with pytest.raises(JobError, match="queue could not be told") as caught:
        store.put(Job("one", Kind.EVENT, "hello", b"{}", NOW))
    assert caught.value.hint == "deploy again"
