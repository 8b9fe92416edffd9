"""A stack as a project of the Serverless Framework (serverless.yml of version 3, which osls goes on with).

Functions of images are ``functions``; all else stays CloudFormation below ``resources``. The framework names the
resource of a function itself (``QaLambdaFunction``), and what it has no word for is added by ``resources.extensions``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from firstlight.deploy.exports.references import pieces
from firstlight.deploy.types import Att, Output, Ref, Resource, Stack, Sub
from firstlight.deploy.yaml_text import document, entry

VERSION = "4.3.1"
"""Of osls, which the exports are tried with."""

_VARIABLE = re.compile(r"\$\{(?=[A-Za-z][\w-]*(?:\([^)]*\))?:(?!:))")
_WORDS = {
    "FunctionName": "name",
    "Description": "description",
    "MemorySize": "memorySize",
    "Timeout": "timeout",
    "Role": "role",
    "ReservedConcurrentExecutions": "reservedConcurrency",
}
_README = """# {stack}

{description}, as a project of the Serverless Framework, version 3 of its format, which
[osls](https://github.com/oss-serverless/serverless) goes on with.

- `serverless.yml`: the stack. Functions that are images are under `functions`, referred to by digest; what the
  framework has no word for is in `resources.extensions`, and all other resources are CloudFormation in
  `resources.Resources`, functions of zip files among them.

There is nothing to build or to package: images and zip files have to be in the registry and in the bucket.
`firstlight export serverless --send` puts them there, and so did `firstlight deploy`.

    npx osls@{version} package
    npx osls@{version} deploy --region REGION
    npx osls@{version} remove --region REGION

An update: put the new digest or key into `serverless.yml` and give the `AWS::Lambda::Version` of that function another
logical id (a version never changes), also where its alias names it; or export again. The alias moves in the same
deployment; `firstlight deploy` invokes a new version first.

The framework names the functions' resources itself, so this is a stack of its own: it cannot take over one that
`firstlight deploy` made. Delete that one first; tables are kept, and can be taken in with a resource import.
"""


def render(stack: Stack) -> Mapping[str, str]:
    """The files of the project."""
    made = _escaped(renamed(stack))
    kept = replace(made, resources=tuple(one for one in made.resources if not _is_ours(one)))
    functions = [one for one in made.resources if _is_ours(one)]
    text = _head(stack) + _functions(functions) + _resources(kept, functions)
    readme = _README.format(stack=stack.name, description=stack.description, version=VERSION)
    manifest = {"private": True, "devDependencies": {"osls": VERSION}}
    return {
        "README.md": readme,
        "serverless.yml": text,
        "package.json": json.dumps(manifest, indent=2) + "\n",
        ".gitignore": ".serverless/\nnode_modules/\n",
    }


def renamed(stack: Stack) -> Stack:
    """The stack with the names that the framework gives the resources of functions."""
    names = {one.id: f"{_upper(_word(one))}LambdaFunction" for one in stack.resources if _is_ours(one)}
    resources = tuple(
        replace(
            one,
            id=names.get(one.id, one.id),
            properties=_named(one.properties, names),
            after=tuple(names.get(other, other) for other in one.after),
        )
        for one in stack.resources
    )
    outputs = tuple(Output(one.name, _named(one.value, names), one.description) for one in stack.outputs)
    return replace(stack, resources=resources, outputs=outputs)


def _escaped(stack: Stack) -> Stack:
    """The stack with a backslash before what would be a variable of the framework: ``${env:HOME}``."""
    return replace(
        stack,
        resources=tuple(replace(one, properties=_literal(one.properties)) for one in stack.resources),
        outputs=tuple(replace(one, value=_literal(one.value)) for one in stack.outputs),
    )


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(r"\\\g<0>", value)
    if isinstance(value, Sub):
        return Sub(_VARIABLE.sub(r"\\\g<0>", value.text))
    if isinstance(value, Mapping):
        return {key: _literal(inner) for key, inner in value.items()}
    return [_literal(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _is_ours(resource: Resource) -> bool:
    """Whether the framework makes a resource of a function's description."""
    return resource.type == "AWS::Lambda::Function" and resource.properties.get("PackageType") == "Image"


def _word(function: Resource) -> str:
    """What a function is called in the file."""
    word = function.id.removesuffix("LambdaFunction").removesuffix("Function")
    return word[:1].lower() + word[1:]


def _upper(word: str) -> str:
    return word[:1].upper() + word[1:]


def _head(stack: Stack) -> str:
    buckets = [
        code["S3Bucket"]
        for one in stack.resources
        if isinstance(code := one.properties.get("Code"), Mapping) and "S3Bucket" in code
    ]
    provider: dict[str, Any] = {
        "name": "aws",
        "region": "${opt:region, env:AWS_REGION, env:AWS_DEFAULT_REGION}",
        "stackName": stack.name,
        "versionFunctions": False,
    }
    if buckets:
        provider["deploymentBucket"] = {"name": buckets[0]}
    if stack.tags:
        provider["stackTags"] = dict(stack.tags)
    lines = [
        f"# {stack.description}",
        entry("service", stack.name),
        entry("frameworkVersion", ">=3.38.0 <5"),
        entry("configValidationMode", "error"),
        entry("provider", provider),
    ]
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _functions(functions: Sequence[Resource]) -> str:
    if not functions:
        return ""
    text = "\nfunctions:\n"
    for function in functions:
        text += f"\n  # {function.why}\n" + entry(_word(function), _described(function), 2)
    return text


def _described(function: Resource) -> dict[str, Any]:
    given = function.properties
    made: dict[str, Any] = {word: given[key] for key, word in _WORDS.items() if key in given}
    code, machine = given["Code"], given.get("Architectures")
    if isinstance(code, Mapping):
        made["image"] = code["ImageUri"]
    if isinstance(machine, Sequence):
        made["architecture"] = machine[0]
    environment = given.get("Environment")
    if isinstance(environment, Mapping):
        made["environment"] = environment["Variables"]
    made["disableLogs"] = True
    return made


def _resources(kept: Stack, functions: Sequence[Resource]) -> str:
    """All that is not a function's description, a level deeper than in a template."""
    _, _, template = document(kept).partition("\nResources:")
    lines = f"Resources:{template}".split("\n")
    text = "\nresources:\n" + "\n".join(f"  {line}" if line else "" for line in lines).rstrip() + "\n"
    extensions = {one.id: more for one in functions if (more := _more(one))}
    if extensions:
        text += "\n  # what the framework has no word for\n" + entry("extensions", extensions, 2)
    return text


def _more(function: Resource) -> dict[str, Any]:
    known = {*_WORDS, "Code", "Architectures", "Environment", "PackageType"}
    properties = {key: value for key, value in function.properties.items() if key not in known}
    made: dict[str, Any] = {"Properties": properties} if properties else {}
    if function.after:
        made["DependsOn"] = list(function.after)
    return made


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """A value with other names of what it refers to."""
    if isinstance(value, Ref):
        return Ref(names.get(value.resource, value.resource))
    if isinstance(value, Att):
        return Att(names.get(value.resource, value.resource), value.name)
    if isinstance(value, Sub):
        return Sub("".join(_piece(piece, names) for piece in pieces(value)))
    if isinstance(value, Mapping):
        return {key: _named(inner, names) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_named(inner, names) for inner in value]
    return value


def _piece(piece: str | Ref | Att, names: Mapping[str, str]) -> str:
    if isinstance(piece, str):
        return piece.replace("${", "${!")
    name = names.get(piece.resource, piece.resource)
    return f"${{{name}.{piece.name}}}" if isinstance(piece, Att) else f"${{{name}}}"
