"""Templates brought into one form, so that two ways of writing the same compare equal."""

from __future__ import annotations

import json
import re
from typing import Any

_LISTS = {"Action", "NotAction", "Resource", "NotResource"}


def canonical(template: dict[str, Any]) -> dict[str, Any]:
    """The resources of a template by logical id, without what says nothing of them."""
    return {key: _resource(value) for key, value in template["Resources"].items()}


def outputs(template: dict[str, Any]) -> dict[str, Any]:
    return {key: _value(value) for key, value in template.get("Outputs", {}).items()}


def _resource(resource: dict[str, Any]) -> dict[str, Any]:
    found = {
        key: value for key, value in resource.items() if key not in ("Metadata", "Properties", "DependsOn")
    }
    after = resource.get("DependsOn", [])
    found["DependsOn"] = sorted([after] if isinstance(after, str) else after)
    found["Properties"] = _value(resource.get("Properties", {}))
    return found


def _value(value: Any) -> Any:
    text = _text(value)
    if text is not None:
        return _json(text)
    if isinstance(value, dict):
        return {key: _ordered(key, _value(inner)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_value(inner) for inner in value]
    return value


def _ordered(key: str, value: Any) -> Any:
    """One of IAM's is as good as a list of one, and neither these nor tags have an order."""
    if key in _LISTS and isinstance(value, (str, list)):
        return sorted([value] if isinstance(value, str) else value, key=str)
    if key == "Principal" and isinstance(value, dict):
        return {kind: [who] if isinstance(who, str) else who for kind, who in value.items()}
    if key == "Tags" and isinstance(value, list):
        return sorted(value, key=lambda tag: tag["Key"])
    return value


def _text(value: Any) -> str | None:
    """A text with ``${Name}`` and ``${Name.Attribute}`` for what it refers to; None for what is no text."""
    if isinstance(value, str):
        return value.replace("${", "${!")
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (key, inner), *_ = value.items()
    if key == "Ref":
        return "${" + inner + "}"
    if key == "Fn::GetAtt":
        return "${" + (inner if isinstance(inner, str) else ".".join(inner)) + "}"
    if key == "Fn::Sub" and isinstance(inner, str):
        return inner
    if key == "Fn::Join" and all(_text(one) is not None for one in inner[1]):
        return inner[0].join(str(_text(one)) for one in inner[1])
    return None


def _json(text: str) -> Any:
    """JSON in a text is compared as JSON."""
    if not re.match(r"\s*[{\[]", text):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
