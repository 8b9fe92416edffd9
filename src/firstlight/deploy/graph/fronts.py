"""HTTP in front of endpoints: which of their routes is which of AWS's fronts, and who may use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from firstlight.deploy.graph import http_api, rest_api
from firstlight.deploy.graph.site import Site, endpoint_id
from firstlight.deploy.graph.ways import IAM, OPEN, Way
from firstlight.deploy.types import Att, Output, Ref, Resource, Value
from firstlight.project.names import LIVE
from firstlight.project.types import Endpoint

PART = "fronts"
PUBLIC = "*"


@dataclass(frozen=True, slots=True)
class _Url:
    endpoint: Endpoint
    head: str
    authorization: str


def resources(site: Site) -> Iterator[Resource]:
    """Function URLs, the HTTP API and the REST API, as far as the project has them."""
    for url in _urls(site):
        yield from _function_url(url)
    yield from http_api.resources(site, _ways(site, "http"))
    yield from rest_api.resources(site, _ways(site, "rest"))


def outputs(site: Site) -> Iterator[Output]:
    """Where the fronts are."""
    for url in _urls(site):
        yield Output(
            f"{url.head}Url", Att(f"{url.head}Url", "FunctionUrl"), f"Function URL of {url.endpoint.name}"
        )
    yield from http_api.outputs(_ways(site, "http"))
    yield from rest_api.outputs(_ways(site, "rest"))


def has(site: Site, kind: str) -> bool:
    """Whether there is an API of a kind, ``rest`` or ``http``."""
    return bool(_ways(site, kind))


def authorization(site: Site, endpoint: Endpoint) -> str:
    """Who may use an endpoint's front: everybody only where the project says so twice."""
    if endpoint.front.auth == "none":
        return OPEN if site.project.deployment.public else IAM
    return IAM


def permissions(head: str, alias: str, part: str) -> Iterator[Resource]:
    """What lets everybody use a Function URL without authorisation: since 2025 AWS asks for both."""
    common: dict[str, Value] = {"FunctionName": Ref(alias), "Principal": PUBLIC}
    kind = "AWS::Lambda::Permission"
    yield Resource(
        f"{head}UrlOpen",
        kind,
        {**common, "Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
        part,
        "everybody may use the URL ([deploy] public = true)",
    )
    yield Resource(
        f"{head}UrlInvoke",
        kind,
        {**common, "Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
        part,
        "and so invoke the function, through its URL only",
    )


def _ways(site: Site, kind: str) -> tuple[Way, ...]:
    """The routes of one kind of API: those of endpoints, and the router's where it is asked for."""
    ways = [
        Way(
            path=endpoint.route,
            alias=endpoint_id(endpoint.name, "Alias"),
            authorization=OPEN if endpoint.front.auth == "key" else authorization(site, endpoint),
            key=endpoint.front.auth == "key",
            stream=endpoint.front.stream,
            name=endpoint.name,
        )
        for endpoint in site.endpoints
        if endpoint.route is not None and endpoint.front.kind == kind
    ]
    if site.project.deployment.api == kind:
        everybody = OPEN if site.project.deployment.public else IAM
        ways.append(Way(None, "RouterAlias", everybody, key=False, stream=kind == "rest", name="router"))
    return tuple(ways)


def _urls(site: Site) -> Iterator[_Url]:
    for endpoint in site.endpoints:
        if endpoint.front.kind == "url":
            yield _Url(endpoint, endpoint_id(endpoint.name), authorization(site, endpoint))


def _function_url(url: _Url) -> Iterator[Resource]:
    yield Resource(
        f"{url.head}Url",
        "AWS::Lambda::Url",
        {
            "TargetFunctionArn": Ref(f"{url.head}Function"),
            "Qualifier": LIVE,
            "AuthType": url.authorization,
            "InvokeMode": "RESPONSE_STREAM" if url.endpoint.front.stream else "BUFFERED",
        },
        PART,
        f"HTTP straight to {url.endpoint.name}, {'open to everybody' if url.authorization == OPEN else 'asks for IAM'}",
        after=(f"{url.head}Alias",),
    )
    if url.authorization == OPEN:
        yield from permissions(url.head, f"{url.head}Alias", PART)
