"""Environment variables of the functions: what they are told about the rest of the stack."""

from __future__ import annotations

import re
from collections.abc import Mapping

from firstlight.deploy.graph.functions import fits_environment
from firstlight.deploy.graph.site import Site
from firstlight.deploy.types import Ref, Value
from firstlight.project.names import ROUTER
from firstlight.project.types import Endpoint
from firstlight.runtime.errors import ProjectError

_REFERENCE = "secretsmanager:"
"""What a value begins with that is a secret's name, and the key in it if it has some."""
_PARTS_OF_ARN = 7
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_LAMBDA_S = (
    "_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME"
    " AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE"
    " AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID"
    " AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR"
)
_TAKEN = frozenset(_LAMBDA_S.split())
"""Variables that Lambda sets itself and lets nobody else set."""


def of_endpoint(site: Site, endpoint: Endpoint) -> dict[str, Value]:
    """Variables of an endpoint's function.

    Raises:
        ProjectError: they are more than Lambda takes, or one has a name that it does not take.
    """
    _check_names(endpoint)
    made: dict[str, Value] = {
        **site.artifacts[endpoint.name].environment,
        **_names(site),
        **_records(site),
        "FIRSTLIGHT_ENDPOINT": endpoint.name,
        "FIRSTLIGHT_RECORDS_STORE": site.project.records.store,
        **({"FIRSTLIGHT_CACHE": "/mnt/cache"} if site.cached else {}),
        **{name: resolved(value) for name, value in endpoint.env.items()},
    }
    if not fits_environment(made):
        raise ProjectError(
            f"the environment variables of {endpoint.name!r} are more than the 4,096 bytes that Lambda takes",
            "put long values into a file of the project, or into Secrets Manager",
        )
    return made


def of_router(site: Site) -> dict[str, Value]:
    """Variables of the router."""
    return {**of_jobs(site), **_records(site)}


def of_jobs(site: Site) -> dict[str, Value]:
    """Variables of the function that works off the jobs; the router's too, but for the records."""
    jobs: dict[str, Value] = {}
    if site.project.deployment.jobs:
        jobs = {"FIRSTLIGHT_JOBS_TABLE": Ref("JobsTable"), "FIRSTLIGHT_JOBS_QUEUE": Ref("JobsQueue")}
    return {**site.artifacts[ROUTER].environment, **_names(site), **jobs}


def _names(site: Site) -> dict[str, Value]:
    return {"FIRSTLIGHT_PROJECT": site.project.name, "FIRSTLIGHT_STAGE": site.names.stage or ""}


def _records(site: Site) -> dict[str, Value]:
    return {
        "FIRSTLIGHT_RECORDS_TABLE": Ref("RecordsTable"),
        "FIRSTLIGHT_RECORDS_DAYS": f"{site.project.records.max_age_days:g}",
    }


def resolved(value: str) -> str:
    """A value, or where CloudFormation reads it: ``secretsmanager:NAME[:KEY]`` becomes a dynamic reference."""
    if not value.startswith(_REFERENCE):
        return value
    secret, key = _secret(value.removeprefix(_REFERENCE))
    return f"{{{{resolve:secretsmanager:{secret}:SecretString{':' + key if key else ''}}}}}"


def secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names or ARNs of the secrets that variables are read from."""
    found = [
        _secret(value.removeprefix(_REFERENCE))[0]
        for value in environment.values()
        if value.startswith(_REFERENCE)
    ]
    return tuple(dict.fromkeys(found))


def _check_names(endpoint: Endpoint) -> None:
    for name in endpoint.env:
        if name in _TAKEN:
            raise ProjectError(
                f"endpoint {endpoint.name!r} sets {name}, which Lambda sets itself", "leave it out of env"
            )
        if not _NAME.fullmatch(name):
            raise ProjectError(
                f"endpoint {endpoint.name!r} sets {name}, a name that Lambda does not take",
                "two or more letters, digits and _, a letter first",
            )


def _secret(text: str) -> tuple[str, str]:
    parts = text.split(":")
    length = _PARTS_OF_ARN if parts[0] == "arn" else 1
    return ":".join(parts[:length]), ":".join(parts[length:])
