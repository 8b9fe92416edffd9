"""What the two kinds of API have in common: a path, where it leads, and who may use it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight.deploy.types import Ref, Resource, Sub

OPEN, IAM = "NONE", "AWS_IAM"
RATE, BURST = 100, 200
"""Requests a second, and at once: what an API lets through, whoever calls."""


@dataclass(frozen=True, slots=True)
class Way:
    """One route of an API.

    Attributes:
        path: ``/songs/{id}``; None for everything that has no route of its own.
        alias: logical id of the alias it leads to.
        authorization: ``NONE`` or ``AWS_IAM``.
        key: an API key is asked for.
        stream: answers travel as they are made.
        name: of the endpoint, or ``router``.
    """

    path: str | None
    alias: str
    authorization: str
    key: bool
    stream: bool
    name: str


def who(way: Way) -> str:
    """Who may use a route, in words."""
    if way.key:
        return "asks for an API key"
    return "open to everybody" if way.authorization == OPEN else "asks for IAM"


def permission(logical_id: str, way: Way, api: str, pattern: str, part: str) -> Resource:
    """The right of an API to invoke what one of its routes leads to.

    Args:
        api: logical id of the API.
        pattern: stage, method and path as the ARN of a request has them: ``*/*/qa``.
    """
    source = f"arn:${{AWS::Partition}}:execute-api:${{AWS::Region}}:${{AWS::AccountId}}:${{{api}}}/{pattern}"
    return Resource(
        logical_id,
        "AWS::Lambda::Permission",
        {
            "FunctionName": Ref(way.alias),
            "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": Sub(source),
        },
        part,
        f"the API may invoke {way.name}, for this route only",
    )


def pattern_of(path: str) -> str:
    """A path as the ARN of a request has it: ``/songs/{id}`` is ``/songs/*``."""
    return re.sub(r"\{[^}]*\}", "*", path)
