"""How far an eight-bit graph is from the exact one, measured on real sentences; too far is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert.sentences import PAIRS, SENTENCES
from firstlight.runtime.errors import ConversionError

Outputs = list[dict[str, NDArray[np.float32]]]
Report = dict[str, float | int]

LIMITS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "text-classification": {"clear_label_agreement": (0.97, 1.0), "max_score_diff": (0.0, 0.35)},
    "token-classification": {"clear_label_agreement": (0.97, 1.0)},
    "question-answering": {"clear_span_agreement": (0.8, 1.0)},
    "fill-mask": {"clear_label_agreement": (0.9, 1.0)},
    "feature-extraction": {"mean_cosine": (0.985, 1.0), "min_cosine": (0.95, 1.0)},
}
"""Lowest and highest figure allowed, by the task whose head the graph has."""

_NEAR_TIE = 0.1
"""A label less than this ahead of the next may change without anybody being wronged."""

_NEAR_TIE_LOGITS = 0.2
"""The same of places in a text: of two, the one is then as likely as 0.55 and the other as 0.45."""


def check(exact: Path, quantised: Path, tokenizer: Path, head: str) -> Report:
    """Run both graphs over ``texts(head)``.

    Returns:
        What bundle.json stores under ``parity``.

    Raises:
        ConversionError: a figure is outside ``LIMITS``.
    """
    return judged(measure(exact, quantised, tokenizer, head, texts(head)), head)


def judged(report: Report, head: str) -> Report:
    """The report, if its figures are within ``LIMITS``.

    Raises:
        ConversionError: one is not.
    """
    for name, (low, high) in LIMITS[head].items():
        if not low <= report[name] <= high:
            message = f"eight-bit weights change the answers of this model: {name} is {report[name]}"
            raise ConversionError(
                message, f"allowed is {low} to {high}; use precision fp32, or nb8 if this was int8"
            )
    return report


def measure(
    exact: Path,
    quantised: Path,
    tokenizer: Path,
    head: str,
    texts: Sequence[str] | Sequence[tuple[str, str]],
) -> Report:
    """The figures, without judging them.

    Args:
        texts: sentences; for question-answering pairs of question and context.
    """
    rows = feeds(tokenizer, texts)
    return {"texts": len(rows), **figures(run(exact, rows), run(quantised, rows), head)}


def figures(exact: Outputs, quantised: Outputs, head: str) -> Report:
    """How far outputs for the same texts are from each other, without judging it."""
    return _COMPARE[head](exact, quantised)


def texts(head: str) -> Sequence[str] | Sequence[tuple[str, str]]:
    """What graphs of a task are compared on."""
    return PAIRS if head == "question-answering" else SENTENCES


def feeds(
    tokenizer: Path, texts: Sequence[str] | Sequence[tuple[str, str]], longest: int = 256
) -> list[dict[str, Any]]:
    """One row of at most ``longest`` ids a text, under every input name a graph may have."""
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.enable_truncation(max_length=longest)
    rows = []
    for encoding in encoder.encode_batch(list(texts)):
        feed = {"input_ids": encoding.ids, "token_type_ids": encoding.type_ids}
        feed["mask_positions"] = [len(encoding.ids) // 2]
        rows.append({name: np.array(row, dtype=np.int64) for name, row in feed.items()})
    return rows


def run(graph: Path, feeds: Sequence[Mapping[str, NDArray[np.int64]]]) -> Outputs:
    """The named outputs of a graph for every row."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConversionError(f"onnxruntime refuses the graph made of this model: {error}") from error
    ranks = {value.name: len(value.shape) for value in session.get_inputs()}
    outputs = [value.name for value in session.get_outputs()]
    results = []
    for feed in feeds:
        rows = {name: feed[name] if rank == 1 else feed[name][None] for name, rank in ranks.items()}
        results.append(dict(zip(outputs, session.run(None, rows), strict=True)))
    return results


def _rounded(value: float) -> float:
    return round(float(value), 5)


def _scores(exact: Outputs, quantised: Outputs) -> Report:
    pairs = [(a["scores"], b["scores"]) for a, b in zip(exact, quantised, strict=True)]
    agree = np.concatenate([(a.argmax(axis=-1) == b.argmax(axis=-1)).ravel() for a, b in pairs])
    clear = np.concatenate([_margin(a).ravel() >= _NEAR_TIE for a, _ in pairs])
    worst = max(float(np.abs(a - b).max()) for a, b in pairs)
    return {
        "label_agreement": _rounded(agree.mean()),
        "clear_label_agreement": _rounded(agree[clear].mean()) if clear.any() else 1.0,
        "max_score_diff": _rounded(worst),
    }


def _margin(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the best score of each row is ahead of the second."""
    if scores.shape[-1] < 2:
        return np.ones(scores.shape[:-1], dtype=np.float32)
    two = np.partition(scores, -2, axis=-1)[..., -2:]
    ahead: NDArray[np.float32] = two[..., 1] - two[..., 0]
    return ahead


def _spans(exact: Outputs, quantised: Outputs) -> Report:
    same, clear, worst = [], [], 0.0
    for a, b in zip(exact, quantised, strict=True):
        pairs = [(a[name].ravel(), b[name].ravel()) for name in ("start_logits", "end_logits")]
        same.append(all(left.argmax() == right.argmax() for left, right in pairs))
        clear.append(all(_margin(left) >= _NEAR_TIE_LOGITS for left, _ in pairs))
        worst = max(worst, *(float(np.abs(left - right).max()) for left, right in pairs))
    certain = [agree for agree, is_clear in zip(same, clear, strict=True) if is_clear]
    return {
        "span_agreement": _rounded(sum(same) / len(same)),
        "clear_span_agreement": _rounded(sum(certain) / len(certain)) if certain else 1.0,
        "max_logit_diff": _rounded(worst),
    }


def _embeddings(exact: Outputs, quantised: Outputs) -> Report:
    left, right = (np.concatenate([out["sentence_embedding"] for out in side]) for side in (exact, quantised))
    cosines = (left * right).sum(axis=1)
    nearest = [_nearest(side) for side in (left, right)]
    return {
        "mean_cosine": _rounded(cosines.mean()),
        "min_cosine": _rounded(cosines.min()),
        "nearest_agreement": _rounded((nearest[0] == nearest[1]).mean()),
    }


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -1)
    nearest: NDArray[np.int64] = np.argmax(similar, axis=1)
    return nearest


_COMPARE: Mapping[str, Callable[[Outputs, Outputs], Report]] = {
    "text-classification": _scores,
    "token-classification": _scores,
    "question-answering": _spans,
    "fill-mask": _scores,
    "feature-extraction": _embeddings,
}
