"""Values of the graph as Python for the CDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from firstlight.deploy.exports.cdk import policies, roles
from firstlight.deploy.exports.cdk.layout import Call, Code, Text
from firstlight.deploy.exports.cdk.shapes import TAG, Shape, word
from firstlight.deploy.exports.references import PSEUDO, pieces
from firstlight.deploy.types import Att, Ref, Sub

Spelling = Callable[[str], str | None]
"""Logical id -> the expression its construct is written as, such as ``records.table``; None where none is there yet."""
_POLICIES = {"PolicyDocument", "AssumeRolePolicyDocument", "RepositoryPolicyText", "FileSystemPolicy"}
_FUNCTIONS = {
    "Fn::Select": "select",
    "Fn::Split": "split",
    "Fn::GetAZs": "get_azs",
    "Fn::Join": "join",
    "Fn::Base64": "base64",
    "Fn::Cidr": "cidr",
}
_FILES = {"ZipFile": ".py", "FunctionCode": ".js", "EncodedKey": ".pem"}
"""Properties whose texts have files of their own."""
_MARK = "\ue000"
"""Stands around the number of an expression while a text is read as JSON."""


class Values:
    """Writes values as seen from one place of the app.

    Args:
        spelling: how resources are written there.
        named: logical ids of resources that are ``iam.Role``.
    """

    def __init__(self, spelling: Spelling, named: Collection[str] = ()) -> None:
        self._spelling = spelling
        self._named = named
        self.about = ""
        """What is being written, for names of files."""
        self.modules: set[str] = set()
        """Modules of the CDK that were written."""
        self.texts: dict[str, str] = {}
        """Texts that have a file of their own: its name -> what is in it."""

    def properties(self, given: Mapping[str, Any], shape: Shape) -> tuple[tuple[str, Code], ...]:
        """Properties as named arguments of a class."""
        return tuple((word(name), self._property(name, value, shape)) for name, value in given.items())

    def value(self, given: Any) -> Code:
        """A value where nothing is known of its shape."""
        if isinstance(given, (Ref, Att)):
            return self.reference(given)
        if isinstance(given, Sub):
            return self._text(given)
        if isinstance(given, str):
            return Text(((given, False),))
        if isinstance(given, Mapping):
            called = self._called(given)
            return called or {str(key): self.value(inner) for key, inner in given.items()}
        if isinstance(given, Sequence):
            return [self.value(inner) for inner in given]
        return repr(given)

    def reference(self, given: Ref | Att) -> str:
        """What stands for a resource, an attribute of it or a pseudo parameter."""
        if given.resource.startswith(PSEUDO):
            return f"cdk.Aws.{_pseudo(given.resource)}"
        place = self._spelling(given.resource)
        if place and given.resource in self._named:
            attribute = roles.REFERENCE if isinstance(given, Ref) else roles.ATTRIBUTES[given.name]
            return f"{place}.{attribute}"
        if isinstance(given, Ref):
            return f"{place}.ref" if place else f'cdk.Fn.ref("{given.resource}")'
        if place:
            return f"{place}.attr_{word(given.name.replace('.', ''))}"
        return f'cdk.Fn.get_att("{given.resource}", "{given.name}").to_string()'

    def _called(self, given: Mapping[str, Any]) -> Code | None:
        """A function of CloudFormation's as a call of the CDK's; None for what is none."""
        (name, value), *others = given.items() or [("", None)]
        if others or name not in _FUNCTIONS:
            return None
        arguments = value if isinstance(value, (list, tuple)) else [value]
        if name == "Fn::GetAZs" and value == "":
            arguments = []
        if name == "Fn::Select":
            arguments = [int(str(arguments[0])), arguments[1]]
        return Call(f"cdk.Fn.{_FUNCTIONS[name]}", tuple(("", self.value(one)) for one in arguments))

    def _property(self, name: str, value: Any, shape: Shape) -> Code:
        inner = shape.at(name)
        if isinstance(value, Mapping) and (called := self._called(value)) is not None:
            return called
        if name in _POLICIES and isinstance(value, Mapping):
            self.modules.add("iam")
            return policies.document(value, self.value)
        if inner is not None and shape.is_map(name) and isinstance(value, Mapping):
            return {str(key): self._nested(one, inner) for key, one in value.items()}
        if inner is not None:
            return self._nested(value, inner)
        return self._filed(name, value) or self._json(value) or self.value(value)

    def _filed(self, name: str, value: Any) -> Code | None:
        """Code and keys as files; None for what is no text of several lines."""
        text = value.text if isinstance(value, Sub) and "${" not in value.text else value
        if name not in _FILES or not isinstance(text, str) or "\n" not in text.strip():
            return None
        file = f"{self.about}{_FILES[name]}"
        self.texts[file] = text
        return f'(CODE / "{file}").read_text()'

    def _nested(self, value: Any, shape: Shape) -> Code:
        if isinstance(value, Mapping):
            code = "cdk.CfnTag" if shape.nested == TAG else shape.code
            return Call(code, self.properties(value, shape))
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._nested(one, shape) for one in value]
        return self.value(value)

    def _text(self, given: Sub) -> Code:
        parts = pieces(given)
        if len(parts) == 1 and not isinstance(parts[0], str):
            return self.reference(parts[0])
        return Text(
            tuple((one, False) if isinstance(one, str) else (self.reference(one), True) for one in parts)
        )

    def _json(self, given: Any) -> Code | None:
        """A text that is a JSON object (a dashboard's body) as a call that makes it of one; None for others."""
        if not isinstance(given, (str, Sub)):
            return None
        parts: list[str | Ref | Att] = [given] if isinstance(given, str) else pieces(given)
        marked = "".join(
            part if isinstance(part, str) else f"{_MARK}{number}{_MARK}" for number, part in enumerate(parts)
        )
        try:
            read = json.loads(marked)
        except ValueError:
            return None
        if not isinstance(read, dict):
            return None
        made = self.value(_unmarked(read, parts))
        return Call("cdk.Stack.of(self).to_json_string", (("", made),))


def _unmarked(value: Any, parts: Sequence[str | Ref | Att]) -> Any:
    if isinstance(value, str):
        return _sub(value, parts)
    if isinstance(value, dict):
        return {key: _unmarked(inner, parts) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unmarked(inner, parts) for inner in value]
    return value


def _sub(text: str, parts: Sequence[str | Ref | Att]) -> str | Sub:
    words = text.split(_MARK)
    if len(words) == 1:
        return text
    made = ""
    for place, inner in enumerate(words):
        part = parts[int(inner)] if place % 2 else inner
        if isinstance(part, str):
            made += part.replace("${", "${!")
        else:
            made += "${" + part.resource + (f".{part.name}" if isinstance(part, Att) else "") + "}"
    return Sub(made)


def _pseudo(name: str) -> str:
    """``AWS::AccountId`` as the CDK has it: ``ACCOUNT_ID``."""
    words = {"AWS::URLSuffix": "URL_SUFFIX", "AWS::NotificationARNs": "NOTIFICATION_ARNS"}
    return words.get(name) or word(name.removeprefix(PSEUDO)).upper()
