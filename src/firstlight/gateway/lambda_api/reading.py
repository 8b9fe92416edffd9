"""Functions, their versions and their aliases: what tools ask for first, and what they change."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

from firstlight.gateway.asgi import Answer, Call, json_answer
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.lambda_api import describing, finding
from firstlight.gateway.lambda_api.errors import LambdaError, Violation, enum_violated, request_id, violated
from firstlight.gateway.lambda_api.fields import Fields, page
from firstlight.gateway.lambda_api.names import FunctionName
from firstlight.invoke.types import LATEST
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, InvalidInput, NotSupported
from firstlight.versions.types import Alias, Version

_ALIAS = re.compile(r"(?!^[0-9]+$)[a-zA-Z0-9-_]+", re.ASCII)
_ALIAS_PATTERN = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"
_VERSION = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[0-9]+", re.ASCII)
_VERSION_PATTERN = r"(\\$LATEST(\\.PUBLISHED)?|[0-9]+)"
_WEIGHTED = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
    "greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"
)
_WEIGHT = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value "
    "greater than or equal to 0.0, Member must not be null]"
)


def answer(value: Any, status: int = 200) -> Answer:
    """An answer of the control plane."""
    return json_answer(value, status, [request_id()])


def nothing() -> Answer:
    """The answer to what was deleted."""
    return Answer(204, b"", [request_id()])


class Functions:
    """ListFunctions to DeleteFunction."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def list_functions(self, call: Call) -> Answer:
        """ListFunctions; with ``FunctionVersion=ALL`` every version of them too."""
        query = call.query()
        asked = query.get("FunctionVersion")
        if asked not in (None, "ALL"):
            raise enum_violated(asked, "functionVersion", "[ALL]")
        found: list[dict[str, Any]] = []
        for entry in self.gateway.catalogue:
            found += self._versions(entry) if asked else [describing.latest(entry, self._published(entry))]
        items, more = page(found, query, lambda item: str(item["FunctionArn"]))
        return answer({"Functions": [describing.in_a_list(item) for item in items], **more})

    async def get_function(self, call: Call) -> Answer:
        """GetFunction."""
        function = finding.asked(call)
        configuration = self._configuration(function)
        reserved = self.gateway.functions.reserved(function.name) if self.gateway.functions else None
        concurrency = (
            {"Concurrency": {"ReservedConcurrentExecutions": reserved}} if reserved is not None else {}
        )
        image = f"firstlight.local/{function.name}@sha256:" + _hexadecimal(configuration["CodeSha256"])
        code = {"RepositoryType": "ECR", "ImageUri": image, "ResolvedImageUri": image}
        return answer({"Configuration": configuration, "Code": code, **concurrency})

    async def get_configuration(self, call: Call) -> Answer:
        """GetFunctionConfiguration."""
        return answer(self._configuration(finding.asked(call)))

    async def publish(self, call: Call) -> Answer:
        """PublishVersion."""
        entry = finding.entry(self.gateway, finding.asked(call))
        functions = finding.registry(self.gateway)
        fields = await Fields.of(call)
        made = await asyncio.to_thread(
            functions.publish,
            entry.name,
            fields.text("Description") or "",
            fields.text("CodeSha256"),
            fields.text("RevisionId"),
        )
        return answer(describing.version(entry, made), 201)

    async def list_versions(self, call: Call) -> Answer:
        """ListVersionsByFunction: ``$LATEST`` first."""
        entry = finding.entry(self.gateway, finding.asked(call))
        items, more = page(self._versions(entry), call.query(), lambda item: str(item["Version"]))
        return answer({"Versions": [describing.in_a_list(item) for item in items], **more})

    async def delete_function(self, call: Call) -> Answer:
        """DeleteFunction of a version. A function itself is the project's, and goes with its lines there."""
        function = finding.asked(call)
        entry = finding.entry(self.gateway, function)
        if not function.qualified:
            raise NotSupported(
                f"{entry.name} is an endpoint of the project, which this API does not change",
                "take it out of firstlight.toml, or its file out of inference/",
            )
        if function.qualifier == LATEST:
            raise InvalidInput("$LATEST version cannot be deleted without deleting the function.")
        if not function.qualifier.isdecimal():
            raise InvalidInput("Deletion of aliases is not currently supported.")
        functions = finding.registry(self.gateway)
        await asyncio.to_thread(functions.delete_version, entry.name, function.qualifier)
        return nothing()

    def _configuration(self, function: FunctionName) -> dict[str, Any]:
        entry = finding.entry(self.gateway, function)
        if function.qualifier == LATEST:
            named = LATEST if function.qualified else None
            return describing.latest(entry, self._published(entry), named)
        target = finding.target(self.gateway, function)
        functions = finding.registry(self.gateway)
        number = _leads_to(functions.aliases(entry.name), function.qualifier) or target.version
        if number == LATEST:
            return describing.latest(entry, self._published(entry), function.qualifier)
        return describing.version(entry, functions.version(entry.name, number), function.qualifier)

    def _versions(self, entry: Entry) -> list[dict[str, Any]]:
        made = _versions_of(self.gateway, entry)
        newest = describing.latest(entry, self._published(entry), LATEST)
        return [newest, *(describing.version(entry, one) for one in made)]

    def _published(self, entry: Entry) -> Version | None:
        """What publishing would keep; None where its files cannot be read, which publishing then says."""
        if self.gateway.functions is None:
            return None
        try:
            return self.gateway.functions.latest(entry.name)
        except FirstlightError:
            return None


class Aliases:
    """CreateAlias to DeleteAlias."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def create(self, call: Call) -> Answer:
        """CreateAlias."""
        entry = finding.entry(self.gateway, finding.asked(call))
        fields = await Fields.of(call)
        made = finding.registry(self.gateway).create_alias(
            Alias(
                entry.name,
                _alias_name(fields.needed("Name", 128)),
                _version_named(fields.needed("FunctionVersion", 1024)),
                _weights(fields),
                fields.text("Description") or "",
            )
        )
        return answer(describing.alias(made), 201)

    async def list(self, call: Call) -> Answer:
        """ListAliases, of one version where ``FunctionVersion`` names it."""
        entry = finding.entry(self.gateway, finding.asked(call))
        query = call.query()
        found = finding.registry(self.gateway).aliases(entry.name, query.get("FunctionVersion"))
        items, more = page(found, query, lambda item: item.name)
        return answer({"Aliases": [describing.alias(item) for item in items], **more})

    async def get(self, call: Call) -> Answer:
        """GetAlias."""
        return answer(describing.alias(self._asked(call)))

    async def update(self, call: Call) -> Answer:
        """UpdateAlias: members that are left out stay as they are; an empty RoutingConfig takes the weights away."""
        known = self._asked(call)
        fields = await Fields.of(call)
        revision = fields.text("RevisionId")
        if revision is not None and revision != known.revision_id:
            raise LambdaError(
                "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
                "retrieve the latest Revision Id",
            )
        description = fields.text("Description")
        changed = Alias(
            known.endpoint,
            known.name,
            _version_named(fields.text("FunctionVersion", 1024) or known.version),
            _weights(fields) if "RoutingConfig" in fields else known.weights,
            known.description if description is None else description,
        )
        return answer(describing.alias(finding.registry(self.gateway).update_alias(changed, revision)))

    async def delete(self, call: Call) -> Answer:
        """DeleteAlias; one that is not there is deleted already."""
        entry = finding.entry(self.gateway, finding.asked(call))
        finding.registry(self.gateway).delete_alias(entry.name, call.path_parameters["alias"])
        return nothing()

    def _asked(self, call: Call) -> Alias:
        entry = finding.entry(self.gateway, finding.asked(call))
        return finding.registry(self.gateway).alias(entry.name, _alias_name(call.path_parameters["alias"]))


def _versions_of(gateway: Gateway, entry: Entry) -> list[Version]:
    """Its published versions; none of an endpoint that cannot be started, which no registry knows."""
    try:
        return gateway.functions.versions(entry.name) if gateway.functions else []
    except EndpointNotFound:
        return []


def _alias_name(name: str) -> str:
    if not _ALIAS.fullmatch(name):
        constraint = f"Member must satisfy regular expression pattern: {_ALIAS_PATTERN}"
        raise Violation(violated(name, "name", constraint))
    return name


def _version_named(version: str) -> str:
    if not _VERSION.fullmatch(version):
        constraint = rf"Member must satisfy regular expression pattern: {_VERSION_PATTERN}"
        raise Violation(violated(version, "functionVersion", constraint))
    return version


def _weights(fields: Fields) -> dict[str, float]:
    weights = fields.within("RoutingConfig").numbers("AdditionalVersionWeights")
    for version, share in weights.items():
        constraint = ""
        if not (version.isascii() and version.isdecimal()):
            constraint = _WEIGHTED
        elif not 0.0 <= share <= 1.0:
            constraint = _WEIGHT
        if constraint:
            member = "routingConfig.additionalVersionWeights"
            raise Violation(violated(f"{{{version}={share}}}", member, constraint))
    return weights


def _leads_to(aliases: list[Alias], name: str) -> str | None:
    """The version an alias names first: what GetFunction describes, whatever its weights."""
    return next((alias.version for alias in aliases if alias.name == name), None)


def _hexadecimal(sha: str) -> str:
    return base64.b64decode(sha).hex()
