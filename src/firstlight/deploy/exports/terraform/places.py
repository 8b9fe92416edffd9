"""Where things are in the project: names of resources, and references to them as expressions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from firstlight.deploy.exports.references import pieces
from firstlight.deploy.exports.terraform.hcl import Raw, Template
from firstlight.deploy.exports.terraform.words import KINDS, attribute, snake
from firstlight.deploy.types import Att, Ref, Resource, Stack, Sub
from firstlight.runtime.errors import NotSupported

_PSEUDO = {
    "AWS::Region": "data.aws_region.current.region",
    "AWS::AccountId": "data.aws_caller_identity.current.account_id",
    "AWS::Partition": "data.aws_partition.current.partition",
    "AWS::URLSuffix": "data.aws_partition.current.dns_suffix",
}
_SUFFIXES = {
    "AWS::ApiGateway::Deployment": r"Deployment[0-9a-f]{0,10}",
    "AWS::Logs::LogGroup": "Logs",
    "AWS::DynamoDB::Table": "Table",
    "AWS::SNS::TopicPolicy": "TopicPolicy|Policy",
    "AWS::Lambda::EventInvokeConfig": "Events",
    "AWS::SNS::Topic": "Topic",
}
_SECRET = re.compile(r"\{\{resolve:secretsmanager:([^:}]+)(?::SecretString(?::([^:}]+))?)?[^}]*\}\}")


class Places:
    """The resources of a stack by their logical ids.

    Args:
        stack: all that may be referred to.

    Raises:
        NotSupported: there is a type that has no counterpart here.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.secrets: dict[str, str] = {}
        self.there = {resource.id: resource for resource in stack.resources}
        self._names: dict[str, str] = {}
        taken: set[tuple[str, str]] = set()
        for resource in stack.resources:
            if resource.type == "AWS::Lambda::Version":
                continue
            if resource.type not in KINDS:
                said = f"{resource.type} has no counterpart in the export for Terraform"
                raise NotSupported(said, "export cloudformation or cdk instead")
            type_ = KINDS[resource.type].type
            name = snake(_short(resource))
            if (type_, name) in taken:
                name = snake(resource.id)
            taken.add((type_, name))
            self._names[resource.id] = name

    def name(self, resource: Resource) -> str:
        """What a resource is called."""
        return self._names[resource.id]

    def address(self, logical_id: str) -> str:
        """Type and name: ``aws_lambda_alias.qa``."""
        resource = self.there[logical_id]
        return f"{KINDS[resource.type].type}.{self._names[logical_id]}"

    def value(self, value: Any) -> Any:
        """A value of the graph with expressions for what it refers to."""
        if isinstance(value, (Ref, Att, Sub)):
            return self._template(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, Sequence):
            return [self.value(inner) for inner in value]
        return value

    def expression(self, found: Ref | Att) -> str:
        """What stands for something else."""
        if found.resource in _PSEUDO:
            return _PSEUDO[found.resource]
        resource = self.there[found.resource]
        name = found.name if isinstance(found, Att) else None
        if resource.type == "AWS::Lambda::Version" and name == "Version":
            function = resource.properties["FunctionName"]
            assert isinstance(function, Ref)  # noqa: S101  the graph has no other
            return f"{self.address(function.resource)}.version"
        return f"{self.address(found.resource)}.{attribute(resource.type, name)}"

    def _template(self, value: Ref | Att | Sub) -> Any:
        parts = pieces(value) if isinstance(value, Sub) else [value]
        found = tuple(piece for one in parts for piece in self._pieces(one))
        return found[0] if len(found) == 1 else Template(found)

    def _pieces(self, found: str | Ref | Att) -> tuple[str | Raw, ...]:
        if isinstance(found, str):
            return (found,)
        made = Raw(self.expression(found))
        if isinstance(found, Att) and found.name == "Arn" and self._is_log_group(found.resource):
            return made, ":*"  # CloudFormation's has it
        return (made,)

    def _is_log_group(self, logical_id: str) -> bool:
        return self.there[logical_id].type == "AWS::Logs::LogGroup"

    def _text(self, text: str) -> Any:
        """Text; a secret of Secrets Manager is looked up when Terraform runs."""
        found = _SECRET.fullmatch(text)
        if not found:
            return text
        name, key = found.groups()
        self.secrets[name] = place = snake(re.sub(r"[^A-Za-z0-9]+", "_", name)).strip("_")
        whole = f"data.aws_secretsmanager_secret_version.{place}.secret_string"
        return Raw(f'jsondecode({whole})["{key}"]' if key else whole)

    def _mapping(self, value: Mapping[str, Any]) -> Any:
        if set(value) == {"Fn::Select"}:
            number, source = value["Fn::Select"]
            return Raw(f"{self._source(source)}[{number}]")
        return {key: self.value(inner) for key, inner in value.items()}

    def _source(self, source: Mapping[str, Any]) -> str:
        if "Fn::Split" in source:
            by, what = source["Fn::Split"]
            return f'split("{by}", {self.expression(what)})'
        return "data.aws_availability_zones.available.names"


def _short(resource: Resource) -> str:
    """A logical id without the words that its type says anyway."""
    suffix = _SUFFIXES.get(resource.type) or resource.type.rpartition("::")[2]
    short = re.sub(f"(?:{suffix})$", "", resource.id)
    return short or resource.id
