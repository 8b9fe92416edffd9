"""Summaries made of a text's own sentences, by a sentence encoder.

It keeps the sentences nearest to the middle of all of them, with a weight for cue words and against very short and
very long ones, in their own order (a centroid summary, after Radev et al. 2004, "Centroid-based summarization of
multiple documents"). Every answer is labelled extractive.
"""

from __future__ import annotations

from time import perf_counter_ns

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import checks, parts, windows
from firstlight.runtime.tasks.embeddings import SENTENCE
from firstlight.runtime.tasks.seq2seq_parameters import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.tasks.parts import Span
    from firstlight.runtime.types import JSON, BundleFacts, Encoding, TensorEngine, Tokenizer

    Event = dict[str, JSON]

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
_SHORT, _LONG = 8, 60
"""Tokens of a sentence below and above which it counts less."""


class Extract:
    """Made of the text's own sentences; the time taken grows with the text, and ends where the deadline is."""

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer, schema: Mapping[str, JSON]) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer
        self._schema = schema

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; of the parameters those on length count, in tokens of the summary.

        Raises:
            InvalidInput: more than one answer is asked for, or an answer goes on: here there is nothing to go on with.
        """
        items, single = checks.texts(inputs)
        checked = read("summarization", self._schema["parameters"], parameters)
        if checked.get("num_return_sequences", 1) > 1:
            raise InvalidInput("parameter 'num_return_sequences' must be 1: there is one extractive summary")
        if "continuation" in checked:
            raise InvalidInput("an extractive summary has no continuation", "leave it out")
        checked["listed"] = single
        return items, single, checked

    def stream(
        self, engine: TensorEngine, item: str, parameters: Mapping[str, JSON], deadline: Deadline
    ) -> Iterator[Event]:
        """One event for each sentence that is kept, when all have been read."""
        began = perf_counter_ns()
        spans = parts.by_sentence(item, self._room())
        lengths, vectors = self._read(engine, item, spans, deadline.sooner(parameters.get("max_time")))
        notes.since("first_token", began)
        notes.warn("extractive summary: sentences of the text itself, none written anew")
        seen = spans[: len(vectors)]
        kept = _choose([item[start:end] for start, end in seen], lengths, vectors, parameters)
        text, events = "", []
        for place, index in enumerate(kept):
            start, end = seen[index]
            piece = _gap(item, seen, kept[place - 1], index) if place else ""
            text += piece + item[start:end]
            events.append(_event(place + 1, piece + item[start:end]))
        yield from events
        generated = sum(lengths[index] for index in kept)
        notes.count("prompt_tokens", sum(lengths))
        notes.count("generated_tokens", generated)
        details: dict[str, JSON] = {
            "finish_reason": "eos_token",
            "generated_tokens": generated,
            "prompt_tokens": sum(lengths),
            "seed": None,
        }
        if len(seen) < len(spans):
            missing = [[spans[len(seen)][0], spans[-1][1]]]
            details |= {"finish_reason": "length", "deadline": True}
            details["parts"] = {"done": len(seen), "of": len(spans), "missing": missing}
            notes.warn(f"the time was up when {len(seen)} of {len(spans)} sentences were read")
        yield {**_event(len(kept) + 1, ""), "generated_text": text, "details": details}

    def last(
        self, engine: TensorEngine, item: str, parameters: Mapping[str, JSON], deadline: Deadline
    ) -> Event:
        """The last of the events."""
        return list(self.stream(engine, item, parameters, deadline))[-1]

    def answer(self, item: str, events: Sequence[Event], parameters: Mapping[str, JSON]) -> JSON:  # noqa: ARG002
        """``[{"summary_text"}]`` for a single text, ``{"summary_text"}`` for one of several."""
        last = events[-1]
        answer = {"summary_text": last["generated_text"]}
        if "parts" in last["details"]:
            answer["details"] = {
                name: last["details"][name] for name in ("finish_reason", "deadline", "parts")
            }
        return [answer] if parameters["listed"] else answer

    def _room(self) -> parts.Room:
        special = len(self._tokenizer.encode("").ids)
        return parts.Room(self._offsets, None if self._limit is None else self._limit - special)

    def _offsets(self, text: str) -> list[Span]:
        encoding = self._tokenizer.encode(text)
        owners = encoding.sequence_ids
        return [offset for offset, owner in zip(encoding.offsets, owners, strict=True) if owner is not None]

    def _read(
        self, engine: TensorEngine, text: str, spans: Sequence[Span], deadline: Deadline
    ) -> tuple[list[int], list[Sequence[float]]]:
        """Length and vector of each part; at least of the first one, and no more once the deadline has passed."""
        known: Sequence[str] = engine.inputs  # type: ignore[attr-defined]
        lengths: list[int] = []
        vectors: list[Sequence[float]] = []
        for start, end in spans:
            if vectors and deadline.passed:
                break
            encoding: Encoding = windows.shortened(self._tokenizer.encode(text[start:end]), self._limit)
            feeds = {name: rows for name, rows in windows.feeds(encoding).items() if name in known}
            (vector,) = engine.run(feeds, (SENTENCE,))
            vectors.append(vector.data.tolist())
            lengths.append(len(encoding.ids))
        return lengths, vectors


def _event(index: int, text: str) -> Event:
    token = {"id": -1, "text": text, "logprob": None, "special": not text}
    return {"index": index, "token": token, "generated_text": None, "details": None}


def _gap(text: str, spans: Sequence[Span], before: int, after: int) -> str:
    """What goes between two parts: the text's own spaces between neighbours, a space between others."""
    own = text[spans[before][1] : spans[after][0]] if after == before + 1 else " "
    last, first = text[spans[before][1] - 1], text[spans[after][0]]
    return parts.between("" if after != before + 1 or "\n" in own else own, last, first)


def _choose(
    found: Sequence[str],
    lengths: Sequence[int],
    vectors: Sequence[Sequence[float]],
    parameters: Mapping[str, JSON],
) -> list[int]:
    """Indices of the sentences to keep, in order."""
    longest = parameters.get("max_new_tokens") or parameters.get("max_length")
    least = parameters.get("min_new_tokens") or parameters.get("min_length") or 0
    most = max(_LEAST, min(_MOST, round(_SHARE * len(found))))
    scores = _central(vectors)
    for index, sentence in enumerate(found):
        lowered = sentence.lower()
        scores[index] += 0.1 * any(cue in lowered for cue in _CUES)
        scores[index] -= 0.1 * (lengths[index] < _SHORT) + 0.05 * (lengths[index] > _LONG)
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
    if not vectors:
        return []
    middle = [sum(column) for column in zip(*vectors, strict=True)]
    size = sum(value * value for value in middle) ** 0.5 or 1.0
    return [sum(a * b for a, b in zip(vector, middle, strict=True)) / size for vector in vectors]
