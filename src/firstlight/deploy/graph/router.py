"""The router: the gateway as a function, in front of every endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.deploy.graph import jobs, records
from firstlight.deploy.graph.endpoints import aliases
from firstlight.deploy.graph.environment import of_router
from firstlight.deploy.graph.functions import LONGEST, Wanted, function
from firstlight.deploy.graph.rights import allow
from firstlight.deploy.graph.site import Site
from firstlight.deploy.types import Att, Output, Ref, Resource
from firstlight.project.names import LIVE, ROUTER

MEMORY = 512
ALIAS = "RouterAlias"
URL = "RouterUrl"


def resources(site: Site) -> Iterator[Resource]:
    """The router and its Function URL."""
    rights = {
        "invoking": [allow(("lambda:InvokeFunction",), aliases(site))],
        "records": records.reading(),
        "jobs": jobs.putting() if site.project.deployment.jobs else [],
    }
    yield from function(
        site,
        Wanted(
            part=ROUTER,
            head="Router",
            name=site.names.function(ROUTER),
            description=f"gateway of {site.names.prefix}",
            artifact=site.artifacts[ROUTER],
            memory=MEMORY,
            timeout=LONGEST,
            environment=of_router(site),
            rights=rights,
        ),
    )
    yield Resource(
        URL,
        "AWS::Lambda::Url",
        {
            "TargetFunctionArn": Ref("RouterFunction"),
            "Qualifier": LIVE,
            "AuthType": "AWS_IAM",
            "InvokeMode": "RESPONSE_STREAM",
        },
        ROUTER,
        "every route, for callers who sign with AWS credentials (IAM); answers travel as they are made",
        after=(ALIAS,),
    )


def outputs() -> Iterator[Output]:
    """Where the router is."""
    yield Output("RouterUrl", Att(URL, "FunctionUrl"), "every route, signed with SigV4 of the service lambda")
    yield Output("RouterAlias", Ref(ALIAS), "the router's alias")
