"""Which function, and which version of it, a request means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.gateway.asgi import Call
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.lambda_api import names
from firstlight.gateway.lambda_api.errors import LambdaError
from firstlight.gateway.lambda_api.names import NEWEST, FunctionName
from firstlight.invoke.types import LATEST
from firstlight.runtime.errors import EndpointNotFound, NotSupported
from firstlight.versions.types import Target

if TYPE_CHECKING:
    from firstlight.versions.registry import Registry


def asked(call: Call) -> FunctionName:
    """The function that the path and ``?Qualifier=`` of a request name; whether it is there is another matter.

    Raises:
        Violation: they name none.
        InvalidInput: the two name different qualifiers.
    """
    query = call.query()
    return names.parse(call.path_parameters["name"], query.get("Qualifier") if query else None)


def target(gateway: Gateway, function: FunctionName) -> Target:
    """Where an invocation of the function goes.

    Raises:
        EndpointNotFound: there is no such function, version or alias.
        LambdaError: the newest version is asked for and there is none.
    """
    name, qualifier = function.name, function.qualifier
    if name in gateway.catalogue.entries:
        if qualifier == LATEST:
            return Target(name)
        if gateway.functions is not None:
            if qualifier == NEWEST:
                return _newest(gateway.functions, function)
            try:
                return gateway.functions.resolve(name, qualifier)
            except EndpointNotFound:
                pass
    raise missing(gateway, function, function.with_qualifier)


def entry(gateway: Gateway, function: FunctionName) -> Entry:
    """The endpoint behind a function, whatever its qualifier.

    Raises:
        EndpointNotFound: there is none.
    """
    found = gateway.catalogue.entries.get(function.name)
    if found is None:
        raise missing(gateway, function, function.arn)
    return found


def missing(gateway: Gateway, function: FunctionName, arn: str) -> EndpointNotFound:
    """There is no such function; the hint says what there is."""
    if function.name in gateway.catalogue.entries:
        hint = f"{function.name} has no version or alias {function.qualifier}: `firstlight publish` makes one"
        return EndpointNotFound(f"Function not found: {arn}", hint)
    known = ", ".join(list(gateway.catalogue.entries)[:20])
    return EndpointNotFound(f"Function not found: {arn}", f"functions here: {known}")


def registry(gateway: Gateway) -> Registry:
    """What keeps versions, aliases and settings.

    Raises:
        NotSupported: nothing does.
    """
    if gateway.functions is None:
        raise NotSupported(
            "this server keeps no versions, aliases or settings of functions",
            "start it with a data folder it can write to",
        )
    return gateway.functions


def _newest(functions: Registry, function: FunctionName) -> Target:
    published = functions.versions(function.name)
    if not published:
        raise LambdaError(
            "NoPublishedVersionException", f"The function {function.plain} has no published version"
        )
    number = str(published[-1].number)
    return Target(function.name, number, number)
