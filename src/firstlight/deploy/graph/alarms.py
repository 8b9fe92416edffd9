"""Alarms: what somebody should look at, and who is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firstlight.deploy.graph import fronts, telling
from firstlight.deploy.graph.functions import LONGEST
from firstlight.deploy.graph.site import Site, endpoint_id
from firstlight.deploy.types import Att, Output, Ref, Resource, Value
from firstlight.project.names import LIVE
from firstlight.project.types import Asynchronous, Endpoint

PART = "operations"
TOPIC = "AlarmsTopic"
_FIVE_MINUTES = 300
_MOST_ERRORS = 0.01
"""Of the invocations."""
_NEARLY = 0.8
"""Of the timeout, and of the reserved workers."""
_OLD = 3600
"""Seconds a job has waited."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """One metric and what is too much of it: ``over`` in ``times`` five minutes one after the other."""

    logical_id: str
    why: str
    namespace: str
    metric: str
    dimensions: Mapping[str, Value]
    statistic: str
    over: float
    times: int = 1


def resources(site: Site) -> Iterator[Resource]:
    """The topic and all alarms."""
    yield from telling.topic(TOPIC, "cloudwatch.amazonaws.com", PART, "who is told by alarms")
    if site.project.deployment.email:
        yield telling.mail("AlarmsMail", TOPIC, site.project.deployment.email, PART)
    for endpoint in site.endpoints:
        yield from _of_endpoint(site, endpoint)
    yield from _of_function("Router", "the router")
    yield _alarm(_url_errors())
    yield from map(_alarm, _of_apis(site))
    if site.project.deployment.jobs:
        yield from map(_alarm, _of_jobs())


def outputs() -> Iterator[Output]:
    """Where others may subscribe."""
    yield Output("AlarmsTopic", Ref(TOPIC), "topic of the alarms")


def _of_endpoint(site: Site, endpoint: Endpoint) -> Iterator[Resource]:
    head = endpoint_id(endpoint.name)
    yield from _of_function(head, endpoint.name)
    of = {"FunctionName": Ref(f"{head}Function")}
    slow = _NEARLY * min(LONGEST, endpoint.timeout) * 1000
    why = f"{endpoint.name}: one in a hundred takes more than 80 % of its timeout"
    yield _alarm(_Watched(f"{head}Slow", why, "AWS/Lambda", "Duration", of, "p99", slow, times=3))
    reserved = site.granted.get(endpoint.name) if endpoint.reserved else None
    if reserved:
        why = f"{endpoint.name}: more than 80 % of its {reserved} workers are in use"
        busy = _Watched(
            f"{head}Busy",
            why,
            "AWS/Lambda",
            "ConcurrentExecutions",
            of,
            "Maximum",
            _NEARLY * reserved,
            times=3,
        )
        yield _alarm(busy)
    if endpoint.asynchronous != Asynchronous():
        why = f"{endpoint.name}: events were given up"
        yield _alarm(_Watched(f"{head}Dropped", why, "AWS/Lambda", "AsyncEventsDropped", of, "Sum", 0))


def _of_function(head: str, name: str) -> Iterator[Resource]:
    of = {"FunctionName": Ref(f"{head}Function")}
    # The metric is 0 or 1 for each invocation: its average is the share of those that failed.
    why = f"{name}: more than {_MOST_ERRORS:.0%} of the invocations failed"
    yield _alarm(_Watched(f"{head}Errors", why, "AWS/Lambda", "Errors", of, "Average", _MOST_ERRORS, times=2))
    why = f"{name}: invocations were refused, as there was no room"
    yield _alarm(_Watched(f"{head}Throttled", why, "AWS/Lambda", "Throttles", of, "Sum", 0))


def _url_errors() -> _Watched:
    of: dict[str, Value] = {"FunctionName": Ref("RouterFunction")}
    return _Watched(
        "RouterUrlErrors", "the router's URL answered 5xx", "AWS/Lambda", "Url5xxCount", of, "Sum", 0
    )


def _of_apis(site: Site) -> Iterator[_Watched]:
    """The metric is 0 or 1 for each request, as that of functions is."""
    why = f"more than {_MOST_ERRORS:.0%} of the requests were answered 5xx"
    if fronts.has(site, "http"):
        http: dict[str, Value] = {"ApiId": Ref("HttpApi")}
        yield _Watched(
            "HttpErrors", f"HTTP API: {why}", "AWS/ApiGateway", "5xx", http, "Average", _MOST_ERRORS, 2
        )
    if fronts.has(site, "rest"):
        rest: dict[str, Value] = {"ApiName": site.names.prefix, "Stage": LIVE}
        yield _Watched(
            "RestErrors", f"REST API: {why}", "AWS/ApiGateway", "5XXError", rest, "Average", _MOST_ERRORS, 2
        )


def _of_jobs() -> Iterator[_Watched]:
    def of(queue: str) -> dict[str, Value]:
        return {"QueueName": Att(queue, "QueueName")}

    dead, waiting = of("JobsDeadLetters"), of("JobsQueue")
    visible, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    yield _Watched("JobsFailed", "jobs failed for good", "AWS/SQS", visible, dead, "Maximum", 0)
    yield _Watched("JobsLate", "a job has waited for an hour", "AWS/SQS", age, waiting, "Maximum", _OLD)


def _alarm(watched: _Watched) -> Resource:
    percentile = watched.statistic.startswith("p")
    return Resource(
        watched.logical_id,
        "AWS::CloudWatch::Alarm",
        {
            "AlarmDescription": watched.why,
            "Namespace": watched.namespace,
            "MetricName": watched.metric,
            "Dimensions": _dimensions(watched.dimensions),
            "Period": _FIVE_MINUTES,
            "ExtendedStatistic" if percentile else "Statistic": watched.statistic,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": watched.over,
            "EvaluationPeriods": watched.times,
            "TreatMissingData": "notBreaching",
            "AlarmActions": [Ref(TOPIC)],
        },
        PART,
        watched.why,
    )


def _dimensions(of: Mapping[str, Value]) -> list[Value]:
    return [{"Name": name, "Value": value} for name, value in of.items()]
