"""What a stack costs: in a month where nothing happens, and for a million invocations. List prices, no free tier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from firstlight.deploy import prices
from firstlight.deploy.graph.site import counted
from firstlight.deploy.types import Artifact, Cost, Resource, Stack

ASSUMED_MS = 100.0
"""Milliseconds of an invocation where nobody has measured it."""
ROUTER_MS = 10.0
"""What the router adds to the time it waits for an endpoint."""
_RATES = {
    "rate(7 days)": ("weekly pings", 365 / 12 / 7, 2.0),
    "rate(5 minutes)": ("looking after the jobs", 365 * 288 / 12, 0.1),
}
"""How often -> what it is, times a month, seconds an invocation: a cold start and an answer, or a few reads."""
_POLLS = 5 * 3 * 60 * 24 * 365 / 12
"""Lambda reads a queue with five pollers, each waiting 20 seconds for messages."""
_LOG_KB = 1.2
"""The JSON lines that Lambda writes of an invocation: start, report."""
_JOB_READS, _JOB_WRITES, _JOB_MESSAGES = 6, 7, 3
"""docs/jobs-store.md: 13 requests for a job with a small payload; a message is sent, received and deleted."""
_RECORD_WRITES = 2
"""docs/records-store.md: the item, and that of its index; texts of more than a kilobyte take more."""
_RECORD_GB = 1.0
"""A million records without texts, for a month."""
_MILLION = 1_000_000


_WAYS = (
    ("AWS::ApiGateway::RestApi", "the REST API", prices.REST_REQUEST, ""),
    ("AWS::ApiGatewayV2::Api", "the HTTP API", prices.HTTP_REQUEST, " of 512 KB"),
    ("AWS::CloudFront::Distribution", "CloudFront", prices.SHARE_REQUEST, "; traffic apart"),
)
"""Type of a front -> what it is called, what it charges."""


def idle(stack: Stack, artifacts: Iterable[Artifact] = ()) -> tuple[Cost, ...]:
    """A month where nothing happens.

    Args:
        artifacts: code of its functions, which is stored.
    """
    lines = (
        *_stored(artifacts),
        *_ready(stack),
        *_watched(stack),
        *_awake(stack),
    )
    return (*lines, Cost("functions, tables, log groups, roles, URLs and APIs", 0.0, "billed by use only"))


def per_million(stack: Stack, milliseconds: Mapping[str, float] | None = None) -> tuple[Cost, ...]:
    """A million invocations of each endpoint, and what comes on top.

    Args:
        milliseconds: endpoint -> billed milliseconds of one invocation, measured; 100 where it has none.
    """
    times = dict(milliseconds or {})
    names = _endpoints(stack)
    lines = [_invoked(function, times.get(name)) for name, function in names.items()]
    mean = sum(times.get(name, ASSUMED_MS) for name in names) / max(1, len(names))
    return (*lines, *_on_top(stack, mean))


def total(costs: Iterable[Cost]) -> float:
    """USD of all lines."""
    return sum(cost.usd for cost in costs)


def _stored(artifacts: Iterable[Artifact]) -> Iterator[Cost]:
    kept = list(artifacts)
    for kind, what, price in (
        ("image", "images in ECR, without their base", prices.IMAGE_STORAGE),
        ("zip", "zips in S3", prices.ZIP_STORAGE),
    ):
        size = sum(artifact.size for artifact in kept if artifact.kind == kind) / 1e9
        if size:
            yield Cost(
                what,
                size * price.usd,
                f"{size:.3f} GB x ${price.usd:.3f} a {price.unit}; more with each deployment",
            )


def _ready(stack: Stack) -> Iterator[Cost]:
    versions = _of_type(stack, "AWS::Lambda::Version")
    for name, function in _functions(stack).items():
        size = _gigabytes(function)
        count = sum(1 for version in versions if _refers(version, "FunctionName") == function.id)
        if "SnapStart" in function.properties:
            month = prices.SNAPSHOT.usd * prices.MONTH
            how = f"{count} x {size:.2f} GB x ${month:.2f} a GB-month; the one before is kept for going back"
            yield Cost(
                f"{counted(count, 'published version')} of {name} with SnapStart", count * size * month, how
            )
    for alias in _of_type(stack, "AWS::Lambda::Alias"):
        config: Any = alias.properties.get("ProvisionedConcurrencyConfig")
        if config:
            yield _provisioned(stack, alias, int(config["ProvisionedConcurrentExecutions"]))


def _provisioned(stack: Stack, alias: Resource, count: int) -> Cost:
    function = stack.resource(_refers(alias, "FunctionName"))
    price, size = prices.PROVISIONED[_architecture(function)], _gigabytes(function)
    how = f"{count} x {size:.2f} GB x 730 h x ${price.usd * 3600:.6f} a GB-hour"
    return Cost(
        f"{counted(count, 'provisioned worker')} of {function.part}",
        count * size * price.usd * prices.MONTH,
        how,
    )


def _watched(stack: Stack) -> Iterator[Cost]:
    metrics = len(_of_type(stack, "AWS::CloudWatch::Alarm"))
    if metrics:
        how = f"{metrics} x ${prices.ALARM.usd:.2f}; the first 10 of an account are free"
        yield Cost("alarms", metrics * prices.ALARM.usd, how)
    dashboards = len(_of_type(stack, "AWS::CloudWatch::Dashboard"))
    if dashboards:
        how = f"${prices.DASHBOARD.usd:.2f} each; the first 3 of an account are free"
        yield Cost("dashboard", dashboards * prices.DASHBOARD.usd, how)


def _awake(stack: Stack) -> Iterator[Cost]:
    if _of_type(stack, "AWS::Lambda::EventSourceMapping"):
        usd = _POLLS / _MILLION * prices.QUEUE_REQUEST.usd
        how = f"{_POLLS:,.0f} requests x ${prices.QUEUE_REQUEST.usd:.2f} a million; an account's first million is free"
        yield Cost("Lambda looking into the queue of jobs", usd, how)
    yield from _scheduled(stack)
    if _of_type(stack, "AWS::EFS::FileSystem") or _of_type(stack, "AWS::S3Files::FileSystem"):
        how = f"${prices.CACHE_STORAGE.usd:.2f} a GB-month of what is in it; empty here. No NAT gateway"
        yield Cost("cache", 0.0, how)


def _scheduled(stack: Stack) -> Iterator[Cost]:
    """Pings are cold starts; jobs are looked after by a function that stays warm."""
    schedules = _of_type(stack, "AWS::Scheduler::Schedule")
    for rate, (what, times, seconds) in _RATES.items():
        invoked = [
            _refers_function(stack, schedule)
            for schedule in schedules
            if schedule.properties["ScheduleExpression"] == rate
        ]
        if invoked:
            usd = sum(times * _compute(function, seconds * 1000) for function in invoked)
            how = f"{len(invoked)} x {times:,.0f} invocations of {seconds:g} s"
            yield Cost(what, usd, how)


def _invoked(function: Resource, measured: float | None) -> Cost:
    took = measured or ASSUMED_MS
    size, price = _gigabytes(function), prices.COMPUTE[_architecture(function)]
    records = _RECORD_WRITES * prices.RECORD_WRITE.usd + _RECORD_GB * prices.TABLE_STORAGE.usd
    logs = _LOG_KB * prices.LOG_INTAKE.usd
    usd = _MILLION * _compute(function, took) + records + logs
    how = (
        f"{took:g} ms {'measured' if measured else 'assumed'} x {size:.2f} GB x ${price.usd:.10f} a GB-second,"
        f" ${prices.REQUEST.usd:.2f} requests, ${records:.2f} records, ${logs:.2f} logs"
    )
    return Cost(f"1,000,000 invocations of {function.part}", usd, how)


def _on_top(stack: Stack, mean: float) -> Iterator[Cost]:
    router = _functions(stack).get("router")
    if router is not None:
        took = mean + ROUTER_MS
        usd = _MILLION * _compute(router, took) + _LOG_KB * prices.LOG_INTAKE.usd
        how = f"{took:g} ms x {_gigabytes(router):.2f} GB, ${prices.REQUEST.usd:.2f} requests, logs"
        yield Cost("on top, through the router", usd, how)
    for kind, way, price, more in _WAYS:
        if _of_type(stack, kind):
            yield Cost(f"on top, through {way}", price.usd, f"${price.usd:.2f} a {price.unit}{more}")
    if "JobsTable" in {resource.id for resource in stack.resources}:
        yield _jobs()


def _jobs() -> Cost:
    usd = (
        _JOB_WRITES * prices.RECORD_WRITE.usd
        + _JOB_READS * prices.RECORD_READ.usd
        + _JOB_MESSAGES * prices.QUEUE_REQUEST.usd
    )
    how = f"{_JOB_WRITES} writes, {_JOB_READS} reads, {_JOB_MESSAGES} messages each; the wait of its function apart"
    return Cost("on top, as jobs", usd, how)


def _compute(function: Resource, milliseconds: float) -> float:
    """USD of one invocation."""
    rate = prices.COMPUTE[_architecture(function)].usd
    return milliseconds / 1000 * _gigabytes(function) * rate + prices.REQUEST.usd / _MILLION


def _functions(stack: Stack) -> dict[str, Resource]:
    return {resource.part: resource for resource in _of_type(stack, "AWS::Lambda::Function")}


def _endpoints(stack: Stack) -> dict[str, Resource]:
    found = _functions(stack)
    return {
        name: function for name, function in found.items() if "FIRSTLIGHT_ENDPOINT" in _variables(function)
    }


def _variables(function: Resource) -> Mapping[str, Any]:
    environment: Any = function.properties.get("Environment", {})
    variables: Mapping[str, Any] = environment.get("Variables", {})
    return variables


def _of_type(stack: Stack, kind: str) -> list[Resource]:
    return [resource for resource in stack.resources if resource.type == kind]


def _gigabytes(function: Resource) -> float:
    memory: Any = function.properties["MemorySize"]
    return float(memory) / 1024


def _architecture(function: Resource) -> str:
    architectures: Any = function.properties["Architectures"]
    return str(architectures[0])


def _refers(resource: Resource, key: str) -> str:
    value: Any = resource.properties[key]
    return str(value.resource)


def _refers_function(stack: Stack, schedule: Resource) -> Resource:
    target: Any = schedule.properties["Target"]
    alias = stack.resource(target["Arn"].resource)
    return stack.resource(_refers(alias, "FunctionName"))
