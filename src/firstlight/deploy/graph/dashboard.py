"""A dashboard: what the functions do, how long it takes, what it costs in memory and cold starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from firstlight.deploy.graph.site import Site
from firstlight.deploy.types import Output, Resource, Sub
from firstlight.project.names import LIVE, ROUTER

PART = "operations"
_WIDTH, _HEIGHT = 12, 6
_REPORTS = (
    'filter type = "platform.report"'
    " | stats count(*) as invocations, count(record.metrics.initDurationMs) as cold,"
    " pct(record.metrics.initDurationMs, 95) as init_p95, count(record.metrics.restoreDurationMs) as restored,"
    " pct(record.metrics.durationMs, 99) as p99, max(record.metrics.maxMemoryUsedMB) as memory_mb by @log"
)


def resources(site: Site) -> Iterator[Resource]:
    """The dashboard."""
    names = [site.names.function(endpoint.name) for endpoint in site.endpoints]
    everything = [*names, site.names.function(ROUTER)]
    widgets = [
        _metrics("Invocations", [["AWS/Lambda", "Invocations", "FunctionName", name] for name in everything]),
        _metrics("Errors and throttles", _pairs(everything, ("Errors", "Throttles"))),
        _metrics("Duration, ms", _durations(names)),
        _metrics("Workers at once", _workers(everything), "Maximum"),
        *([_metrics("Jobs", _jobs(), "Maximum")] if site.project.deployment.jobs else []),
        _reports(everything),
    ]
    placed = [
        {**widget, "x": at % 2 * _WIDTH, "y": at // 2 * _HEIGHT, "width": _WIDTH, "height": _HEIGHT}
        for at, widget in enumerate(widgets)
    ]
    yield Resource(
        "Dashboard",
        "AWS::CloudWatch::Dashboard",
        {
            "DashboardName": site.names.stack,
            "DashboardBody": Sub(json.dumps({"widgets": placed}, separators=(",", ":"))),
        },
        PART,
        "invocations, errors, durations, workers, jobs, cold starts",
    )


def outputs(site: Site) -> Iterator[Output]:
    """Where to look."""
    url = "https://console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}#dashboards/dashboard"
    yield Output("DashboardUrl", Sub(f"{url}/{site.names.stack}"), "dashboard")


def _pairs(names: Sequence[str], metrics: Sequence[str]) -> list[list[object]]:
    return [["AWS/Lambda", metric, "FunctionName", name] for name in names for metric in metrics]


def _durations(names: Sequence[str]) -> list[list[object]]:
    return [
        ["AWS/Lambda", "Duration", "FunctionName", name, {"stat": stat, "label": f"{name} {stat}"}]
        for name in names
        for stat in ("p50", "p95", "p99")
    ]


def _workers(names: Sequence[str]) -> list[list[object]]:
    return [["AWS/Lambda", "ConcurrentExecutions", "FunctionName", name] for name in names]


def _jobs() -> list[list[object]]:
    waiting, dead = "${JobsQueue.QueueName}", "${JobsDeadLetters.QueueName}"
    return [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", waiting, {"label": "waiting"}],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", dead, {"label": "failed"}],
        [
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            "QueueName",
            waiting,
            {"label": "oldest, s", "yAxis": "right"},
        ],
    ]


def _metrics(title: str, metrics: Sequence[Sequence[object]], stat: str = "Sum") -> dict[str, object]:
    return {
        "type": "metric",
        "properties": {
            "title": title,
            "region": "${AWS::Region}",
            "stat": stat,
            "period": 300,
            "metrics": metrics,
        },
    }


def _reports(names: Sequence[str]) -> dict[str, object]:
    """From the lines that Lambda itself logs; asking is billed by what is read ($0.005 a GB)."""
    sources = " | ".join(f"SOURCE '/aws/lambda/{name}'" for name in names)
    return {
        "type": "log",
        "properties": {
            "title": f"Cold starts and memory, alias {LIVE} and others",
            "region": "${AWS::Region}",
            "view": "table",
            "query": f"{sources} | {_REPORTS}",
        },
    }
