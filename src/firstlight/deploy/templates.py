"""Deployed templates read as ours are written, whoever deployed them: JSON or YAML, by an export or by hand.

Other tools say the same in other words (the CDK joins texts where ours substitute, and writes one action as a text and
not as a list). Told in one way, only what really differs is a change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_LISTS = ("Action", "NotAction", "Resource", "NotResource")


def read(body: str | Mapping[str, Any]) -> dict[str, Any]:
    """A template as CloudFormation gives it back; empty for what is none.

    Args:
        body: text, or JSON that was read already.
    """
    document = body if isinstance(body, Mapping) else _parsed(body)
    if not isinstance(document, Mapping) or not isinstance(document.get("Resources"), Mapping):
        return {}
    resources = {str(key): _resource(one) for key, one in document["Resources"].items()}
    return {**{str(key): _ours(value) for key, value in document.items()}, "Resources": resources}


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return _yaml(body)


def _yaml(body: str) -> Any:
    """YAML with CloudFormation's short forms: ``!Ref``, ``!GetAtt``, ``!Sub`` and their like."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """The safe one, which keeps dates as texts and knows the short forms."""

    def short(loader: Any, tag: str, node: Any) -> Any:
        kinds = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence}
        make = kinds.get(type(node), loader.construct_mapping)
        value = make(node) if isinstance(node, yaml.ScalarNode) else make(node, deep=True)
        name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
        return {name: value.split(".", 1) if tag == "GetAtt" and isinstance(value, str) else value}

    Loader.add_multi_constructor("!", short)
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    try:
        return yaml.load(body, Loader)  # noqa: S506
    except yaml.YAMLError:
        return None


def _resource(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    made = {str(key): _ours(value) for key, value in given.items() if key != "Metadata"}
    made.setdefault("Properties", {})
    after = made.get("DependsOn")
    if after:
        made["DependsOn"] = [after] if isinstance(after, str) else sorted(after)
    return made


def _ours(value: Any) -> Any:
    if isinstance(value, list):
        return [_ours(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1 and (called := _called(value)) is not None:
        return called
    made = {str(key): _ours(inner) for key, inner in value.items()}
    return _statement(made) if made.get("Effect") in ("Allow", "Deny") else made


def _called(value: Mapping[str, Any]) -> Any:
    """A function of CloudFormation's in the way it is written here; None for what is none, or is as it is here."""
    (name, inner), *_ = value.items()
    if name == "Fn::GetAtt" and isinstance(inner, str):
        return {name: inner.split(".", 1)}
    if (
        name != "Fn::Join"
        or not isinstance(inner, list)
        or inner[:1] != [""]
        or not isinstance(inner[1], list)
    ):
        return None
    pieces = [_piece(one) for one in inner[1]]
    return None if None in pieces else {"Fn::Sub": "".join(map(str, pieces))}


def _piece(value: Any) -> str | None:
    if isinstance(value, str):
        return value.replace("${", "${!")
    if isinstance(value, Mapping) and len(value) == 1:
        (name, inner), *_ = value.items()
        if name == "Ref":
            return "${" + str(inner) + "}"
        if name == "Fn::GetAtt":
            return "${" + (inner if isinstance(inner, str) else ".".join(map(str, inner))) + "}"
    return None


def _statement(given: dict[str, Any]) -> dict[str, Any]:
    """A statement of IAM's: one action is as good as a list of one."""
    for key in _LISTS:
        if key in given and not isinstance(given[key], list):
            given[key] = [given[key]]
    return given
