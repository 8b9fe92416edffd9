"""summarization: a shorter text, written by an encoder-decoder model or made of the text's own sentences.

A sentence encoder summarises by extraction: it keeps the sentences nearest to the middle of all of them, with a
weight for cue words and against very short and very long ones, in their own order (a centroid summary, after Radev
et al. 2004, "Centroid-based summarization of multiple documents"). Every answer of that kind is labelled extractive.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.tasks import checks, windows
from firstlight.runtime.tasks.embeddings import SENTENCE
from firstlight.runtime.tasks.seq2seq import Text2TextGeneration, schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tensor, Tokenizer

_CUES = (
    "we show",
    "we propose",
    "we present",
    "this paper",
    "in this work",
    "in conclusion",
    "in summary",
    "results",
)
_SHARE, _LEAST, _MOST = 0.3, 1, 5
_ENDS = ".!?…。！？"  # noqa: RUF001
_SHORT_WORDS = frozenset(
    ("dr", "mr", "mrs", "ms", "st", "vs", "etc", "e.g", "i.e", "fig", "no", "prof", "jr", "sr")
)


class Summarization:
    """A shorter text; the bundle decides how it is made."""

    name = "summarization"
    schema: dict[str, JSON] = schema(
        "summary_text",
        "The river rises in the hills north of the town. It passes three mills. It reaches the sea after ninety miles.",
    )

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        kind = Extract if bundle.defaults.get("pooling") else Abstract
        self._way: Extract | Abstract = kind(bundle, tokenizer)
        self.outputs: tuple[str, ...] = self._way.outputs
        self.check, self.preprocess, self.postprocess = (
            self._way.check,
            self._way.preprocess,
            self._way.postprocess,
        )


class Abstract(Text2TextGeneration):
    """Written anew by an encoder-decoder model."""

    name = "summarization"
    field = "summary_text"
    schema = Summarization.schema


class Extract:
    """Made of the text's own sentences, by a sentence encoder."""

    outputs = (SENTENCE,)

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; of the parameters ``max_length`` and ``min_length`` count, in tokens of the summary."""
        items, single = checks.texts(inputs)
        checked = checks.parameters("summarization", Summarization.schema["parameters"], parameters)
        checked["listed"] = single
        return items, single, checked

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for each sentence."""
        found = sentences(item)
        encodings = [self._tokenizer.encode(sentence) for sentence in found]
        rows = [windows.feeds(windows.shortened(encoding, self._limit)) for encoding in encodings]
        lengths = [len(encoding.ids) for encoding in encodings]
        return windows.Prepared(rows, self.outputs, (found, lengths, parameters))

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``[{"summary_text"}]`` for a single text, ``{"summary_text"}`` for one of several."""
        found, lengths, parameters = prepared.state
        notes.warn("extractive summary: sentences of the text itself, none written anew")
        vectors = [tensor.data.tolist() for (tensor,) in outputs]
        kept = _choose(found, lengths, vectors, parameters)
        answer = {"summary_text": " ".join(found[index] for index in kept)}
        return [answer] if parameters["listed"] else answer


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order and trimmed; a text without any end of sentence is one."""
    found, start = [], 0
    for at, letter in enumerate(text):
        ends = letter == "\n" and text[at + 1 : at + 2] == "\n"
        if letter in _ENDS:
            following = text[at + 1 : at + 2]
            # Only the last word matters: slicing a bounded tail keeps a text without spaces linear.
            word = text[max(start, at - 12) : at].rpartition(" ")[2].lower()
            ends = (not following or following.isspace() or letter in "。！？") and word not in _SHORT_WORDS  # noqa: RUF001
        if ends:
            found.append(text[start : at + 1].strip())
            start = at + 1
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence] or [text.strip()]


def _choose(
    found: Sequence[str],
    lengths: Sequence[int],
    vectors: Sequence[Sequence[float]],
    parameters: Mapping[str, JSON],
) -> list[int]:
    longest = parameters.get("max_new_tokens") or parameters.get("max_length")
    least = parameters.get("min_length", 0)
    most = max(_LEAST, min(_MOST, round(_SHARE * len(found))))
    scores = _central(vectors)
    for index, sentence in enumerate(found):
        lowered = sentence.lower()
        scores[index] += 0.1 * any(cue in lowered for cue in _CUES)
        scores[index] -= 0.1 * (lengths[index] < 8) + 0.05 * (lengths[index] > 60)
    kept: list[int] = []
    total = 0
    for index in sorted(range(len(found)), key=scores.__getitem__, reverse=True):
        fits = longest is None or total + lengths[index] <= longest
        if (len(kept) < most and (fits or not kept)) or (total < least and fits):
            kept.append(index)
            total += lengths[index]
    return sorted(kept)


def _central(vectors: Sequence[Sequence[float]]) -> list[float]:
    """Cosine of each unit vector with the mean of all."""
    middle = [sum(column) for column in zip(*vectors, strict=True)]
    size = sum(value * value for value in middle) ** 0.5 or 1.0
    return [sum(a * b for a, b in zip(vector, middle, strict=True)) / size for vector in vectors]
