"""``/docs``: the OpenAPI document as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from firstlight.gateway.web.frame import Look, page
from firstlight.gateway.web.markup import Markup, tag


def docs_page(document: Mapping[str, Any]) -> Markup:
    """Every operation, grouped by its tag."""
    groups: dict[str, list[Markup]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    sections = [tag("section", tag("h2", name), operations) for name, operations in groups.items()]
    intro = tag(
        "div",
        tag("h1", document["info"]["title"]),
        tag("p", document["info"]["description"], class_="lead"),
        tag("p", tag("a", "openapi.json", href="/openapi.json"), class_="facts"),
        class_="title",
    )
    main = tag("main", intro, sections, id="main", class_="docs")
    return page(Look(), f"API · {document['info']['title']}", main, wide=False)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Markup:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    responses = [
        tag("tr", tag("th", status, scope="row"), tag("td", response["description"]))
        for status, response in operation["responses"].items()
    ]
    return tag(
        "details",
        tag(
            "summary",
            tag("span", method.upper(), class_=f"method {method}"),
            tag("code", path),
            tag("span", operation.get("summary", ""), class_="hint"),
        ),
        _fields(operation),
        _parameters(body.get("schema", {})),
        _example(body.get("examples", {})),
        tag("h3", "Answers"),
        tag("table", tag("tbody", responses)),
        class_="operation",
    )


def _fields(operation: Mapping[str, Any]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", tag("code", field["name"]), scope="row"),
            tag("td", field["in"]),
            tag("td", _type(field["schema"])),
        )
        for field in operation.get("parameters", [])
    ]
    return tag("h3", "Headers and path") + tag("table", tag("tbody", rows)) if rows else Markup("")


def _parameters(schema: Mapping[str, Any]) -> Markup:
    fields = schema.get("properties", {})
    found = fields if "inputs" not in fields else fields.get("parameters", {}).get("properties", {})
    rows = [
        tag(
            "tr",
            tag("th", tag("code", name), scope="row"),
            tag("td", _type(rule)),
            tag("td", rule.get("description", "")),
        )
        for name, rule in found.items()
    ]
    return tag("h3", "Parameters") + tag("table", tag("tbody", rows)) if rows else Markup("")


def _example(examples: Mapping[str, Any]) -> Markup:
    for example in examples.values():
        written = json.dumps(example["value"], indent=2, ensure_ascii=False)
        return tag("h3", "Example") + tag("pre", tag("code", written), tabindex="0")
    return Markup("")


def _type(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " | ".join(str(value) for value in rule["enum"])
    kinds = rule.get("type", "any")
    shown = kinds if isinstance(kinds, str) else " | ".join(kinds)
    default = rule.get("default")
    return shown if default is None else f"{shown} = {json.dumps(default)}"
