"""The function of each endpoint, and what becomes of its Event invocations."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph import cache, records
from firstlight.deploy.graph.environment import of_endpoint
from firstlight.deploy.graph.functions import Wanted, function
from firstlight.deploy.graph.rights import allow
from firstlight.deploy.graph.site import Site, counted, endpoint_id
from firstlight.deploy.types import Ref, Resource, Sub, Value
from firstlight.project.names import LIVE
from firstlight.project.types import Endpoint

_ENDPOINT = "endpoint:"


def resources(site: Site) -> Iterator[Resource]:
    """The resources of all endpoints."""
    for endpoint in site.endpoints:
        yield from _endpoint(site, endpoint)


def alias_arn(site: Site, name: str) -> Sub:
    """The ARN of an endpoint's alias, without referring to it: two endpoints may lead to each other."""
    function_arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function"
    return Sub(f"{function_arn}:{site.names.function(name)}:{LIVE}")


def aliases(site: Site) -> tuple[Ref, ...]:
    """The aliases of all endpoints: their ARNs."""
    return tuple(Ref(endpoint_id(endpoint.name, "Alias")) for endpoint in site.endpoints)


def destinations(endpoint: Endpoint) -> dict[str, str]:
    """What becomes of an event (``OnSuccess``, ``OnFailure``) -> the endpoint it goes to."""
    asked = {"OnSuccess": endpoint.asynchronous.on_success, "OnFailure": endpoint.asynchronous.on_failure}
    return {
        what: where.removeprefix(_ENDPOINT)
        for what, where in asked.items()
        if where is not None and where.startswith(_ENDPOINT)
    }


def _endpoint(site: Site, endpoint: Endpoint) -> Iterator[Resource]:
    granted = site.granted.get(endpoint.name)
    going = tuple(dict.fromkeys(destinations(endpoint).values()))
    calling = [allow(("lambda:InvokeFunction",), [alias_arn(site, name) for name in going])] if going else []
    head, name = endpoint_id(endpoint.name), site.names.function(endpoint.name)
    files = cache.rights(site, name) if site.cached else []
    yield from function(
        site,
        Wanted(
            part=endpoint.name,
            head=head,
            name=name,
            description=f"endpoint {endpoint.name} of {site.names.prefix}",
            artifact=site.artifacts[endpoint.name],
            memory=endpoint.memory,
            timeout=endpoint.timeout,
            environment=of_endpoint(site, endpoint),
            rights={"records": records.writing(endpoint.name), "destinations": calling, "cache": files},
            reserved=granted if endpoint.reserved is not None else None,
            provisioned=0 if granted is None else min(endpoint.provisioned, granted),
            snap_start=endpoint.snap_start,
            extra=cache.of_functions(site) if site.cached else {},
            after=cache.needed() if site.cached else (),
        ),
    )
    yield _events(site, endpoint, head)


def _told(endpoint: Endpoint) -> str:
    wishes, going = endpoint.asynchronous, destinations(endpoint)
    then = "".join(f", {what} to {name}" for what, name in going.items())
    again = counted(wishes.retries, "retry", "retries")
    return f"events that nobody waits for: {again} within {int(wishes.max_age):,} s{then}"


def _events(site: Site, endpoint: Endpoint, head: str) -> Resource:
    wishes = endpoint.asynchronous
    properties: dict[str, Value] = {
        "FunctionName": Ref(f"{head}Function"),
        "Qualifier": LIVE,
        "MaximumRetryAttempts": wishes.retries,
        "MaximumEventAgeInSeconds": int(wishes.max_age),
    }
    going = destinations(endpoint)
    if going:
        properties["DestinationConfig"] = {
            what: {"Destination": alias_arn(site, name)} for what, name in going.items()
        }
    return Resource(
        f"{head}Events",
        "AWS::Lambda::EventInvokeConfig",
        properties,
        endpoint.name,
        _told(endpoint),
        after=(f"{head}Alias", *(endpoint_id(name, "Alias") for name in dict.fromkeys(going.values()))),
    )
