"""What an endpoint answered, as a person reads it; one function a task, JSON for all that has no other form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from firstlight.gateway.web import bars
from firstlight.gateway.web.markup import Markup, tag, text

JSON_SHOWN = 40_000
"""Characters of JSON that are shown; the whole of it is what the API answers."""


_ENDED = {
    "length": "It ended at the number of tokens that was asked for.",
    "stop_sequence": "It ended at a stop text.",
    "deadline": "Time was up before it had ended.",
}


def answer(task: str | None, event: dict[str, Any], result: Any, before: str = "") -> Markup:
    """The answer's markup.

    Args:
        task: the task that answered, None for a script.
        event: what was asked.
        result: what came back; a shape that is not the task's own is shown as JSON.
        before: what earlier parts of a generated answer said.
    """
    if before:
        event = {**event, "before": before}
    render = _RENDERERS.get(task) if task else _script
    if render is not None:
        try:
            return render(event, result)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError):
            pass
    return pretty(result)


def pretty(value: Any) -> Markup:
    """Any value as indented JSON."""
    written = json.dumps(value, indent=2, ensure_ascii=False)
    if len(written) > JSON_SHOWN:
        written = written[:JSON_SHOWN] + f"\n... {len(written) - JSON_SHOWN} more characters"
    return tag("pre", tag("code", written), class_="json", tabindex="0")


def _labels(_event: dict[str, Any], result: Any) -> Markup:
    rows = result if isinstance(result, list) else [result]
    return bars.scored([(row["label"], float(row["score"])) for row in rows])


def _zero_shot(_event: dict[str, Any], result: Any) -> Markup:
    return bars.scored(zip(result["labels"], map(float, result["scores"]), strict=True))


def _question(event: dict[str, Any], result: Any) -> Markup:
    rows = result if isinstance(result, list) else [result]
    best = rows[0]
    context = event["inputs"]["context"]
    found = best["answer"].strip()
    parts = [
        tag("p", found or "The text does not say.", class_="headline"),
        tag("p", "Score ", tag("b", bars.percent(float(best["score"]))), class_="hint"),
        bars.bar(float(best["score"])),
    ]
    if found:
        parts.append(tag("blockquote", _marked(context, best["start"], best["end"]), class_="context"))
    if len(rows) > 1:
        others = [(row["answer"] or "(no answer)", float(row["score"])) for row in rows]
        parts.append(bars.scored(others))
    return text(parts)


def _marked(context: str, start: int, end: int) -> Markup:
    """A context with the answer marked; of a long one the part around it."""
    left, right = max(0, start - 600), min(len(context), end + 600)
    return text(
        [
            "…" if left else "",
            context[left:start],
            tag("mark", context[start:end]),
            context[end:right],
            "…" if right < len(context) else "",
        ]
    )


def _entities(event: dict[str, Any], result: Any) -> Markup:
    words, kinds = event["inputs"], []
    if not result:
        return tag("p", "No names were found.", class_="headline quiet")
    pieces: list[object] = []
    at = 0
    for row in sorted(result, key=lambda row: row["start"]):
        kind = row.get("entity_group") or row["entity"]
        if kind not in kinds:
            kinds.append(kind)
        if row["start"] < at:
            continue
        shown = tag(
            "mark",
            words[row["start"] : row["end"]],
            tag("span", kind, class_="kind"),
            class_=f"entity e{kinds.index(kind) % 6}",
        )
        pieces += [words[at : row["start"]], shown]
        at = row["end"]
    rows = [
        (f"{row['word']} ({row.get('entity_group') or row['entity']})", float(row["score"])) for row in result
    ]
    flow = tag("p", pieces, words[at:], class_="flow")
    return flow + tag("details", tag("summary", "Scores"), bars.scored(rows, best=None), class_="fold")


def _similarity(event: dict[str, Any], result: Any) -> Markup:
    sentences = event["inputs"]["sentences"]
    rows = [(sentence, float(score)) for sentence, score in zip(sentences, result, strict=True)]
    best = max(range(len(rows)), key=lambda index: rows[index][1])
    return bars.scored(rows, best=best, figure="{:.2f}".format)


def _fill(_event: dict[str, Any], result: Any) -> Markup:
    return bars.scored([(row["sequence"], float(row["score"])) for row in result])


def _features(_event: dict[str, Any], result: Any) -> Markup:
    vector = result
    while isinstance(vector[0], list):
        vector = vector[0]
    numbers = [float(value) for value in vector]
    parts = [
        tag("p", f"A vector of {len(numbers)} numbers", class_="headline"),
        bars.vector(numbers[:512]),
        tag("p", f"It starts {', '.join(f'{value:.3f}' for value in numbers[:4])}, …", class_="hint"),
    ]
    return text(parts)


def _written(key: str) -> Callable[[dict[str, Any], Any], Markup]:
    def render(_event: dict[str, Any], result: Any) -> Markup:
        rows = result if isinstance(result, list) else [result]
        return text([tag("p", row[key], class_="written") for row in rows])

    return render


def _generated(event: dict[str, Any], result: Any) -> Markup:
    """The prompt, what was added to it, and why that ended."""
    row = result[0] if isinstance(result, list) else result
    before = event.get("before", "")
    prompt, said = event["inputs"] + before, row["generated_text"]
    details = row.get("details") or {}
    ended = _ENDED.get("deadline" if details.get("deadline") else details.get("finish_reason", ""), "")
    fill = json.dumps({"parameters.continuation": details.get("continuation"), "before": before + said})
    return text(
        [
            tag("p", tag("span", prompt, class_="prompt"), said, class_="written"),
            ended and tag("p", ended, class_="hint"),
            details.get("continuation")
            and tag("button", "Go on", type="button", class_="chip", data_fill=fill),
        ]
    )


def _script(_event: dict[str, Any], result: Any) -> Markup:
    """A script's answer; of an HTTP answer the body."""
    if isinstance(result, dict) and "statusCode" in result and "body" in result:
        status = tag("p", "Status ", tag("b", result["statusCode"]), class_="hint")
        return status + _value(result["body"])
    return _value(result)


def _value(value: Any) -> Markup:
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return tag("p", value[:JSON_SHOWN], class_="written")
        value = parsed
    if _scored(value):
        return _labels({}, value)
    return pretty(value)


def _scored(value: Any) -> bool:
    """Whether a value is what a text classifier answers."""
    rows = value if isinstance(value, list) else [value]
    return bool(rows) and all(
        isinstance(row, dict)
        and row.keys() == {"label", "score"}
        and isinstance(row["score"], (int, float))
        and 0 <= row["score"] <= 1
        for row in rows
    )


_RENDERERS: dict[str, Callable[[dict[str, Any], Any], Markup]] = {
    "text-classification": _labels,
    "token-classification": _entities,
    "question-answering": _question,
    "sentence-similarity": _similarity,
    "zero-shot-classification": _zero_shot,
    "fill-mask": _fill,
    "feature-extraction": _features,
    "summarization": _written("summary_text"),
    "translation": _written("translation_text"),
    "text2text-generation": _written("generated_text"),
    "text-generation": _generated,
}
