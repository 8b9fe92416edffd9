"""What the CDK calls CloudFormation's types, their properties and the classes of nested ones.

``shapes.json`` is read from aws-cdk-lib itself by ``tests/aws/cdk_shapes.py``: type -> class ("" for the properties of
the resource) -> property -> class of its value; ``{}`` at the end stands for a map of them.
"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_OTHER_WORDS = {"ETag": "e_tag", "IPV6Enabled": "ipv6_enabled"}
"""Properties that the CDK spells by no rule."""
_OTHER_NAMES = {"lambda": "lambda_"}
TAG = "CfnTag"


@dataclass(frozen=True, slots=True)
class Shape:
    """A class of the CDK for a resource or a nested property.

    Attributes:
        module: name that its module is imported as; ``cdk`` for the core.
        resource: class of the resource: ``CfnFunction``.
        nested: name of the nested class; empty for the resource itself.
        inner: property -> nested class of its value.
    """

    type: str
    module: str
    resource: str
    nested: str
    inner: dict[str, str]

    @property
    def code(self) -> str:
        """How it is written: ``lambda_.CfnFunction.CodeProperty``."""
        name = f"{self.module}.{self.resource}"
        return f"{name}.{self.nested}Property" if self.nested else name

    def at(self, name: str) -> Shape | None:
        """The class of a property's value, or of the values of a list or map; None for plain values."""
        nested = self.inner.get(name, "").removesuffix("{}")
        if not nested:
            return None
        inner = _shapes()[self.type].get(nested, {})
        return Shape(self.type, self.module, self.resource, nested, inner)

    def is_map(self, name: str) -> bool:
        """Whether a property's value maps names of the user's to nested ones."""
        return self.inner.get(name, "").endswith("{}")


def shape(kind: str) -> Shape | None:
    """The class of a CloudFormation type; None where it is not known here."""
    if kind not in _shapes():
        return None
    _, space, name = kind.split("::")
    return Shape(kind, alias(space), f"Cfn{name}", "", _shapes()[kind].get("", {}))


def alias(space: str) -> str:
    """What a module of the CDK is imported as: ``lambda_`` for ``AWS::Lambda``."""
    return _OTHER_NAMES.get(space.lower(), space.lower())


def imported(module: str) -> str:
    """The import of a module: ``aws_lambda as lambda_``."""
    return f"aws_{module.rstrip('_')} as {module}"


def word(name: str) -> str:
    """A property as Python writes it: ``MemorySize`` is ``memory_size``, as jsii does it."""
    if name in _OTHER_WORDS:
        return _OTHER_WORDS[name]
    camel = re.sub(r"([A-Z]+)([A-Z][a-z0-9])", lambda found: found[1].capitalize() + found[2], name)
    plain = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", camel).lower()
    return f"{plain}_" if keyword.iskeyword(plain) else plain


@cache
def _shapes() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = json.loads(
        files(__package__).joinpath("shapes.json").read_text(encoding="utf-8")
    )
    return found
