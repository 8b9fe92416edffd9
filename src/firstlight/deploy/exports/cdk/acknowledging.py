"""What cdk-nag finds in a stack that is meant to be so, each with the reason.

The rules are those of its pack AwsSolutions, as release 3.0.2 applies them. What would have a cost while nothing
happens, or belongs to an account rather than to a project, is left to the owner and said so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstlight.deploy.exports.references import pieces
from firstlight.deploy.types import Att, Ref, Resource, Sub

_PACK = "AwsSolutions::AwsSolutions-"


def findings(resource: Resource) -> Iterator[tuple[str, str]]:
    """The findings that a resource has and keeps: id, reason."""
    for rule, reason in (*_plain(resource), *_wildcards(resource)):
        yield _PACK + rule, reason


def _plain(resource: Resource) -> Iterator[tuple[str, str]]:
    """Findings that depend on a resource's type, unless it has what the rule asks for."""
    for rule, (without, reason) in _RULES.get(resource.type, {}).items():
        if not _has(resource.properties, without):
            yield rule, reason
    if _open(resource):
        yield "APIG4", "Open to everybody on purpose: [deploy] public = true asks for it."


def _has(given: Any, way: str) -> bool:
    for name in filter(None, way.split(".")):
        if not isinstance(given, Mapping) or name not in given:
            return False
        given = given[name]
    return bool(way)


def _open(resource: Resource) -> bool:
    """Whether a route of an API takes requests without a signature or a key."""
    if resource.type not in ("AWS::ApiGateway::Method", "AWS::ApiGatewayV2::Route"):
        return False
    return resource.properties.get("AuthorizationType", "NONE") == "NONE"


def _wildcards(resource: Resource) -> Iterator[tuple[str, str]]:
    """A finding for every ``*`` in what an identity's policies allow."""
    found: dict[str, str] = {}
    for statement in _statements(resource):
        if statement.get("Effect") != "Allow":
            continue
        actions, places = _listed(statement.get("Action")), _listed(statement.get("Resource"))
        for action in actions:
            if "*" in str(action):
                found.setdefault(
                    f"Action::{action}", "Every one of these actions is needed on what is named."
                )
        for place in map(_flat, places):
            if "*" in place:
                found.setdefault(f"Resource::{place}", _why(place, [str(action) for action in actions]))
    for finding, reason in found.items():
        yield f"IAM5[{finding}]", reason


def _statements(resource: Resource) -> Iterator[Mapping[str, Any]]:
    given: Mapping[str, Any] = resource.properties
    documents = [
        policy["PolicyDocument"] for policy in given.get("Policies", ()) if isinstance(policy, Mapping)
    ]
    if resource.type in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        documents = [given["PolicyDocument"]]
    if resource.type.startswith("AWS::IAM::"):
        for document in documents:
            yield from document["Statement"]


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)


def _flat(value: Any) -> str:
    """A reference as the ids of findings have it: ``<Table.Arn>/index/*``."""
    if isinstance(value, Sub):
        return "".join(map(_flat, pieces(value)))
    if isinstance(value, Att):
        return f"<{value.resource}.{value.name}>"
    if isinstance(value, Ref):
        return f"<{value.resource}>"
    return str(value).replace("${", "<").replace("}", ">")


def _why(place: str, actions: Sequence[str]) -> str:
    if place == "*":
        return f"IAM has no resource for {', '.join(actions)}: these actions take * alone."
    if place.endswith("/index/*"):
        return "The indexes of this one table, and nothing beside it."
    if place.endswith(":*"):
        return "What is inside this one resource: its log streams, or its versions and aliases."
    return f"Only what begins with {place.partition('*')[0]}, for {', '.join(actions)}."


_RULES: dict[str, dict[str, tuple[str, str]]] = {
    "AWS::Lambda::Function": {
        "L1": (
            "Code.ImageUri",
            "It was built and tried for this version of Python; a newer one needs a new build.",
        ),
    },
    "AWS::DynamoDB::Table": {
        "DDB3": (
            "PointInTimeRecoverySpecification",
            "Items have a time to live and are deleted on purpose; backups would keep them, and cost by the gigabyte.",
        ),
    },
    "AWS::ApiGateway::RestApi": {
        "APIG2": (
            "",
            "The gateway behind it checks every request against the task it is for, with better messages.",
        ),
    },
    "AWS::ApiGateway::Stage": {
        "APIG1": ("AccessLogSetting", "Every invocation leaves a record and a log line of its own."),
        "APIG3": ("", "A web ACL costs money while nothing happens; associate one where the API is public."),
        "APIG6": (
            "",
            "The role for it belongs to the account, not to a project; the functions log every request.",
        ),
    },
    "AWS::ApiGateway::Method": {
        "COG4": (
            "",
            "Callers are programs with IAM credentials or an API key; there are no users to sign in.",
        ),
    },
    "AWS::ApiGatewayV2::Stage": {
        "APIG1": ("AccessLogSettings", "Every invocation leaves a record and a log line of its own."),
    },
    "AWS::CloudFront::Distribution": {
        "CFR1": (
            "DistributionConfig.Restrictions",
            "Whoever was given a signed link may use it from anywhere.",
        ),
        "CFR2": (
            "DistributionConfig.WebACLId",
            "Links are signed and expire; a web ACL costs money without requests.",
        ),
        "CFR3": ("DistributionConfig.Logging", "The router behind it logs every request."),
        "CFR4": (
            "",
            "Without a domain of one's own CloudFront's certificate decides which TLS versions there are.",
        ),
    },
    "AWS::EC2::VPC": {
        "VPC7": ("", "The network has no way out and only the functions and their file system in it."),
    },
    "AWS::S3::Bucket": {
        "S1": (
            "LoggingConfiguration",
            "Only the deploying user and Lambda read it; CloudTrail has their requests.",
        ),
    },
}
"""Type -> rule -> (property that satisfies it, why it is not there)."""
