"""What clients of the Inference API expect of each task, where it differs from what a pipeline returns.

Measured against huggingface_hub 0.36 to 2.4 and read from huggingface.js: text-classification has to be nested one
level deeper than ``transformers.pipeline`` returns it; summarization and translation have to be lists; zero-shot
changed its shape between huggingface_hub 1.1.1 and 1.1.7, so the client's own version decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from firstlight.gateway.asgi import dump_json

_LISTED_ZERO_SHOT = (1, 1, 7)
"""First huggingface_hub that reads ``[{"label", "score"}]``; the ones before read ``{"labels", "scores"}``."""

GENERATING = frozenset({"text-generation", "text2text-generation", "summarization", "translation"})
"""Tasks whose answers take long enough to be worth streaming, and worth ending when nobody waits for them."""

_HUB = re.compile(r"\bhf_hub/(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


def meant(inputs: Any, parameters: dict[str, Any], possible: tuple[str, ...]) -> str:
    """The task a request is for where its path does not say it; empty for the endpoint's own.

    A sentence encoder serves several tasks, and clients that are given a URL post all of them there.
    """
    if isinstance(inputs, dict) and "source_sentence" in inputs:
        task = "sentence-similarity"
    elif "candidate_labels" in parameters:
        task = "zero-shot-classification"
    else:
        return ""
    return task if task in possible[1:] else ""


def with_defaults(task: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters with the Inference API's own defaults, which are not the pipeline's.

    All labels are answered unless ``top_k`` says otherwise, entities are grouped, and a generated text does not begin
    with its prompt.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    if task == "text-classification":
        return {"top_k": None, **given}
    if task == "token-classification":
        return {"aggregation_strategy": "simple", **given}
    if task == "text-generation":
        return {"return_full_text": False, **given}
    return given


def for_client(task: str, inputs: Any, payload: bytes, user_agent: str) -> bytes:
    """A function's answer as the client reads it.

    Args:
        task: the task that answered.
        inputs: what was asked; a list is a batch.
        payload: the function's JSON.
        user_agent: the client's, ``...; hf_hub/2.4.0; ...``.
    """
    shape = _SHAPES.get(task)
    if shape is None:
        return payload
    return dump_json(shape(json.loads(payload), isinstance(inputs, list), user_agent))


def of_script(payload: bytes) -> tuple[int, bytes]:
    """Status and JSON of a script's answer; ``{"statusCode", "body"}`` is an HTTP answer in an envelope, so opened."""
    if b'"statusCode"' not in payload:
        return 200, payload
    value = json.loads(payload)
    if not isinstance(value, dict) or "body" not in value or "statusCode" not in value:
        return 200, payload
    body, status = value["body"], value["statusCode"]
    status = status if isinstance(status, int) and 200 <= status <= 599 and status not in (204, 304) else 200
    if isinstance(body, str):
        try:
            json.loads(body)
        except ValueError:
            return status, dump_json(body)
        return status, body.encode("utf-8", "surrogatepass")
    return status, dump_json(body)


def _nested(result: Any, batch: bool, _user_agent: str) -> Any:
    """``[[{label, score}, ...]]``: one list an input."""
    if not batch:
        return [result if isinstance(result, list) else [result]]
    return [item if isinstance(item, list) else [item] for item in result]


def _listed(result: Any, _batch: bool, _user_agent: str) -> Any:
    return result if isinstance(result, list) else [result]


def _zero_shot(result: Any, batch: bool, user_agent: str) -> Any:
    """Pairs for clients of today, parallel lists for huggingface_hub before 1.1.7."""
    old = hub_version(user_agent)
    if old is not None and old < _LISTED_ZERO_SHOT:
        return result
    return [_pairs(item) for item in result] if batch else _pairs(result)


def _pairs(item: Any) -> Any:
    if not isinstance(item, dict) or "labels" not in item:
        return item
    return [
        {"label": label, "score": score} for label, score in zip(item["labels"], item["scores"], strict=True)
    ]


def hub_version(user_agent: str) -> tuple[int, int, int] | None:
    """The huggingface_hub version in a user agent; None for other clients."""
    found = _HUB.search(user_agent)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


_SHAPES: dict[str, Callable[[Any, bool, str], Any]] = {
    "text-classification": _nested,
    "zero-shot-classification": _zero_shot,
    "summarization": _listed,
    "translation": _listed,
    "text2text-generation": _listed,
}
