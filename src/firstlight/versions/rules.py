"""What AWS Lambda refuses about versions, aliases and concurrency, in its words."""

from __future__ import annotations

import math
import re

from firstlight.invoke.types import LATEST, function_arn
from firstlight.project.types import Asynchronous
from firstlight.runtime.errors import Conflict, EndpointNotFound, InvalidInput
from firstlight.versions.state import Function
from firstlight.versions.types import Alias

_ALIAS = re.compile(r"(?!^[0-9]+$)[a-zA-Z0-9-_]{1,128}")
MOST_WEIGHTS = 1


def not_found(endpoint: str, qualifier: str = LATEST, hint: str = "") -> EndpointNotFound:
    """There is no such function, version or alias."""
    return EndpointNotFound(f"Function not found: {function_arn(endpoint, qualifier)}", hint)


def alias_not_found(endpoint: str, name: str) -> EndpointNotFound:
    """There is no such alias."""
    return EndpointNotFound(
        f"Cannot find alias arn: {function_arn(endpoint, name)}",
        "`firstlight alias list` shows those there are",
    )


def is_version(qualifier: str) -> bool:
    """Whether a qualifier is the number of a version."""
    return qualifier.isascii() and qualifier.isdecimal()


def check_alias(alias: Alias, function: Function) -> None:
    """Whether an alias may be as it is asked for.

    Raises:
        InvalidInput: its name, version or weights are not what Lambda takes.
        EndpointNotFound: a version is not there.
    """
    if not _ALIAS.fullmatch(alias.name):
        raise InvalidInput(
            f"Value '{alias.name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression "
            "pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
            "letters, digits, - and _, at most 128, and not a number",
        )
    _check_version(alias.endpoint, alias.version, function)
    if len(alias.weights) > MOST_WEIGHTS:
        raise InvalidInput("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for version, share in alias.weights.items():
        _check_weight(alias, version, share)
        _check_version(alias.endpoint, version, function)


def _check_weight(alias: Alias, version: str, share: float) -> None:
    if not (math.isfinite(share) and 0.0 <= share <= 1.0):
        raise InvalidInput(
            f"Value '{{{version}={share}}}' at 'routingConfig.additionalVersionWeights' failed to satisfy constraint: "
            "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have "
            "value greater than or equal to 0.0, Member must not be null]"
        )
    if LATEST in (alias.version, version):
        raise InvalidInput("$LATEST is not supported for an alias pointing to more than 1 version")
    if version == alias.version:
        raise InvalidInput(
            f"Invalid function version {version}. Function version {version} is already included in routing "
            "configuration."
        )


def _check_version(endpoint: str, version: str, function: Function) -> None:
    if version != LATEST and version not in function.versions:
        raise not_found(endpoint, version, "`firstlight publish` makes a version")


def check_unused(endpoint: str, number: str, function: Function) -> None:
    """Whether a version may be deleted.

    Raises:
        Conflict: an alias leads to it.
    """
    names = [name for name, alias in function.aliases.items() if number in function.weights(alias)]
    if names:
        raise Conflict(
            f"Unable to delete version because the following aliases reference it: [{', '.join(sorted(names))}]",
            f"point them elsewhere first: `firstlight alias set {endpoint} {names[0]} --version ...`",
        )


def check_provided(endpoint: str, qualifier: str, count: int, function: Function) -> None:
    """Whether workers may be kept ready for a version or an alias.

    Raises:
        InvalidInput: not for what is not published, and not more than are reserved.
        Conflict: those of the version are kept ready already, by its number or by an alias.
        EndpointNotFound: there is no such version or alias.
    """
    unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    if qualifier == LATEST:
        raise InvalidInput(
            unpublished, "publish a version, or set `provisioned` of the endpoint in the project"
        )
    if count < 1:
        raise InvalidInput(
            f"Value '{count}' at 'provisionedConcurrentExecutions' failed to satisfy constraint: Member must have "
            "value greater than or equal to 1"
        )
    alias = function.aliases.get(qualifier)
    if alias is None:
        _check_version(endpoint, qualifier, function)
        pointing = [a for a in function.aliases.values() if qualifier in function.weights(a)]
        if any(a.name in function.provisioned for a in pointing):
            raise Conflict("Version is pointed by a Provisioned Concurrency alias")
        led_to = [qualifier]
    else:
        led_to = list(function.weights(alias))
        if LATEST in led_to:
            raise InvalidInput(unpublished, "point the alias at a published version")
        if any(version in function.provisioned for version in led_to):
            raise Conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
    if any(function.versions[version].snap_start for version in led_to):
        raise InvalidInput(
            "Provisioned Concurrency is not supported for functions with SnapStart enabled.",
            "publish the version without SnapStart, or start its workers from the snapshot alone",
        )
    total = count + sum(kept for name, kept in function.provisioned.items() if name != qualifier)
    if function.reserved is not None and total > function.reserved:
        raise InvalidInput(
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
        )


def check_reserved(count: int, function: Function) -> None:
    """Whether a function's concurrency may be limited to this many.

    Raises:
        InvalidInput: less than none, or fewer than are kept ready.
    """
    if count < 0:
        raise InvalidInput(
            f"Value '{count}' at 'reservedConcurrentExecutions' failed to satisfy constraint: Member must have value "
            "greater than or equal to 0"
        )
    total = sum(function.provisioned.values())
    if count < total:
        raise InvalidInput(
            f"ReservedConcurrentExecutions  {count} should not be lower than function's total provisioned concurrency "
            f"[{total}]."
        )


def check_asynchronous(endpoint: str, qualifier: str, value: Asynchronous, function: Function) -> None:
    """Whether Event invocations may be treated so.

    Raises:
        InvalidInput: retries or age beyond what Lambda takes.
        EndpointNotFound: there is no such version or alias.
    """
    if not 0 <= value.retries <= 2:
        raise InvalidInput(f"MaximumRetryAttempts is {value.retries}, and has to be 0 to 2")
    if not 60 <= value.max_age <= 21600:
        raise InvalidInput(f"MaximumEventAgeInSeconds is {value.max_age}, and has to be 60 to 21600")
    if qualifier not in function.aliases:
        _check_version(endpoint, qualifier, function)
