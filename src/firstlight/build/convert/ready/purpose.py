"""What a graph is for: the task, labels and limits that config.json and the files beside it say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.ready.reading import SENTENCE, TOKENS
from firstlight.build.convert.source import front_matter, function_to_apply, pooling, read_json
from firstlight.runtime.errors import ConversionError

_SAME_HEAD = {
    "zero-shot-classification": "text-classification",
    "sentence-similarity": "feature-extraction",
}
_AFTER_PADDING = (
    "camembert", "data2vec-text", "ibert", "longformer", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
)  # fmt: skip
"""Families whose positions are counted from the number after that of the padding token."""
_NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a graph will serve.

    Attributes:
        task: the bundle's.
        head: the task whose outputs the graph has.
        labels: of a classifier, by index.
        defaults: what bundle.json says under ``defaults``.
        apply: ``softmax``, ``sigmoid`` or ``none``: how scores are made of logits.
        pooling: ``mean``, ``cls`` or ``max``: how one vector is made of a text's.
        kinds: how many kinds of tokens (first text, second text) the model tells apart.
        padding: number of the padding token where positions are counted from it; None where they start at 0.
    """

    task: str
    head: str
    labels: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    apply: str = "softmax"
    pooling: str = "mean"
    kinds: int = 2
    padding: int | None = None


def find(
    outputs: Mapping[str, NDArray[Any]], home: Path, config: Mapping[str, Any], task: str | None
) -> Purpose:
    """Decide by the outputs of one text.

    Args:
        outputs: by our names, as the graph gives them for one text.
        home: folder of config.json and what else describes the model.
        task: a task tag; None infers it.

    Raises:
        ConversionError: the graph does not serve the task, or config.json does not fit it.
    """
    head = _head(outputs, config)
    if task is None:
        tag = front_matter(home).get("pipeline_tag", "")
        task = tag if _SAME_HEAD.get(tag) == head else head
    elif _SAME_HEAD.get(task, task) != head and task != head:
        message = f"the graph of {home} gives {', '.join(outputs)}, which serves {head}, not {task}"
        raise ConversionError(message, f"leave the task out, or set it to {head}")
    padding = _padding(config)
    labels: tuple[str, ...] = ()
    if head in ("text-classification", "token-classification"):
        labels = _labels(home, config, outputs["logits"].shape[-1])
    made = "mean" if head != "feature-extraction" else pooling(home)
    apply = function_to_apply({**config, "id2label": dict(enumerate(labels))})
    defaults = _limits(home, config, padding)
    if head == "text-classification":
        defaults["function_to_apply"] = apply
    elif head == "feature-extraction" and _one_vector(task, home, outputs):
        defaults["pooling"] = made
    kinds = config.get("type_vocab_size", 2)
    apply = apply if head == "text-classification" else "softmax"
    return Purpose(task, head, labels, defaults, apply, made, kinds if type(kinds) is int else 2, padding)


def _head(outputs: Mapping[str, NDArray[Any]], config: Mapping[str, Any]) -> str:
    if "start_logits" in outputs and "end_logits" in outputs:
        return "question-answering"
    if "logits" not in outputs:
        return "feature-extraction"
    logits = outputs["logits"]
    if logits.ndim == 2:
        return "text-classification"
    if logits.ndim != 3:
        raise ConversionError(
            f"the graph gives logits of {logits.ndim} dimensions", "classifiers have two, tokens three"
        )
    names = config.get("architectures")
    masked = any(
        str(name).endswith("ForMaskedLM") for name in (names if isinstance(names, list) else [names])
    )
    if masked or logits.shape[-1] == config.get("vocab_size"):
        return "fill-mask"
    return "token-classification"


def _labels(home: Path, config: Mapping[str, Any], count: int) -> tuple[str, ...]:
    named = config.get("id2label") or {number: f"LABEL_{number}" for number in range(count)}
    try:
        found = tuple(str(named[key]) for key in sorted(named, key=int))
    except (TypeError, ValueError, LookupError) as error:
        raise ConversionError(f"{home}/config.json: id2label does not number its labels") from error
    if len(found) != count:
        message = f"{home}/config.json names {len(found)} labels and the graph gives {count}"
        raise ConversionError(message, "config.json is of another model, or id2label is not complete")
    return found


def _limits(home: Path, config: Mapping[str, Any], padding: int | None) -> dict[str, Any]:
    limits: list[Any] = []
    positions = config.get("max_position_embeddings")
    if type(positions) is int:
        limits.append(positions - (0 if padding is None else padding + 1))
    tokenizer = read_json(home / "tokenizer_config.json")
    sentences = read_json(home / "sentence_bert_config.json")
    limits += [tokenizer.get("model_max_length"), sentences.get("max_seq_length")]
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return {"max_length": min(known)} if known else {}


def longest(home: Path, config: Mapping[str, Any], most: int) -> int:
    """Tokens of the longest text that the model takes, at most so many."""
    return min(int(_limits(home, config, _padding(config)).get("max_length", most)), most)


def _padding(config: Mapping[str, Any]) -> int | None:
    if config.get("model_type") not in _AFTER_PADDING:
        return None
    number = config.get("pad_token_id", 1)
    return number if type(number) is int else 1


def _one_vector(task: str, home: Path, outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a text is one vector; transformers answers one for each token of any other encoder."""
    return task != "feature-extraction" or SENTENCE in outputs or (home / "modules.json").is_file()


def expected(
    purpose: Purpose, outputs: Mapping[str, NDArray[np.float32]], masks: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """What a bundle's graph has to give for one text, worked out in numpy of what the source gives.

    Args:
        outputs: of the source, by our names: [1, ...].
        masks: places whose tokens are to be filled in.
    """
    if purpose.head == "question-answering":
        return {name: outputs[name] for name in ("start_logits", "end_logits")}
    if purpose.head == "fill-mask":
        return {"scores": _softmax(outputs["logits"][0, masks])}
    if purpose.head == "feature-extraction":
        return _vectors(purpose, outputs)
    logits = outputs["logits"]
    return {"logits": logits, "scores": _SCORES[purpose.apply](logits)}


def _vectors(purpose: Purpose, outputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    if SENTENCE in outputs:
        vector = outputs[SENTENCE]
        rows = vector[:, None]
    else:
        rows = outputs[TOKENS]
        vector = {"mean": rows.mean(axis=1), "max": rows.max(axis=1), "cls": rows[:, 0]}[purpose.pooling]
    return {TOKENS: rows, SENTENCE: vector / np.linalg.norm(vector, axis=-1, keepdims=True)}


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return scores


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = np.float32(1) / (np.float32(1) + np.exp(-logits))
    return scores


def _none(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits


_SCORES = {"softmax": _softmax, "sigmoid": _sigmoid, "none": _none}
