"""An HTTP API: cheap, up to 30 seconds, whole answers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from firstlight.deploy.graph.functions import log_group
from firstlight.deploy.graph.site import Site
from firstlight.deploy.graph.ways import BURST, RATE, Way, pattern_of, permission, who
from firstlight.deploy.types import Att, Output, Ref, Resource, Sub
from firstlight.project.names import logical

PART = "http api"
API = "HttpApi"
_WALL_MS = 30_000
_LOGGED = {
    "requestId": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "time": "$context.requestTimeEpoch",
    "route": "$context.routeKey",
    "status": "$context.status",
    "milliseconds": "$context.responseLatency",
    "bytes": "$context.responseLength",
    "error": "$context.integrationErrorMessage",
}


def resources(site: Site, ways: Sequence[Way]) -> Iterator[Resource]:
    """The API with its routes; nothing where there are none."""
    if not ways:
        return
    yield Resource(
        API,
        "AWS::ApiGatewayV2::Api",
        {"Name": site.names.prefix, "ProtocolType": "HTTP"},
        PART,
        "HTTP API: up to 30 s, whole answers",
    )
    yield log_group("HttpApiLogs", f"/aws/vendedlogs/{site.names.stack}-http", site, PART)
    yield _stage()
    for way in ways:
        yield from _route(way)


def outputs(ways: Sequence[Way]) -> Iterator[Output]:
    """Where the API is."""
    if ways:
        yield Output(
            "HttpApiUrl", Att(API, "ApiEndpoint"), f"HTTP API: {', '.join(way.path or '/' for way in ways)}"
        )


def _stage() -> Resource:
    lines = ",".join(f'"{name}":"{value}"' for name, value in _LOGGED.items())
    return Resource(
        "HttpApiStage",
        "AWS::ApiGatewayV2::Stage",
        {
            "ApiId": Ref(API),
            "StageName": "$default",
            "AutoDeploy": True,
            "DefaultRouteSettings": {"ThrottlingRateLimit": RATE, "ThrottlingBurstLimit": BURST},
            "AccessLogSettings": {"DestinationArn": Att("HttpApiLogs", "Arn"), "Format": "{" + lines + "}"},
        },
        PART,
        f"{RATE} requests a second at most, each in the log",
    )


def _route(way: Way) -> Iterator[Resource]:
    head = "HttpPath" + logical(*_words(way.path)) if way.path else "HttpDefault"
    yield Resource(
        f"{head}Integration",
        "AWS::ApiGatewayV2::Integration",
        {
            "ApiId": Ref(API),
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": Ref(way.alias),
            "PayloadFormatVersion": "2.0",
            "TimeoutInMillis": _WALL_MS,
        },
        PART,
        f"leads to {way.name}",
    )
    yield Resource(
        f"{head}Route",
        "AWS::ApiGatewayV2::Route",
        {
            "ApiId": Ref(API),
            "RouteKey": f"ANY {way.path}" if way.path else "$default",
            "AuthorizationType": way.authorization,
            "Target": Sub(f"integrations/${{{head}Integration}}"),
        },
        PART,
        f"{way.path or 'all other paths'}: {way.name}, {who(way)}",
    )
    pattern = f"*/*{pattern_of(way.path)}" if way.path else "*/$default"
    yield permission(f"{head}Permission", way, API, pattern, PART)


def _words(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
