"""A REST API: 29 seconds, or 15 minutes where answers travel as they are made; API keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from firstlight.deploy.cloudformation import plain
from firstlight.deploy.graph.site import Site
from firstlight.deploy.graph.ways import BURST, RATE, Way, pattern_of, permission, who
from firstlight.deploy.types import Att, Output, Ref, Resource, Sub, Value
from firstlight.gateway.fronts.media import BINARY
from firstlight.project.names import LIVE, logical

PART = "rest api"
API = "RestApi"
_REST = ("{proxy+}",)
_STREAM_MS = 900_000
_TARGET = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path"


def resources(site: Site, ways: Sequence[Way]) -> Iterator[Resource]:
    """The API with its routes; nothing where there are none."""
    if not ways:
        return
    api = Resource(
        API,
        "AWS::ApiGateway::RestApi",
        {
            "Name": site.names.prefix,
            "EndpointConfiguration": {"Types": ["REGIONAL"]},
            "BinaryMediaTypes": list(BINARY),
        },
        PART,
        "REST API, of this region",
    )
    yield api
    yield from _tree(ways)
    methods = tuple(method for way in ways for method in _methods(way))
    yield from methods
    yield from (made for way in ways for made in _permissions(way))
    deployment = _deployment(api, methods)
    yield deployment
    yield _stage(deployment)
    if any(way.key for way in ways):
        yield from _keys(site)


def outputs(ways: Sequence[Way]) -> Iterator[Output]:
    """Where the API is, and which key it asks for."""
    if not ways:
        return
    url = Sub(f"https://${{{API}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{LIVE}")
    yield Output("RestApiUrl", url, f"REST API: {', '.join(way.path or '/' for way in ways)}")
    if any(way.key for way in ways):
        yield Output(
            "RestApiKey", Ref("RestKey"), "id of the API key: aws apigateway get-api-key --include-value"
        )


def _tree(ways: Sequence[Way]) -> Iterator[Resource]:
    """A resource for each part of each path, once."""
    made: dict[tuple[str, ...], str] = {}
    for way in ways:
        parts = _parts(way)
        for depth in range(1, len(parts) + 1):
            above, here = parts[: depth - 1], parts[:depth]
            if here in made:
                continue
            made[here] = _id(here)
            yield Resource(
                made[here],
                "AWS::ApiGateway::Resource",
                {
                    "RestApiId": Ref(API),
                    "ParentId": Ref(made[above]) if above else Att(API, "RootResourceId"),
                    "PathPart": here[-1],
                },
                PART,
                f"the path /{'/'.join(here)}",
            )


def _methods(way: Way) -> Iterator[Resource]:
    parts = _parts(way)
    if parts:
        yield _method(way, f"{_id(parts)}Any", Ref(_id(parts)))
    if way.path is None:
        yield _method(way, "RestRootAny", Att(API, "RootResourceId"))


def _method(way: Way, logical_id: str, resource: Ref | Att) -> Resource:
    call = (
        "2021-11-15/functions/%s/response-streaming-invocations"
        if way.stream
        else "2015-03-31/functions/%s/invocations"
    )
    integration: dict[str, Value] = {
        "Type": "AWS_PROXY",
        "IntegrationHttpMethod": "POST",
        "Uri": Sub(f"{_TARGET}/{call % ('${' + way.alias + '}')}"),
    }
    if way.stream:
        integration |= {"ResponseTransferMode": "STREAM", "TimeoutInMillis": _STREAM_MS}
    wall = "up to 15 minutes, streams" if way.stream else "up to 29 s"
    return Resource(
        logical_id,
        "AWS::ApiGateway::Method",
        {
            "RestApiId": Ref(API),
            "ResourceId": resource,
            "HttpMethod": "ANY",
            "AuthorizationType": way.authorization,
            "ApiKeyRequired": way.key,
            "Integration": integration,
        },
        PART,
        f"{way.path or 'all other paths'}: {way.name}, {who(way)}, {wall}",
    )


def _permissions(way: Way) -> Iterator[Resource]:
    if way.path is None:
        yield permission("RestDefaultPermission", way, API, "*", PART)
    else:
        yield permission(f"{_id(_parts(way))}Permission", way, API, f"*/*{pattern_of(way.path)}", PART)


def _deployment(api: Resource, methods: Sequence[Resource]) -> Resource:
    """A deployment is what the API was when it was made: another API is another deployment."""
    text = json.dumps([[method.id, plain(method.properties)] for method in (api, *methods)], sort_keys=True)
    return Resource(
        f"RestDeployment{hashlib.sha256(text.encode()).hexdigest()[:10]}",
        "AWS::ApiGateway::Deployment",
        {"RestApiId": Ref(API)},
        PART,
        "the routes as they are now",
        after=tuple(method.id for method in methods),
    )


def _stage(deployment: Resource) -> Resource:
    return Resource(
        "RestStage",
        "AWS::ApiGateway::Stage",
        {
            "RestApiId": Ref(API),
            "DeploymentId": Ref(deployment.id),
            "StageName": LIVE,
            "MethodSettings": [
                {
                    "HttpMethod": "*",
                    "ResourcePath": "/*",
                    "ThrottlingRateLimit": RATE,
                    "ThrottlingBurstLimit": BURST,
                },
            ],
        },
        PART,
        f"{RATE} requests a second at most",
    )


def _keys(site: Site) -> Iterator[Resource]:
    yield Resource(
        "RestKey",
        "AWS::ApiGateway::ApiKey",
        {"Name": site.names.prefix, "Enabled": True},
        PART,
        "the key that callers send as x-api-key",
        after=("RestStage",),
    )
    throttle: Mapping[str, Value] = {"RateLimit": RATE, "BurstLimit": BURST}
    yield Resource(
        "RestUsagePlan",
        "AWS::ApiGateway::UsagePlan",
        {
            "UsagePlanName": site.names.prefix,
            "ApiStages": [{"ApiId": Ref(API), "Stage": Ref("RestStage")}],
            "Throttle": throttle,
        },
        PART,
        "what the key is good for",
    )
    yield Resource(
        "RestUsagePlanKey",
        "AWS::ApiGateway::UsagePlanKey",
        {"KeyId": Ref("RestKey"), "KeyType": "API_KEY", "UsagePlanId": Ref("RestUsagePlan")},
        PART,
        "the key belongs to the plan",
    )


def _parts(way: Way) -> tuple[str, ...]:
    return _REST if way.path is None else tuple(part for part in way.path.split("/") if part)


def _id(parts: Sequence[str]) -> str:
    return "RestPath" + logical(*parts)
