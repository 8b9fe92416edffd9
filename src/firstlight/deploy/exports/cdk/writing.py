"""The modules of the app: one for each part, and the stack that puts them together."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from firstlight.deploy.exports.cdk import acknowledging, roles
from firstlight.deploy.exports.cdk.layout import WIDTH, Call, Code, Text, laid_out
from firstlight.deploy.exports.cdk.parts import Part, class_of
from firstlight.deploy.exports.cdk.shapes import imported, shape
from firstlight.deploy.exports.cdk.values import Values
from firstlight.deploy.types import Output, Resource, Stack

_INDENT = 8
_WHAT = {
    "router": "The gateway that every route leads through, and its way to the endpoints.",
    "records": "What is kept of invocations.",
    "jobs": "Answers that are fetched later: their queue, their table and what works them off.",
    "http api": "The HTTP API and its routes.",
    "rest api": "The REST API and its routes, whose answers may travel as they are made.",
    "fronts": "The routes that lead straight to endpoints.",
    "operations": "What watches over the stack: alarms, the dashboard, the weekly invocation.",
    "share": "The distribution that takes signed links.",
    "cache": "The file system that functions share.",
    "budget": "What may be spent, and what happens then.",
}


def part_files(part: Part, everything: Sequence[Part]) -> dict[str, str]:
    """The module of a part, and the files that it reads."""
    handed = [one for one in everything if one.name in part.needs]
    made: set[str] = set()

    def spelling(resource: str) -> str | None:
        if resource in part.attributes:
            return f"self.{part.attributes[resource]}" if resource in made else None
        return _place(resource, handed)

    values = Values(spelling, _roles(everything))
    blocks: list[str] = []
    late: list[str] = []
    for resource in part.resources:
        values.about = f"{part.module}_{part.attributes[resource.id]}"
        block = _resource(resource, part.attributes[resource.id], values)
        made.add(resource.id)
        for other in resource.after:
            place = spelling(other)
            before = place or f"self.{part.attributes[other]}"
            line = f"{' ' * _INDENT}self.{part.attributes[resource.id]}.node.add_dependency({before})"
            block += f"\n{line}" if place else ""
            late += [] if place else [line]
        blocks.append(block)
    body = "\n\n".join([*blocks, "\n".join(late)]).rstrip()
    head = _head(
        part, handed, _imports(_modules(part, values), core="cdk." in body), filed=bool(values.texts)
    )
    texts = {f"code/{name}": text for name, text in values.texts.items()}
    return {f"parts/{part.module}.py": f"{head}{body}\n", **texts}


def stack_module(stack: Stack, everything: Sequence[Part]) -> str:
    """The module of the stack: the parts put together, and the outputs."""
    names = {output.name for output in stack.outputs}
    lines = []
    for part in everything:
        name = f"{part.construct}Part" if part.construct in names else part.construct
        arguments = [("", "self"), ("", f'"{name}"')]
        arguments += [(one.variable, one.variable) for one in everything if one.name in part.needs]
        lines.append(_line(f"{part.variable} = ", Call(part.construct, tuple(arguments))))
    body = "\n".join(lines)
    if stack.outputs:
        body += "\n\n" + "\n".join(_output(output, everything) for output in stack.outputs)
    imports = "\n".join(sorted(f"from parts.{part.module} import {part.construct}" for part in everything))
    return _STACK.format(
        what=_sentence(stack.description), imports=imports, name=class_name(stack), body=body
    )


def _output(output: Output, everything: Sequence[Part]) -> str:
    value = Values(lambda resource: _place(resource, everything), _roles(everything)).value(output.value)
    arguments: list[tuple[str, Code]] = [("", "self"), ("", f'"{output.name}"'), ("value", value)]
    arguments.append(("description", _quoted(output.description)))
    return _line("", Call("cdk.CfnOutput", tuple(arguments)))


def _roles(parts: Iterable[Part]) -> set[str]:
    """Logical ids of all that is an ``iam.Role``."""
    return {resource.id for part in parts for resource in part.resources if roles.fits(resource)}


def _place(resource: str, parts: Iterable[Part]) -> str | None:
    """How a resource of other parts is written: ``records.table``."""
    for part in parts:
        if resource in part.attributes:
            return f"{part.variable}.{part.attributes[resource]}"
    return None


def what(part: Part) -> str:
    """What a part is, in a sentence."""
    return _WHAT.get(part.name, f"The endpoint {part.name}: its function and what it needs.")


def class_name(stack: Stack) -> str:
    """Of the stack's class."""
    return f"{class_of(stack.name)}Stack"


_STACK = '''"""{what}"""

from typing import Any

import aws_cdk as cdk
from constructs import Construct

{imports}


class {name}(cdk.Stack):
    """{what}"""

    def __init__(self, scope: Construct, construct_id: str, **settings: Any) -> None:
        super().__init__(scope, construct_id, **settings)

{body}

    def _allocate_logical_id(self, cfn_element: cdk.CfnElement) -> str:
        """Logical ids are the ids in the code, without the hash that the CDK would add."""
        node = cfn_element.node
        return node.scope.node.id if node.id == "Resource" else node.id
'''


def _head(part: Part, handed: Sequence[Part], imports: str, *, filed: bool) -> str:
    others = "".join(sorted(f"from parts.{one.module} import {one.construct}\n" for one in handed))
    sentence = _sentence(what(part))
    arguments = ["self", "scope: Construct", "construct_id: str"]
    arguments += ["*"] if handed else []
    arguments += [f"{one.variable}: {one.construct}" for one in handed]
    line = f"    def __init__({', '.join(arguments)}) -> None:"
    if len(line) > WIDTH:
        line = "    def __init__(\n" + "".join(f"        {one},\n" for one in arguments) + "    ) -> None:"
    paths = ("from pathlib import Path\n\n", '\nCODE = Path(__file__).resolve().parents[1] / "code"\n')
    before, after = paths if filed else ("", "")
    return (
        f'"""{sentence}"""\n\n{before}{imports}from constructs import Construct\n'
        + (f"\n{others}" if others else "")
        + after
        + f'\n\nclass {part.construct}(Construct):\n    """{sentence}"""\n\n{line}\n'
        + "        super().__init__(scope, construct_id)\n\n"
    )


def _imports(modules: Sequence[str], *, core: bool) -> str:
    lines = "".join(f"from aws_cdk import {imported(module)}\n" for module in modules)
    return f"import aws_cdk as cdk\n{lines}" if core else lines


def _modules(part: Part, values: Values) -> list[str]:
    known = (shape(resource.type) for resource in part.resources)
    return sorted({found.module for found in known if found} | values.modules)


def _resource(resource: Resource, attribute: str, values: Values) -> str:
    known = shape(resource.type)
    ends: tuple[tuple[str, Code], ...] = (("", "self"), ("", f'"{resource.id}"'))
    if roles.fits(resource):
        call = Call("iam.Role", (*ends, *roles.arguments(resource.properties, values.value)))
    elif known:
        call = Call(known.code, (*ends, *values.properties(resource.properties, known)))
    else:
        properties = values.value(resource.properties)
        call = Call("cdk.CfnResource", (*ends, ("type", f'"{resource.type}"'), ("properties", properties)))
    text = _comment(resource.why) + _line(f"self.{attribute} = ", call)
    if resource.keep:
        text += f"\n{' ' * _INDENT}self.{attribute}.apply_removal_policy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)"
    found = [
        ("", Call("cdk.Acknowledgment", (("id", _quoted(finding)), ("reason", _quoted(reason)))))
        for finding, reason in acknowledging.findings(resource)
    ]
    if found:
        text += "\n" + _line("", Call(f"cdk.Validations.of(self.{attribute}).acknowledge", tuple(found)))
    return text


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, WIDTH - _INDENT - 2)
    return "".join(f"{' ' * _INDENT}# {line}\n" for line in lines)


def _line(before: str, code: Code) -> str:
    return " " * _INDENT + before + laid_out(code, _INDENT, len(before), after=0)


def _quoted(text: str) -> Text:
    return Text(((text, False),))


def _sentence(text: str) -> str:
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")
    return plain if plain.endswith(".") else f"{plain}."
