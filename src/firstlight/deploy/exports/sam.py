"""A stack as an AWS SAM application: functions with their versions, aliases and URLs as ``AWS::Serverless::Function``.

SAM makes the version, the alias ``live``, the Function URL, the event source and the settings of Event invocations of
a function from properties of the function; those resources get the names that SAM gives them. All else is as in the
template that `firstlight deploy` uses (AWS SAM specification 2016-10-31).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from firstlight.deploy.cloudformation import fits
from firstlight.deploy.exports.references import pieces
from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub
from firstlight.deploy.yaml_text import document

TRANSFORM = "AWS::Serverless-2016-10-31"
_SAME = frozenset(
    {
        "FunctionName",
        "Description",
        "Role",
        "MemorySize",
        "Timeout",
        "LoggingConfig",
        "Environment",
        "Architectures",
        "PackageType",
        "Runtime",
        "Handler",
        "SnapStart",
        "ReservedConcurrentExecutions",
        "VpcConfig",
        "FileSystemConfigs",
        "ImageConfig",
        "EphemeralStorage",
        "Layers",
        "KmsKeyArn",
        "RuntimeManagementConfig",
        "RecursiveLoop",
    }
)
"""Properties of a function that SAM hands on as they are."""
_SOURCE = frozenset({"BatchSize", "FunctionResponseTypes", "ScalingConfig", "MaximumBatchingWindowInSeconds"})


@dataclass(slots=True)
class _Folded:
    """A function and the resources that SAM makes of its properties."""

    function: Resource
    alias: Resource | None = None
    version: Resource | None = None
    url: Resource | None = None
    events: Resource | None = None
    source: Resource | None = None

    def names(self) -> dict[str, str]:
        """Logical id here -> what SAM calls it where it is referred to."""
        name = self.function.id
        found = [(self.alias, f"{name}.Alias"), (self.version, f"{name}.Version"), (self.url, f"{name}Url")]
        return {resource.id: word for resource, word in found if resource}

    def made(self) -> dict[str, str]:
        """Logical id here -> logical id after SAM's transformation, but for the version's, which has a hash."""
        name, live = self.function.id, self.alias.properties["Name"] if self.alias else ""
        found = [
            (self.alias, f"{name}Alias{live}"),
            (self.url, f"{name}Url"),
            (self.events, f"{name}EventInvokeConfig"),
            (self.source, f"{name}Queue"),
        ]
        return {resource.id: word for resource, word in found if resource}


_README = """# {stack}

{description}, as an AWS SAM application.

- `template.yaml`: the stack. A function's version, its alias `live`, its Function URL, the settings of its Event
  invocations and the queue that it works off are properties of the function; SAM makes resources of them.
- `samconfig.toml`: what `sam deploy` is told.

The code of the functions is referred to by digest (`ImageUri`) and by key (`CodeUri`): it has to be in the registry
and in the bucket. `firstlight export sam --send` puts it there, and so did `firstlight deploy`.

    sam validate --lint
    sam deploy
    sam delete

There is nothing to build: `sam build` is not needed.

An update: put the new digest or key into the template (or export again) and run `sam deploy`. SAM publishes a version
of every function that changed and moves its alias at once. `firstlight deploy` invokes a new version before it moves
the alias; here that is left to you (`DeploymentPreference` is SAM's way).

The names of versions, aliases and URLs inside the stack are SAM's, so this is a stack of its own: it cannot take over
one that `firstlight deploy` made, as two stacks cannot have functions of the same name. Delete that one first; tables
are kept, and can be taken in with a resource import.
"""


def render(stack: Stack) -> Mapping[str, str]:
    """The files of the application."""
    made = transformed(stack)
    text = document(made)
    head, _, rest = text.partition("\n")
    return {
        "README.md": _README.format(stack=stack.name, description=stack.description),
        "template.yaml": f"{head}\nTransform: {TRANSFORM}\n{rest}",
        "samconfig.toml": _settings(made, text),
        ".gitignore": ".aws-sam/\n",
    }


def transformed(stack: Stack) -> Stack:
    """The stack in SAM's vocabulary."""
    folded = _folded(stack)
    gone = {id_ for one in folded.values() for id_ in one.made()} | {
        one.version.id for one in folded.values() if one.version
    }
    names = {key: name for one in folded.values() for key, name in one.names().items()}
    made = {key: name for one in folded.values() for key, name in one.made().items()}
    resources = []
    for resource in stack.resources:
        if resource.id in gone:
            continue
        changed = _function(folded[resource.id]) if resource.id in folded else resource
        resources.append(
            replace(
                changed,
                properties=_renamed(changed.properties, names),
                after=tuple(made.get(other, other) for other in changed.after),
            )
        )
    outputs = tuple(Output(one.name, _renamed(one.value, names), one.description) for one in stack.outputs)
    return replace(stack, resources=tuple(resources), outputs=outputs)


def _folded(stack: Stack) -> dict[str, _Folded]:
    """Function -> what SAM makes of it, where SAM knows all of its properties."""
    there = {resource.id: resource for resource in stack.resources}
    found = {
        one.id: _Folded(one)
        for one in stack.resources
        if one.type == "AWS::Lambda::Function" and set(one.properties) <= _SAME | {"Code", "Tags"}
    }
    for resource in stack.resources:
        function, version = (
            _named(resource, "FunctionName", there),
            _named(resource, "FunctionVersion", there),
        )
        if resource.type == "AWS::Lambda::Alias" and function and function.id in found:
            found[function.id].alias, found[function.id].version = resource, version
    for resource in stack.resources:
        _fold(resource, found, there)
    return found


def _fold(resource: Resource, found: Mapping[str, _Folded], there: Mapping[str, Resource]) -> None:
    given = resource.properties
    function = _named(resource, "FunctionName", there) or _named(resource, "TargetFunctionArn", there)
    if function is None:
        return
    if resource.type == "AWS::Lambda::EventSourceMapping":
        owner = next((one for one in found.values() if one.alias and one.alias.id == function.id), None)
        known = _SOURCE | {"EventSourceArn", "FunctionName"}
        if owner and owner.source is None and set(given) <= known:
            owner.source = resource
        return
    owner = found.get(function.id)
    if owner is None or owner.alias is None or given.get("Qualifier") != owner.alias.properties["Name"]:
        return
    if resource.type == "AWS::Lambda::Url" and given.get("AuthType") == "AWS_IAM":
        owner.url = resource
    elif resource.type == "AWS::Lambda::EventInvokeConfig" and "DestinationConfig" not in given:
        # One with destinations has to come after the functions that these are, which SAM cannot say.
        owner.events = resource


def _function(folded: _Folded) -> Resource:
    """A function as SAM writes it."""
    given = folded.function.properties
    made: dict[str, Any] = {key: value for key, value in given.items() if key in _SAME}
    code = given["Code"]
    if isinstance(code, Mapping) and "ImageUri" in code:
        made["ImageUri"] = code["ImageUri"]
    elif isinstance(code, Mapping) and "ZipFile" in code:
        made["InlineCode"] = code["ZipFile"]
    elif isinstance(code, Mapping):
        made["CodeUri"] = {"Bucket": code["S3Bucket"], "Key": code["S3Key"]}
    if isinstance(given.get("Tags"), Sequence):
        made["Tags"] = {tag["Key"]: tag["Value"] for tag in given["Tags"]}  # type: ignore[union-attr, index, call-overload]
    if folded.alias:
        made.update(_published(folded.alias, folded.version))
    return replace(folded.function, type="AWS::Serverless::Function", properties={**made, **_joined(folded)})


def _published(alias: Resource, version: Resource | None) -> dict[str, Any]:
    """What SAM makes the version and the alias of."""
    made: dict[str, Any] = {
        "AutoPublishAlias": alias.properties["Name"],
        "AutoPublishAliasAllProperties": True,
        "VersionDeletionPolicy": "Delete",
    }
    if version and "Description" in version.properties:
        made["VersionDescription"] = version.properties["Description"]
    if "ProvisionedConcurrencyConfig" in alias.properties:
        made["ProvisionedConcurrencyConfig"] = alias.properties["ProvisionedConcurrencyConfig"]
    return made


def _joined(folded: _Folded) -> dict[str, Any]:
    """What calls a function, and what becomes of its events."""
    made: dict[str, Any] = {}
    if folded.url:
        made["FunctionUrlConfig"] = {
            key: value
            for key, value in folded.url.properties.items()
            if key in ("AuthType", "InvokeMode", "Cors")
        }
    if folded.events:
        given = folded.events.properties
        made["EventInvokeConfig"] = {
            key: given[key] for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds") if key in given
        }
    if folded.source:
        given = folded.source.properties
        properties = {
            "Queue": given["EventSourceArn"],
            **{key: given[key] for key in given if key in _SOURCE},
        }
        made["Events"] = {"Queue": {"Type": "SQS", "Properties": properties}}
    return made


def _named(resource: Resource, key: str, there: Mapping[str, Resource]) -> Resource | None:
    """The resource that a property refers to."""
    value = resource.properties.get(key)
    return there.get(value.resource) if isinstance(value, (Ref, Att)) else None


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A value with SAM's names of what it refers to."""
    if isinstance(value, Ref):
        return Ref(names.get(value.resource, value.resource))
    if isinstance(value, Att):
        return Att(names.get(value.resource, value.resource), value.name)
    if isinstance(value, Sub):
        # In a text SAM's names of resources are taken, not its ``Function.Alias``: what checks templates knows these.
        made = {key: name.replace(".Alias", "Aliaslive") for key, name in names.items()}
        return Sub("".join(_spelled(piece, made) for piece in pieces(value)))
    if isinstance(value, Mapping):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_renamed(inner, names) for inner in value]
    return value


def _spelled(piece: str | Ref | Att, names: Mapping[str, str]) -> str:
    if isinstance(piece, str):
        return piece.replace("${", "${!")
    word = names.get(piece.resource, piece.resource)
    return "${" + (word if isinstance(piece, Ref) else f"{word}.{piece.name}") + "}"


def _settings(stack: Stack, text: str) -> str:
    """``samconfig.toml``: what `sam deploy` is told."""
    lines = [
        "version = 0.1",
        "",
        "[default.deploy.parameters]",
        f"stack_name = {json.dumps(stack.name)}",
        'capabilities = "CAPABILITY_IAM"',
        "confirm_changeset = true",
    ]
    if stack.tags:
        lines.append(f"tags = {json.dumps(' '.join(f'{key}={value}' for key, value in stack.tags.items()))}")
    images = [one.properties["ImageUri"] for one in stack.resources if "ImageUri" in one.properties]
    if images:  # asked for wherever an image is, though these are in a registry already
        lines.append(f"image_repository = {json.dumps(str(images[0]).partition('@')[0])}")
    if not fits(text):
        lines.append("resolve_s3 = true # a template of this size is read from a bucket, which SAM makes")
    return "\n".join(lines) + "\n"
