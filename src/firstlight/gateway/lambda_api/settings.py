"""Settings of functions: reserved and provisioned concurrency, and what becomes of Event invocations."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import Any

from firstlight.gateway.asgi import Answer, Call
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.lambda_api import describing, finding
from firstlight.gateway.lambda_api.errors import LambdaError
from firstlight.gateway.lambda_api.fields import Fields, page
from firstlight.gateway.lambda_api.names import FunctionName
from firstlight.gateway.lambda_api.reading import answer, nothing
from firstlight.invoke.types import LATEST, function_arn, pool_name
from firstlight.project.types import Asynchronous
from firstlight.runtime.errors import EndpointNotFound, InvalidInput
from firstlight.versions.types import Target

_FUNCTION = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:function:([a-zA-Z0-9_-]{1,64})(?::[a-zA-Z0-9$_-]+)?"
)


class Concurrency:
    """PutFunctionConcurrency to DeleteProvisionedConcurrencyConfig."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def reserve(self, call: Call) -> Answer:
        """PutFunctionConcurrency; 0 turns the function off."""
        entry = self._entry(call)
        count = (await Fields.of(call)).needed_whole("ReservedConcurrentExecutions", 0)
        finding.registry(self.gateway).reserve(entry.name, count)
        return answer({"ReservedConcurrentExecutions": count})

    async def reserved(self, call: Call) -> Answer:
        """GetFunctionConcurrency; empty where nothing is reserved."""
        count = finding.registry(self.gateway).reserved(self._entry(call).name)
        return answer({} if count is None else {"ReservedConcurrentExecutions": count})

    async def release(self, call: Call) -> Answer:
        """DeleteFunctionConcurrency."""
        finding.registry(self.gateway).reserve(self._entry(call).name, None)
        return nothing()

    async def provide(self, call: Call) -> Answer:
        """PutProvisionedConcurrencyConfig."""
        function = self._published(
            call, "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
        count = (await Fields.of(call)).needed_whole("ProvisionedConcurrentExecutions", 1)
        functions = finding.registry(self.gateway)
        await asyncio.to_thread(functions.provide, function.name, function.qualifier, count)
        started = {"Requested": count, "Available": 0, "Allocated": 0}
        return answer({**_counts(started), "Status": "IN_PROGRESS", "LastModified": _now()}, 202)

    async def provided(self, call: Call) -> Answer:
        """GetProvisionedConcurrencyConfig; with ``List=ALL`` ListProvisionedConcurrencyConfigs."""
        if call.query().get("List") == "ALL":
            return self._list(call)
        function = self._published(
            call, "The function resource provided must be an alias or a published version."
        )
        target = self._target(function)
        wanted = finding.registry(self.gateway).provisioned(function.name).get(function.qualifier)
        if wanted is None:
            raise LambdaError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function",
            )
        return answer(self._state(target, wanted))

    async def withdraw(self, call: Call) -> Answer:
        """DeleteProvisionedConcurrencyConfig; one that is not there is deleted already."""
        function = self._published(
            call, "The function resource provided must be an alias or a published version."
        )
        self._target(function)
        functions = finding.registry(self.gateway)
        await asyncio.to_thread(functions.provide, function.name, function.qualifier, None)
        return nothing()

    def _list(self, call: Call) -> Answer:
        entry = self._entry(call)
        functions = finding.registry(self.gateway)
        found = sorted(functions.provisioned(entry.name).items())
        items, more = page(found, call.query(), lambda item: item[0], most=50)
        configs = [
            {
                "FunctionArn": function_arn(entry.name, qualifier),
                **self._state(functions.resolve(entry.name, qualifier), wanted),
            }
            for qualifier, wanted in items
        ]
        return answer({"ProvisionedConcurrencyConfigs": configs, **more})

    def _state(self, target: Target, wanted: int) -> dict[str, Any]:
        """How far the pool is with it."""
        ask = getattr(self.gateway.invoker, "provisioned", None)
        state: dict[str, Any] = {"Requested": wanted, "Available": 0, "Allocated": 0}
        status, reason = "IN_PROGRESS", ""
        if ask is not None:
            try:
                now = ask(pool_name(target.endpoint, target.version))
            except EndpointNotFound:  # the pool has not heard of the version yet
                now = None
            if now is not None and now.requested:
                state.update(Available=min(now.available, wanted), Allocated=min(now.allocated, wanted))
                status, reason = now.status, now.reason
        told = {"StatusReason": reason} if reason else {}
        return {**_counts(state), "Status": status, **told, "LastModified": _now()}

    def _entry(self, call: Call) -> Entry:
        return finding.entry(self.gateway, finding.asked(call))

    def _published(self, call: Call, otherwise: str) -> FunctionName:
        function = finding.asked(call)
        if function.qualifier == LATEST:
            raise InvalidInput(otherwise)
        finding.entry(self.gateway, function)
        return function

    def _target(self, function: FunctionName) -> Target:
        """Where the qualifier leads; a missing alias has words of its own."""
        if not function.qualifier.isdecimal():
            finding.registry(self.gateway).alias(function.name, function.qualifier)
        return finding.target(self.gateway, function)


class Events:
    """PutFunctionEventInvokeConfig to DeleteFunctionEventInvokeConfig."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def put(self, call: Call) -> Answer:
        """PutFunctionEventInvokeConfig: what is left out goes back to its default."""
        function = self._asked(call)
        known = finding.registry(self.gateway).asynchronous(function.name, function.qualifier)
        # What Lambda has no member for stays as it is: the dead-letter queue and the backoff.
        fresh = replace(known, retries=2, max_age=21600.0, on_success=None, on_failure=None)
        return await self._set(call, function, fresh)

    async def update(self, call: Call) -> Answer:
        """UpdateFunctionEventInvokeConfig: what is left out stays as it is."""
        function = self._asked(call)
        return await self._set(call, function, self._known(function))

    async def get(self, call: Call) -> Answer:
        """GetFunctionEventInvokeConfig."""
        function = self._asked(call)
        return answer(describing.event_config(function.name, function.qualifier, self._known(function)))

    async def list(self, call: Call) -> Answer:
        """ListFunctionEventInvokeConfigs."""
        entry = finding.entry(self.gateway, finding.asked(call))
        found = sorted(self._all(entry.name).items())
        items, more = page(found, call.query(), lambda item: item[0], most=50)
        configs = [describing.event_config(entry.name, qualifier, value) for qualifier, value in items]
        return answer({"FunctionEventInvokeConfigs": configs, **more})

    async def delete(self, call: Call) -> Answer:
        """DeleteFunctionEventInvokeConfig: the project's words, if it has any, apply again."""
        function = self._asked(call)
        self._known(function)
        finding.registry(self.gateway).set_asynchronous(function.name, function.qualifier, None)
        return nothing()

    async def _set(self, call: Call, function: FunctionName, before: Asynchronous) -> Answer:
        fields = await Fields.of(call)
        retries = fields.whole("MaximumRetryAttempts", 0, 2)
        age = fields.whole("MaximumEventAgeInSeconds", 60, 21600)
        if retries is None and age is None and "DestinationConfig" not in fields:
            raise InvalidInput("You must specify at least one of error handling or destination setting.")
        value = replace(
            before,
            retries=before.retries if retries is None else retries,
            max_age=before.max_age if age is None else float(age),
        )
        if "DestinationConfig" in fields:
            value = self._with_destinations(function, value, fields.within("DestinationConfig"))
        finding.registry(self.gateway).set_asynchronous(function.name, function.qualifier, value)
        return answer(describing.event_config(function.name, function.qualifier, value))

    def _with_destinations(self, function: FunctionName, value: Asynchronous, fields: Fields) -> Asynchronous:
        success, failure = (
            fields.within(name).text("Destination", 350) or "" for name in ("OnSuccess", "OnFailure")
        )
        found = [self._destination(function, arn) for arn in (success, failure)]
        if None in found:
            raise InvalidInput(
                f"The provided destination config DestinationConfig({_shown('onSuccess', success)}, "
                f"{_shown('onFailure', failure)}) is invalid.",
            )
        return replace(value, on_success=found[0] or None, on_failure=found[1] or None)

    def _destination(self, function: FunctionName, arn: str) -> str | None:
        """The endpoint behind an ARN; empty for none, None for what is not a function's."""
        if not arn:
            return ""
        found = _FUNCTION.fullmatch(arn)
        if found is None:
            return None
        name = found[1]
        if name not in self.gateway.catalogue.entries:
            raise InvalidInput(f"The destination ARN {arn} is invalid.")
        if name == function.name:
            raise InvalidInput("You can't specify the function as a destination for itself.")
        return f"endpoint:{name}"

    def _asked(self, call: Call) -> FunctionName:
        """The function, whose qualifier has to exist."""
        function = finding.asked(call)
        try:
            finding.target(self.gateway, function)
        except EndpointNotFound:
            if call.scope["method"] in ("GET", "DELETE"):
                raise _no_config(function) from None
            raise EndpointNotFound("The function doesn't exist.") from None
        return function

    def _all(self, name: str) -> dict[str, Asynchronous]:
        """What was set, and what the project says where that is not what Lambda does anyway."""
        functions = finding.registry(self.gateway)
        known = dict(functions.asynchronous_set(name))
        own = functions.asynchronous(name, LATEST)
        return known if LATEST in known or own == Asynchronous() else {LATEST: own, **known}

    def _known(self, function: FunctionName) -> Asynchronous:
        found = self._all(function.name).get(function.qualifier)
        if found is None:
            raise _no_config(function)
        return found


def _no_config(function: FunctionName) -> EndpointNotFound:
    return EndpointNotFound(f"The function {function.with_qualifier} doesn't have an EventInvokeConfig")


def _shown(name: str, arn: str) -> str:
    kind = name[0].upper() + name[1:]
    return f"{name}={kind}(destination={arn})" if arn else f"{name}=null"


def _counts(state: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}ProvisionedConcurrentExecutions": value for name, value in state.items()}


def _now() -> str:
    return describing.modified(time.time())
