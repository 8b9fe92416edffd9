"""Every store of jobs, whatever is done to it in whatever order, beside a model of a few lines in memory."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from firstlight.jobs.types import Job, JobEvent, Kind, Result, Status

IDS = st.sampled_from([f"job-{number}" for number in range(6)])
ENDPOINTS = ("mood", "qa")
OWNERS = st.sampled_from(["one", "two", "three"])
BODIES = st.sampled_from([b"", b"{}", b"x" * 4096, b"y" * 6000])
LATER = st.integers(0, 40)
EXAMPLES = {"sqlite": (40, 30), "dynamodb": (8, 20)}
"""How many runs of how many steps: a step on the server takes a hundred times as long."""


class Machine(RuleBasedStateMachine):
    """The store and its model. ``seen`` are jobs as somebody once held them, which may be out of date."""

    def __init__(self, place) -> None:
        super().__init__()
        place.fresh()
        self.store = place.open()
        self.now = 1000.0
        self.jobs: dict[str, Job] = {}
        self.arrival: dict[str, int] = {}
        self.happened: dict[str, dict[int, JobEvent]] = {}
        self.seen: list[Job] = []
        self.count = 0

    def turn(self, job: Job) -> tuple[float, int]:
        return job.due, self.arrival[job.id]

    def keep(self, job: Job) -> None:
        self.jobs[job.id] = job
        self.seen = [*self.seen[-9:], job]

    def those(self, status: Status) -> list[Job]:
        return [job for job in self.jobs.values() if job.status == status]

    @rule(seconds=LATER)
    def time_passes(self, seconds):
        self.now += seconds

    @rule(job_id=IDS, endpoint=st.sampled_from(ENDPOINTS), payload=BODIES, wait=LATER)
    def put(self, job_id, endpoint, payload, wait):
        job = Job(job_id, Kind.EVENT, endpoint, payload, self.now, due=self.now + wait)
        assert self.store.put(job) == self.jobs.get(job_id)
        if job_id not in self.jobs:
            self.count += 1
            self.arrival[job_id] = self.count
            self.happened[job_id] = {}
            self.keep(job)

    @rule(owner=OWNERS, mood=st.integers(0, 3), qa=st.integers(0, 3), lease=st.integers(1, 60))
    def claim(self, owner, mood, qa, lease):
        claimed = self.store.claim(owner, self.now, lease, {"mood": mood, "qa": qa})
        wanted = []
        for endpoint, room in (("mood", mood), ("qa", qa)):
            due = [
                job for job in self.those(Status.STARTING) if job.due <= self.now and job.endpoint == endpoint
            ]
            wanted += sorted(due, key=self.turn)[:room]
        fields = {"status": Status.PROCESSING, "owner": owner, "lease": self.now + lease}
        for job, before in zip(claimed, sorted(wanted, key=self.turn), strict=True):
            after = replace(before, attempts=before.attempts + 1, revision=before.revision + 1, **fields)
            assert job == after
            self.keep(after)

    def change(self, job: Job, **fields) -> None:
        now = self.jobs.get(job.id)
        after = self.store.change(job, **fields)
        if now is None or now.revision != job.revision:
            assert after is None
            return
        if fields.get("status", Status.PROCESSING) != Status.PROCESSING:
            fields |= {"owner": "", "lease": 0.0}
        assert after == replace(now, revision=now.revision + 1, **fields)
        self.keep(after)

    @precondition(lambda self: self.seen)
    @rule(choice=st.randoms(), body=BODIES, keep=st.none() | LATER, ending=st.sampled_from(list(Status)[2:]))
    def finish(self, choice, body, keep, ending):
        keep_until = None if keep is None else self.now + keep
        result = Result(body=body, metrics={"size": len(body)})
        self.change(choice.choice(self.seen), status=ending, keep_until=keep_until, result=result)

    @precondition(lambda self: self.seen)
    @rule(choice=st.randoms(), wait=LATER)
    def put_back(self, choice, wait):
        job = choice.choice(self.seen)
        if not job.status.final:
            self.change(job, status=Status.STARTING, due=self.now + wait, failures=job.failures + 1)

    @precondition(lambda self: self.seen)
    @rule(choice=st.randoms(), text=st.text(max_size=9), told=st.lists(st.text(max_size=3), max_size=2))
    def note(self, choice, text, told):
        self.change(choice.choice(self.seen), partial=text, told=tuple(told))

    @rule(owner=OWNERS, ids=st.lists(IDS, unique=True, max_size=4), lease=st.integers(1, 60))
    def renew(self, owner, ids, lease):
        held = {job.id for job in self.those(Status.PROCESSING) if job.owner == owner}
        assert list(self.store.renew(owner, ids, self.now + lease)) == [one for one in ids if one not in held]
        for job_id in held.intersection(ids):
            self.jobs[job_id] = replace(self.jobs[job_id], lease=self.now + lease)

    @rule(gone=st.lists(OWNERS, unique=True, max_size=2))
    def recover(self, gone):
        over = [job for job in self.those(Status.PROCESSING) if job.lease <= self.now or job.owner in gone]
        fields = {"status": Status.STARTING, "owner": "", "lease": 0.0}
        for job, before in zip(self.store.recover(self.now, gone), sorted(over, key=self.turn), strict=True):
            after = replace(
                before, interrupted=before.interrupted + 1, revision=before.revision + 1, **fields
            )
            assert job == after
            self.keep(after)

    @rule(job_id=IDS, numbers=st.lists(st.integers(1, 8), max_size=4, unique=True), text=st.text(max_size=9))
    def append(self, job_id, numbers, text):
        events = [JobEvent(number, "log", {"text": text}, self.now) for number in numbers]
        self.store.append(job_id, events)
        if job_id in self.jobs:
            self.happened[job_id] = {event.number: event for event in events} | self.happened[job_id]

    @rule()
    def sweep(self):
        over = [job for job in self.jobs.values() if job.status.final and job.keep_until is not None]
        over = [job for job in over if job.keep_until <= self.now]
        assert self.store.sweep(self.now) == len(over)
        for job in over:
            del self.jobs[job.id], self.happened[job.id]

    @rule(job_id=IDS, after=st.integers(0, 8))
    def read(self, job_id, after):
        assert self.store.get(job_id) == self.jobs.get(job_id)
        happened = sorted(self.happened.get(job_id, {}).items())
        assert list(self.store.events(job_id, after)) == [
            event for number, event in happened if number > after
        ]

    @rule(
        limit=st.integers(1, 4),
        endpoint=st.none() | st.sampled_from(ENDPOINTS),
        status=st.none() | st.sampled_from(Status),
    )
    def pages(self, limit, endpoint, status):
        jobs = sorted(self.jobs.values(), key=lambda job: -self.arrival[job.id])
        wanted = [job for job in jobs if endpoint in (None, job.endpoint) and status in (None, job.status)]
        found, cursor = [], None
        while not found or cursor:
            page = self.store.list(endpoint=endpoint, status=status, limit=limit, cursor=cursor)
            found, cursor = [*found, *page.jobs], page.next
            if not page.jobs:
                break
        bare = [replace(job, payload=b"", partial="") for job in wanted]
        assert found == [replace(job, result=job.result and replace(job.result, body=b"")) for job in bare]

    @rule()
    def counts(self):
        waiting = self.those(Status.STARTING)
        depth = {endpoint: sum(job.endpoint == endpoint for job in waiting) for endpoint in ENDPOINTS}
        assert self.store.depth() == {endpoint: count for endpoint, count in depth.items() if count}
        assert list(self.store.owners()) == sorted({job.owner for job in self.those(Status.PROCESSING)})
        due = self.store.next_due(self.now, ENDPOINTS)
        soonest = min((job.due for job in waiting), default=None)
        assert due == soonest or (soonest is not None and soonest <= due <= self.now)

    def teardown(self):
        assert {job_id: self.store.get(job_id) for job_id in self.jobs} == self.jobs
        self.counts()
        self.store.close()


def test_a_store_does_what_the_model_does(place):
    examples, steps = EXAMPLES[place.arguments[0]]
    run_state_machine_as_test(
        lambda: Machine(place),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
