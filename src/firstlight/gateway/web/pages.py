"""The page of an endpoint as markup: what it is, its form, its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.web import answers, forms
from firstlight.gateway.web.examples import about, examples
from firstlight.gateway.web.frame import Look, page
from firstlight.gateway.web.markup import Markup, tag, text
from firstlight.gateway.web.snippets import replacement, snippets
from firstlight.gateway.web.timings import timing
from firstlight.invoke.types import Report
from firstlight.runtime.errors import FirstlightError


@dataclass(frozen=True, slots=True)
class View:
    """What a page of an endpoint shows.

    Args:
        task: what the endpoint is asked to do, one of those it serves; None for a script.
        base: URL of this server as the browser knows it, without a slash at its end.
    """

    look: Look
    gateway: Gateway
    entry: Entry
    task: str | None
    base: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking: a payload, or an error.

    Args:
        event: what was sent; empty when the form could not be read.
        payload: the parsed answer; with an error the function's own error object.
        total_ms: as the gateway saw it.
        ticks: milliseconds until each piece of a streamed answer came.
        before: what earlier parts of the same answer said.
    """

    event: dict[str, Any]
    payload: Any = None
    error: FirstlightError | None = None
    report: Report | None = None
    total_ms: float = 0.0
    ticks: tuple[float, ...] = ()
    before: str = ""


def endpoint_page(view: View, values: Mapping[str, str], result: Outcome | None) -> Markup:
    """The page of an endpoint: what it is, its form, and the answer when there is one."""
    entry = view.entry
    main = tag(
        "main",
        _title(view),
        _problem(entry),
        _tasks(view),
        tag(
            "form",
            _examples(view),
            forms.form(view.task, values),
            view.task and tag("input", type="hidden", name="task", value=view.task),
            tag(
                "div",
                tag("button", "Ask", type="submit", class_="ask"),
                streams(view) and tag("button", "Stop", type="button", class_="stop", hidden=True),
                tag("span", tag("kbd", "Ctrl"), " ", tag("kbd", "Enter"), class_="keys", aria_hidden="true"),
                class_="actions",
            ),
            method="post",
            action=f"/endpoints/{entry.name}",
            data_endpoint=entry.name,
            data_awake="yes" if view.gateway.awake(entry.name) else "no",
            data_stream=streams(view) and ("after" if view.task == "text-generation" else "alone"),
        ),
        tag("section", outcome(view, result), id="answer", aria_live="polite", aria_label="Answer"),
        replacement(entry),
        id="main",
    )
    return page(view.look, f"{entry.name} · firstlight", _endpoints(view), main)


def streams(view: View) -> bool:
    """Whether the answer is generated, so that it can be shown as it comes; an extractive summary is not."""
    if view.task == "summarization":
        return "feature-extraction" not in view.entry.tasks
    return view.task in ("text-generation", "translation", "text2text-generation")


def outcome(view: View, result: Outcome | None) -> Markup:
    """The answer, how long it took, and the request as code."""
    entry = view.entry
    if result is None:
        event = named(view, examples(entry, view.task)[0][1])
        return snippets(entry, event, view.base, view.gateway.guarded)
    parts: list[object] = []
    if result.error is not None:
        parts.append(_error(result))
    else:
        shown = answers.answer(view.task, result.event, result.payload, result.before)
        parts.append(tag("div", tag("h2", "Answer"), shown, class_="answer"))
    if result.report is not None:
        parts += [tag("p", warning, class_="warning") for warning in result.report.warnings]
        parts.append(timing(result.report, result.total_ms, result.ticks))
    if result.error is None:
        raw = tag("details", tag("summary", "As JSON"), answers.pretty(result.payload), class_="fold")
        parts.append(raw)
    if result.event:
        parts.append(snippets(entry, result.event, view.base, view.gateway.guarded))
    return text(parts)


def _endpoints(view: View) -> Markup:
    items = []
    for entry in view.gateway.catalogue:
        awake = view.gateway.awake(entry.name)
        state = "broken" if entry.problem else "awake" if awake else "asleep"
        items.append(
            tag(
                "li",
                tag(
                    "a",
                    tag("span", class_=f"state {state}", title=state),
                    tag("span", entry.name, class_="name"),
                    tag("span", entry.task or "script", class_="task"),
                    tag("span", f", {state}", class_="hidden state-text"),
                    href=f"/endpoints/{entry.name}",
                    aria_current="page" if entry.name == view.entry.name else None,
                ),
            )
        )
    return tag("nav", tag("ul", items), class_="endpoints", aria_label="Endpoints")


def shown_tasks(entry: Entry) -> tuple[str, ...]:
    """The tasks a page offers; how near sentences are says more to a person than a vector does, so it goes first."""
    order = {"sentence-similarity": 0, "zero-shot-classification": 1}
    if entry.task != "feature-extraction":
        return entry.tasks
    return tuple(sorted(entry.tasks, key=lambda task: order.get(task, 2)))


def named(view: View, event: dict[str, Any]) -> dict[str, Any]:
    """An event that says its task where that is not the endpoint's own."""
    return event if view.task == view.entry.task else {**event, "task": view.task}


def _tasks(view: View) -> Markup:
    """Links to the other things an endpoint can do."""
    shown = shown_tasks(view.entry)
    if len(shown) < 2:
        return Markup("")
    items = [
        tag(
            "li",
            tag(
                "a",
                task.replace("-", " "),
                href=f"/endpoints/{view.entry.name}?task={task}",
                aria_current="true" if task == view.task else None,
            ),
        )
        for task in shown
    ]
    return tag("nav", tag("ul", items), class_="tasks", aria_label="Tasks of this endpoint")


def _title(view: View) -> Markup:
    entry = view.entry
    facts = [view.task or "script", entry.precision, entry.source, entry.licence]
    return tag(
        "div",
        tag("h1", entry.name),
        tag("p", about(entry, view.task), class_="lead"),
        tag("p", " · ".join(fact for fact in facts if fact), class_="facts"),
        class_="title",
    )


def _problem(entry: Entry) -> Markup:
    return text(entry.problem and tag("p", entry.problem, class_="warning"))


def _examples(view: View) -> Markup:
    """Buttons that fill the form; their values ride along, so that no script has to know the fields."""
    buttons = [
        tag(
            "button",
            name,
            type="button",
            class_="chip",
            data_fill=json.dumps(forms.values_of(view.task, event)),
        )
        for name, event in examples(view.entry, view.task)
    ]
    if len(buttons) < 2:
        return Markup("")
    return tag(
        "div", tag("span", "Try", class_="hint"), buttons, class_="chips", role="group", aria_label="Examples"
    )


def _error(result: Outcome) -> Markup:
    error = result.error
    if error is None:
        return Markup("")
    payload = result.payload if isinstance(result.payload, dict) else {}
    trace = payload.get("stackTrace") or []
    shown = "".join(str(line) for line in trace) if trace else ""
    return tag(
        "div",
        tag("h2", "No answer"),
        tag("p", error.message, class_="headline"),
        error.hint and tag("p", error.hint[:1].upper() + error.hint[1:] + ".", class_="hint"),
        shown
        and tag(
            "details",
            tag("summary", "Stack trace"),
            tag("pre", tag("code", shown), tabindex="0"),
            class_="fold",
        ),
        class_="answer failed",
    )
