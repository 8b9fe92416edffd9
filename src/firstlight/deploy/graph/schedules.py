"""What happens by the clock: a ping of every function once a week, and looking after the jobs.

Lambda puts away the image of a function that nobody calls for two weeks, and refuses the next call.
"""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph.rights import allow, role, trusting
from firstlight.deploy.graph.site import Site, endpoint_id
from firstlight.deploy.types import Att, Ref, Resource, Value
from firstlight.project.names import ROUTER

PART = "operations"
EVENT = '{"source":"aws.scheduler","detail-type":"ping","detail":{}}'
"""What functions are invoked with: a ping to ``runtime.triggers``, which asks neither model nor script."""
WEEKLY, TENDING = "rate(7 days)", "rate(5 minutes)"


def resources(site: Site) -> Iterator[Resource]:
    """The schedules, and the role that they invoke with."""
    wanted = dict(_wanted(site))
    if not wanted:
        return
    yield Resource("ScheduleGroup", "AWS::Scheduler::ScheduleGroup", {}, PART, "the schedules of this stack")
    own: dict[str, Value] = {
        "StringEquals": {"aws:SourceAccount": Ref("AWS::AccountId")},
        "ArnEquals": {"aws:SourceArn": Att("ScheduleGroup", "Arn")},
    }
    aliases = tuple(Ref(alias) for alias in dict.fromkeys(alias for _, alias, _ in wanted.values()))
    yield role(
        "ScheduleRole",
        PART,
        "the schedules may invoke what they are for",
        site.names.stack,
        {"invoking": [allow(("lambda:InvokeFunction",), aliases)]},
        trust=trusting("scheduler.amazonaws.com", own),
    )
    for logical_id, (rate, alias, why) in wanted.items():
        yield _schedule(logical_id, rate, alias, why)


def _wanted(site: Site) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Logical id -> how often, which alias, why."""
    if site.project.deployment.ping:
        for endpoint in site.endpoints:
            head = endpoint_id(endpoint.name)
            yield (
                f"Ping{head}",
                (WEEKLY, f"{head}Alias", f"{endpoint.name} once a week, so that it stays ready"),
            )
        yield "PingRouter", (WEEKLY, "RouterAlias", f"{ROUTER} once a week, so that it stays ready")
    if site.project.deployment.jobs:
        yield (
            "JobsTending",
            (TENDING, "JobsAlias", "jobs that were lost on their way, or are due later than SQS waits"),
        )


def _schedule(logical_id: str, rate: str, alias: str, why: str) -> Resource:
    window: dict[str, Value] = {"Mode": "OFF"}
    if rate == WEEKLY:
        window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60}
    return Resource(
        logical_id,
        "AWS::Scheduler::Schedule",
        {
            "GroupName": Ref("ScheduleGroup"),
            "ScheduleExpression": rate,
            "FlexibleTimeWindow": window,
            "Target": {
                "Arn": Ref(alias),
                "RoleArn": Att("ScheduleRole", "Arn"),
                "Input": EVENT,
                "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
            },
        },
        PART,
        why,
    )
