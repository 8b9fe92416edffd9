"""What tools read besides functions: the account, function URLs, and settings that no local function has."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from firstlight.gateway.asgi import Answer, Call
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.lambda_api import describing, finding, names
from firstlight.gateway.lambda_api.errors import Violation, violated
from firstlight.gateway.lambda_api.fields import page
from firstlight.gateway.lambda_api.reading import answer
from firstlight.invoke.types import LATEST, function_arn
from firstlight.runtime.errors import EndpointNotFound, NotSupported

CONCURRENCY = 1000
"""Concurrent executions of an account (AWS Lambda quotas), which nothing here counts against."""

_URL_QUALIFIER = r"((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
_TAGGABLE = (
    r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:(function:[a-zA-Z0-9-_]+"
    r"(:(\\$LATEST|[a-zA-Z0-9-_]+))?|...)"
)


async def unknown(call: Call) -> Answer:
    """The answer to every other part of the API.

    Raises:
        NotSupported: always.
    """
    raise NotSupported(
        f"{call.scope['method']} {call.scope['path'][:200]} is not a part of the Lambda API that this server speaks",
        "docs/lambda-api.md lists what it speaks",
    )


class Account:
    """The routes that only read."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def settings(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """GetAccountSettings: AWS's defaults, and how many functions there are."""
        reserved = sum(self._reserved(entry) for entry in self.gateway.catalogue)
        limit = {
            "TotalCodeSize": 80_530_636_800,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": CONCURRENCY,
            "UnreservedConcurrentExecutions": max(0, CONCURRENCY - reserved),
        }
        usage = {"TotalCodeSize": 0, "FunctionCount": len(self.gateway.catalogue)}
        return answer({"AccountLimit": limit, "AccountUsage": usage})

    async def url(self, call: Call) -> Answer:
        """GetFunctionUrlConfig: the local path that serves the function as its URL would."""
        entry = self._entry_of_url(call)
        return answer(self._url_config(call, entry))

    async def urls(self, call: Call) -> Answer:
        """ListFunctionUrlConfigs."""
        entry = self._entry_of_url(call)
        items, more = page([entry], call.query(), lambda item: item.name, most=50)
        return answer({"FunctionUrlConfigs": [self._url_config(call, item) for item in items], **more})

    async def policy(self, call: Call) -> Answer:
        """GetPolicy: no local function has one."""
        finding.entry(self.gateway, finding.asked(call))
        raise EndpointNotFound("The resource you requested does not exist.")

    async def tags(self, call: Call) -> Answer:
        """ListTags: no local function has any."""
        arn = call.path_parameters["arn"]
        if not arn.startswith("arn:"):
            constraint = f"Member must satisfy regular expression pattern: {_TAGGABLE}"
            raise Violation(violated(arn, "resource", constraint))
        finding.entry(self.gateway, names.parse(arn))
        return answer({"Tags": {}})

    async def signing(self, call: Call) -> Answer:
        """GetFunctionCodeSigningConfig: none, which AWS says with an empty answer."""
        finding.entry(self.gateway, finding.asked(call))
        return answer({})

    async def recursion(self, call: Call) -> Answer:
        """GetFunctionRecursionConfig."""
        finding.entry(self.gateway, finding.asked(call))
        return answer({"RecursiveLoop": "Terminate"})

    async def updates(self, call: Call) -> Answer:
        """GetRuntimeManagementConfig."""
        function = finding.asked(call)
        finding.target(self.gateway, function)
        return answer({"UpdateRuntimeOn": "Auto", "FunctionArn": function.with_qualifier})

    async def mappings(self, call: Call) -> Answer:  # noqa: ARG002 - a handler's signature
        """ListEventSourceMappings: nothing is polled here."""
        return answer({"EventSourceMappings": []})

    async def layers(self, call: Call) -> Answer:
        """ListLayers: functions that are images have none."""
        if "find" in call.query():
            return await unknown(call)
        return answer({"Layers": []})

    def _reserved(self, entry: Entry) -> int:
        try:
            return (self.gateway.functions.reserved(entry.name) or 0) if self.gateway.functions else 0
        except EndpointNotFound:  # it cannot be started, so no registry knows it
            return 0

    def _entry_of_url(self, call: Call) -> Entry:
        function = finding.asked(call)
        if function.qualified and (function.qualifier == LATEST or function.qualifier.isdecimal()):
            constraint = f"Member must satisfy regular expression pattern: {_URL_QUALIFIER}"
            raise Violation(violated(function.qualifier, "qualifier", constraint))
        entry = self.gateway.catalogue.entries.get(function.name)
        if entry is None or function.qualified:
            raise EndpointNotFound("The resource you requested does not exist.")
        return entry

    def _url_config(self, call: Call, entry: Entry) -> dict[str, Any]:
        front = entry.endpoint.front
        host = call.header(b"host", "127.0.0.1")
        created = describing.latest(entry)["LastModified"]
        return {
            "FunctionUrl": f"{call.scope.get('scheme', 'http')}://{host}/lambda-url/{quote(entry.name)}/",
            "FunctionArn": function_arn(entry.name),
            "AuthType": "AWS_IAM" if front.kind == "url" and front.auth == "iam" else "NONE",
            "CreationTime": created,
            "LastModifiedTime": created,
            "InvokeMode": "RESPONSE_STREAM" if front.stream else "BUFFERED",
        }
