"""What a project says that AWS has no place for, or does otherwise: for the plan, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.project.types import Endpoint, Project

_WALLS = {"rest": 29, "http": 30}
"""Seconds after which an API stops waiting for a whole answer."""


def notes(project: Project) -> tuple[str, ...]:
    """What is worth knowing before agreeing to the stack of a project."""
    return (
        *_of_project(project),
        *(note for one in project.endpoints.values() for note in _of_endpoint(one)),
    )


def _of_project(project: Project) -> Iterator[str]:
    wishes = project.deployment
    if wishes.email:
        yield f"{wishes.email} gets a mail to confirm before anything is told"
    elif wishes.alarms:
        yield "nobody is told of alarms, as `email` is not set in [deploy]"
    if wishes.budget is not None:
        yield "the budget counts all that the account is billed, hours late, and not only this project"
    if wishes.cache != "none":
        yield "functions with a cache are in a network without a way out: they reach DynamoDB and S3 only"
    if wishes.share:
        yield "programs that use the share front send x-amz-content-sha256 with every POST, as its pages do"


def _of_endpoint(endpoint: Endpoint) -> Iterator[str]:
    name = endpoint.name
    wishes = endpoint.asynchronous
    for key, where in (("on_success", wishes.on_success), ("on_failure", wishes.on_failure)):
        if where is not None and not where.startswith("endpoint:"):
            yield f"{name}: {key} = {where!r} is for this machine; on AWS it is left out"
    if wishes.dead_letter is not None:
        yield f"{name}: dead_letter is for this machine; on AWS on_failure is told"
    if wishes.retries and wishes.backoff != 60:
        yield f"{name}: AWS waits 60 and 120 seconds before it tries again, whatever backoff says"
    wall = _WALLS.get(endpoint.front.kind)
    if endpoint.route and wall and endpoint.timeout > wall + 1 and not endpoint.front.stream:
        timeout = f"its timeout is {endpoint.timeout:g}"
        yield f"{name}: {endpoint.route} answers within {wall} seconds or not at all, and {timeout}"
    if any(value.startswith("secretsmanager:") for value in endpoint.env.values()):
        yield f"{name}: a secret is read when it is deployed, and again with the next change of the endpoint"
