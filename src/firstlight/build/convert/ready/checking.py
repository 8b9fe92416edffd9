"""What a source gives for real sentences, and how far a bundle's graph is from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.convert import parity
from firstlight.build.convert.onnx_seq2seq_run import Run
from firstlight.build.convert.ready.purpose import Purpose, expected
from firstlight.build.convert.ready.reading import IDS, KINDS, MASK, POSITIONS
from firstlight.runtime.errors import ConversionError

Values = dict[str, NDArray[Any]]
Feeds = Mapping[str, NDArray[np.int64]]

EXACT = 1e-4
"""How far a float32 graph may be from its source, in parts of the largest number (or of one, if that is less)."""

LONG = 512
"""Tokens of a text that shows whether the lengths were written into the graph."""
_LENGTHS = (3, 4, 9, 17)
_PAIRS = 12
"""Texts that an eight-bit graph is given alone and in company."""


@dataclass(frozen=True, slots=True)
class Golden:
    """What a source gives for some texts.

    Attributes:
        feeds: one row of ids a text (``parity.feeds``).
        outputs: of the source by our names, one text each.
    """

    feeds: Sequence[Feeds]
    outputs: Sequence[Values]


class Original:
    """A graph as it came, fed with what an exporter expects: a mask of ones, positions counted for it.

    Args:
        file: the graph.
        outputs: our name of an output -> the graph's.
        padding: number of the padding token where positions are counted from it.
    """

    def __init__(self, file: Path, outputs: Mapping[str, str], padding: int | None = None) -> None:
        self._run = Run(file, level=0, pack=True)
        self._outputs = outputs
        self._padding = padding

    def __call__(self, ids: NDArray[np.int64], kinds: NDArray[np.int64]) -> Values:
        """Outputs by our names.

        Args:
            ids: [texts, tokens].
            kinds: [texts, tokens], of the first or the second text of a pair.
        """
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        if self._padding is not None:
            text = ids != self._padding
            positions = text.cumsum(axis=1) * text + self._padding
        given = {IDS: ids, MASK: np.ones_like(ids), KINDS: kinds, POSITIONS: positions}
        feeds = {name: given[name].astype(_ELEMENTS[value.type]) for name, value in self._run.inputs.items()}
        try:
            found = self._run(feeds)
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise ConversionError(f"onnxruntime cannot run the graph on a text: {error}") from error
        return {name: found[own] for name, own in self._outputs.items()}


_ELEMENTS: Mapping[str, Any] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(bool)": np.bool_,
}


def golden(original: Original, tokenizer: Path, purpose: Purpose) -> Golden:
    """What a graph gives for the project's sentences, and for one as long as the model takes (or 512 tokens)."""
    feeds = fitting(parity.feeds(tokenizer, parity.texts(purpose.head)), purpose)
    return Golden(feeds, [one(original, feed, purpose) for feed in feeds])


def fitting(feeds: Sequence[Feeds], purpose: Purpose) -> list[Feeds]:
    """Texts no longer than the model takes, and one more, made of all of them, that is as long (at most 512 tokens)."""
    length = min(purpose.defaults.get("max_length", LONG), LONG)
    row = np.concatenate([feed["input_ids"] for feed in feeds])
    whole = [*feeds, {"input_ids": row, "token_type_ids": np.zeros_like(row)}]
    found: list[Feeds] = []
    for feed in whole:
        cut = {name: feed[name][:length] for name in (IDS, KINDS)}
        found.append({**cut, "mask_positions": np.array([len(cut[IDS]) // 2])})
    return found


def sizes(purpose: Purpose) -> list[Feeds]:
    """Texts of different lengths for one of our graphs, to see what in it depends on the length alone."""
    lengths = [min(tokens, purpose.defaults.get("max_length", LONG)) for tokens in _LENGTHS]
    rows = [np.zeros((1, tokens), np.int64) for tokens in lengths]
    return [{IDS: row, KINDS: row, "mask_positions": np.arange(row.shape[1])[:2]} for row in rows]


def one(original: Original, feed: Feeds, purpose: Purpose) -> Values:
    """A source's outputs for one text."""
    kinds = feed["token_type_ids"] if purpose.kinds > 1 else np.zeros_like(feed["token_type_ids"])
    return original(feed["input_ids"][None], kinds[None])


def wanted(source: Golden, purpose: Purpose) -> parity.Outputs:
    """What a bundle's graph has to give for the texts."""
    pairs = zip(source.outputs, source.feeds, strict=True)
    return [expected(purpose, outputs, feed["mask_positions"]) for outputs, feed in pairs]


def exactness(made: Path, source: Golden, purpose: Purpose) -> parity.Report:
    """Compare a float32 graph with its source.

    Returns:
        ``texts``, ``max_diff`` (of all numbers it gives) and ``label_agreement``, for bundle.json.

    Raises:
        ConversionError: they differ by more than ``EXACT``.
    """
    before = wanted(source, purpose)
    after = parity.run(made, source.feeds)
    worst = float(np.max([_difference(a, b) for a, b in zip(before, after, strict=True)]))
    report: parity.Report = {"texts": len(before), "max_diff": float(f"{worst:.3g}")}
    report |= parity.figures(before, after, purpose.head)
    if not worst <= EXACT:  # a number that is none is not less either
        message = f"the converted graph gives other numbers than its source: they differ by {worst:.3g}"
        raise ConversionError(message, f"allowed is {EXACT:g}; export the model again, or report it")
    return report


def _difference(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference of any output, in parts of its largest number where that is more than one."""
    found = []
    for name, numbers in before.items():
        if numbers.shape != after[name].shape:
            message = (
                f"the converted graph gives {name} of shape {after[name].shape}, its source {numbers.shape}"
            )
            raise ConversionError(message, "export the model with dynamic axes")
        found.append(float(np.abs(numbers - after[name]).max()) / max(1.0, float(np.abs(numbers).max())))
    return float(np.max(found))  # Python's max would lose what is no number


def nearness(made: Path, source: Golden, purpose: Purpose) -> parity.Report:
    """Compare an eight-bit graph with the exact source, or with what it was before surgery.

    Raises:
        ConversionError: a figure is outside ``parity.LIMITS``.
    """
    after = parity.run(made, source.feeds)
    report = {"texts": len(after), **parity.figures(wanted(source, purpose), after, purpose.head)}
    return parity.judged(report, purpose.head)


def company(original: Original, source: Golden, purpose: Purpose) -> parity.Report:
    """Whether an eight-bit graph that cannot be compared with an exact one makes sense.

    It is given texts alone, and beside another one. The scale of its activations is then another, so that the answers
    differ by about what eight bits cost; where that is much, they cost too much.

    Returns:
        The figures by ``company_`` names; none where the graph takes one text only, or no text that is cut.

    Raises:
        ConversionError: the answers do not depend on the text, are no numbers, or depend on the company.
    """
    _check_answers(source, purpose)
    alone, beside = [], []
    half = min(_PAIRS, len(source.feeds) // 2)
    for first, second in zip(source.feeds[:half], source.feeds[half : 2 * half], strict=True):
        tokens = min(len(first["input_ids"]), len(second["input_ids"]))
        both = [np.stack([feed[name][:tokens] for feed in (first, second)]) for name in (IDS, KINDS)]
        if purpose.kinds < 2:
            both[1] = np.zeros_like(both[1])
        try:
            together, single = original(*both), original(*(rows[:1] for rows in both))
        except ConversionError:
            return {}
        masks = np.array([tokens // 2])
        alone.append(expected(purpose, single, masks))
        beside.append(expected(purpose, {name: rows[:1] for name, rows in together.items()}, masks))
    report = parity.judged(parity.figures(alone, beside, purpose.head), purpose.head)
    return {f"company_{name}": figure for name, figure in report.items()}


def _check_answers(source: Golden, purpose: Purpose) -> None:
    outputs = [np.concatenate([part.ravel() for part in row.values()]) for row in wanted(source, purpose)]
    if not all(np.isfinite(row).all() for row in outputs):
        raise ConversionError("the graph gives what are no numbers", "take the graph in fp32")
    shortest = min(len(row) for row in outputs)
    if all(np.array_equal(row[:shortest], outputs[0][:shortest]) for row in outputs[1:]):
        raise ConversionError("the graph gives the same answer for every text", "take the graph in fp32")
