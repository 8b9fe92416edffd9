"""What the parts of deploying hand to each other: the resource graph, what was built, what is deployed, the plan.

The graph speaks CloudFormation's vocabulary (types and properties as in the AWS resource specification), because that
is what can be checked against; every other form is rendered from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Ref:
    """What CloudFormation's ``Ref`` gives for a resource: its name, URL or id. Also pseudo parameters."""

    resource: str


@dataclass(frozen=True, slots=True)
class Att:
    """An attribute of a resource (``Fn::GetAtt``)."""

    resource: str
    name: str


@dataclass(frozen=True, slots=True)
class Sub:
    """Text with ``${Resource}``, ``${Resource.Attribute}`` and ``${AWS::Region}`` in it (``Fn::Sub``)."""

    text: str


Value: TypeAlias = "str | int | float | bool | Ref | Att | Sub | Sequence[Value] | Mapping[str, Value]"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack.

    Attributes:
        id: logical id, letters and digits: ``MoodFunction``.
        type: ``AWS::Lambda::Function``.
        properties: as CloudFormation takes them, with references for what other resources are.
        part: what it belongs to: an endpoint's name, ``router``, ``records``, ``jobs``, ``fronts``, ``operations``, ...
        why: what it is there for, half a sentence; for the plan and the comments of exports.
        after: logical ids it must come after beside those it refers to (``DependsOn``).
        keep: it outlives its stack (``DeletionPolicy: Retain``), as it holds what users would miss.
    """

    id: str
    type: str
    properties: Mapping[str, Value]
    part: str
    why: str
    after: tuple[str, ...] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """What a stack says when it is up."""

    name: str
    value: Value
    description: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A resource graph: what one project and stage is in one account and region.

    Attributes:
        name: of the CloudFormation stack.
        resources: in an order people can read: each part together, each resource after those it refers to where
            that is possible.
        tags: on everything that takes them.
    """

    name: str
    description: str
    resources: tuple[Resource, ...]
    outputs: tuple[Output, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    def resource(self, logical_id: str) -> Resource:
        """The resource of a logical id.

        Raises:
            KeyError: there is none.
        """
        for resource in self.resources:
            if resource.id == logical_id:
                return resource
        raise KeyError(logical_id)


@dataclass(frozen=True, slots=True)
class Artifact:
    """Code of one function, as it was built and where Lambda finds it.

    Attributes:
        endpoint: its name; ``router`` for the gateway.
        kind: ``image`` or ``zip``.
        digest: of the image (``sha256:...``) or SHA-256 of the zip, hex.
        uri: ``registry/name@sha256:...`` or ``s3://bucket/key``.
        size: bytes compressed, without the base; ``unpacked`` without it too.
        architecture: ``arm64`` or ``x86_64``.
        runtime: ``python3.13``; empty for an image.
        handler: ``module.function``; empty for an image.
        environment: variables that the code needs and that are not baked into it: all of them for a zip.
        reason: why this kind was chosen, half a sentence.
    """

    endpoint: str
    kind: str
    digest: str
    uri: str
    size: int
    unpacked: int
    architecture: str
    runtime: str = ""
    handler: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What an account allows, asked before the plan is made.

    Attributes:
        id: twelve digits.
        concurrency: workers at once over all functions (a new account has 10).
        unreserved: how many of these are not reserved.
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``.
    """

    id: str
    region: str
    concurrency: int = 1000
    unreserved: int = 1000
    partition: str = "aws"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is deployed now, read from the stack's own template: the stack is the only state there is.

    Attributes:
        versions: endpoint -> logical ids of its version resources, oldest first.
        live: endpoint -> logical id of the version its alias ``live`` leads to.
        status: of the stack, as CloudFormation says it.
        outputs: name -> value.
        template: as it was deployed, JSON read.
    """

    versions: Mapping[str, tuple[str, ...]]
    live: Mapping[str, str]
    status: str
    outputs: Mapping[str, str]
    template: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one role's policy, for the plan.

    Attributes:
        role: logical id.
        effect: ``Allow`` or ``Deny``.
        resources: ARNs as the template has them, references written ``${...}``.
        condition: as JSON text; empty for none.
    """

    role: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """A line of the estimate.

    Attributes:
        what: ``3 versions with SnapStart``, ``1,000,000 invocations of mood``.
        usd: a month where nothing happens, or for a million invocations.
        how: what it was computed from: price, size, assumed duration.
    """

    what: str
    usd: float
    how: str


@dataclass(frozen=True, slots=True)
class Change:
    """What a deployment does to one resource.

    Attributes:
        action: ``Add``, ``Modify``, ``Remove``, ``Replace``.
        details: names of the properties that change.
    """

    action: str
    id: str
    type: str
    part: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment is about to do; shown before anything is.

    Attributes:
        notes: what is worth knowing before agreeing, one sentence each.
    """

    stack: Stack
    account: Account
    artifacts: tuple[Artifact, ...]
    changes: tuple[Change, ...]
    statements: tuple[Statement, ...]
    idle: tuple[Cost, ...]
    per_million: tuple[Cost, ...]
    notes: tuple[str, ...] = ()


class Render(Protocol):
    """From the graph to the files of a project somebody may own: path -> text."""

    def __call__(self, stack: Stack) -> Mapping[str, str]: ...
