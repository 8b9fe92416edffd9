"""question-answering: the piece of a context that answers a question.

As transformers 4.57's QuestionAnsweringPipeline (``preprocess``, ``select_starts_ends``, ``decode_spans``,
``postprocess``), which transformers 5 dropped: a long context is read in windows; in each, the probabilities of start
and end over the context's tokens (and the first special token) are multiplied; spans that read the same add up.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import arithmetic, checks, spans, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Encoding, Tensor, Tokenizer

_LENGTH, _STRIDE = 384, 128
"""Tokens of a window and tokens that windows share at most, where nothing else is asked for (as in 4.57)."""

_ONE = {
    "type": "object",
    "properties": {"question": {"type": "string"}, "context": {"type": "string"}},
    "required": ["question", "context"],
    "additionalProperties": False,
}
_MANY = {
    "type": "object",
    "description": "several questions, with one context for all or one for each",
    "properties": {
        "question": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "context": {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["question", "context"],
    "additionalProperties": False,
}


class QuestionAnswering:
    """The answer to a question, its score and its place in the context."""

    name = "question-answering"
    outputs = ("start_logits", "end_logits")
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {"oneOf": [_ONE, _MANY, {"type": "array", "minItems": 1, "items": _ONE}]},
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "top_k": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1000,
                    "default": 1,
                    "description": "how many answers, best first; a list when there is more than one",
                },
                "doc_stride": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "tokens that neighbouring windows of a long context share; the smaller of 128 and "
                    "half a window when not given",
                },
                "max_answer_len": {
                    "type": "integer",
                    "minimum": 1,
                    "default": 15,
                    "description": "tokens of an answer at most",
                },
                "max_seq_len": {
                    "type": "integer",
                    "minimum": 8,
                    "description": "tokens of a window, question and special tokens included; the smaller of 384 and "
                    "the model's limit when not given",
                },
                "max_question_len": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "tokens of the question at most; a question is cut to 64 only where it would leave "
                    "no room when not given",
                },
                "handle_impossible_answer": {
                    "type": "boolean",
                    "default": False,
                    "description": "let the empty answer compete",
                },
                "align_to_words": {
                    "type": "boolean",
                    "default": True,
                    "description": "widen an answer to whole words",
                },
            },
        },
        "output": {
            "type": "object",
            "properties": {
                "score": {"type": "number"},
                "start": {"type": "integer", "description": "first character in the context"},
                "end": {"type": "integer", "description": "character after the last one"},
                "answer": {"type": "string"},
            },
        },
        "example": {
            "inputs": {
                "question": "Where was the lantern found?",
                "context": "The lantern was found in the old boat house, a mile north of the harbour.",
            },
            "parameters": {},
        },
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[JSON], bool, dict[str, JSON]]:
        """Objects with ``question`` and ``context``, or lists in both; see ``runtime.types.Task.check``."""
        if isinstance(inputs, dict) and isinstance(inputs.get("question"), list):
            items, single = _several(inputs), False
        else:
            items, single = checks.each(inputs, _pair)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        length = checked.setdefault("max_seq_len", min(self._limit or _LENGTH, _LENGTH))
        if self._limit is not None and length > self._limit:
            raise InvalidInput(f"parameter 'max_seq_len' is {length}, the model takes {self._limit} tokens")
        stride = checked.setdefault("doc_stride", min(length // 2, _STRIDE))
        if stride > length:
            raise InvalidInput(
                f"parameter 'doc_stride' is {stride}, larger than max_seq_len, which is {length}"
            )
        return items, single, checked

    def preprocess(self, item: tuple[str, str], parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for each window of the context."""
        question, context = item
        length, stride = parameters["max_seq_len"], parameters["doc_stride"]
        encoding = self._tokenizer.encode(self._question(question, parameters), context)
        if len(encoding.ids) > length and not windows.fits(encoding, length, stride):
            asked = parameters.get("max_question_len") or 64
            encoding = self._tokenizer.encode(self._cut(question, asked), context)
        parts = windows.overlapping(encoding, length, stride, sequence=1)
        rows = [windows.feeds(part) for part in parts]
        return windows.Prepared(rows, self.outputs, (context, parts, parameters))

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``{"score", "start", "end", "answer"}``; a list of them when ``top_k`` finds several."""
        context, parts, parameters = prepared.state
        top_k, align = parameters["top_k"], parameters["align_to_words"]
        # Some spans become one when they are widened to words, so more of them are looked at.
        wanted = top_k * 2 + 10 if align else top_k
        answers: dict[str, dict[str, JSON]] = {}
        null = 1.0
        for part, (start, end) in zip(parts, outputs, strict=True):
            found = spans.Spans(_allowed(part), arithmetic.floats(start), arithmetic.floats(end))
            null = min(null, found.null)
            place = _Places(part) if align else None
            offsets = part.offsets
            for score, first, last in found.best(wanted, parameters["max_answer_len"]):
                place_of = place.span(first, last) if place else (offsets[first][0], offsets[last][1])
                _add(answers, context, score, *place_of)
        ranked = list(answers.values())
        if parameters["handle_impossible_answer"]:
            ranked.append({"score": null, "start": 0, "end": 0, "answer": ""})
        ranked.sort(key=_score, reverse=True)
        if not ranked:
            return {"score": 0.0, "start": 0, "end": 0, "answer": ""}
        return ranked[0] if len(ranked[:top_k]) == 1 else ranked[:top_k]

    def _question(self, question: str, parameters: Mapping[str, JSON]) -> str:
        asked = parameters.get("max_question_len")
        return question if asked is None else self._cut(question, asked)

    def _cut(self, question: str, limit: int) -> str:
        """The question's beginning of at most ``limit`` tokens."""
        encoding = self._tokenizer.encode(question)
        own = [
            offsets
            for offsets, owner in zip(encoding.offsets, encoding.sequence_ids, strict=True)
            if owner == 0
        ]
        if len(own) <= limit:
            return question
        notes.warn(f"the question has {len(own)} tokens: those after the first {limit} were left out")
        return question[: own[limit - 1][1]]


class _Places:
    """Token numbers to characters of the context, widened to whole words."""

    def __init__(self, part: Encoding) -> None:
        self._words = part.word_ids
        self._offsets = part.offsets
        self._bounds: dict[int, tuple[int, int]] = {}
        for (start, end), word, owner in zip(self._offsets, self._words, part.sequence_ids, strict=True):
            if owner == 1 and word is not None:
                self._bounds[word] = (self._bounds.get(word, (start, 0))[0], end)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Start and end of the words that hold the tokens ``first`` to ``last``."""
        start, end = self._words[first], self._words[last]
        if start in self._bounds and end in self._bounds:
            return self._bounds[start][0], self._bounds[end][1]
        return self._offsets[first][0], self._offsets[last][1]


def _add(answers: dict[str, dict[str, JSON]], context: str, score: float, start: int, end: int) -> None:
    """Add a span to the answers; one that reads the same as another raises its score."""
    text = context[start:end]
    known = answers.get(text.lower())
    if known is None:
        answers[text.lower()] = {"score": score, "start": start, "end": end, "answer": text}
    else:
        known["score"] += score


def _allowed(part: Encoding) -> list[bool]:
    """The tokens an answer may use: the context's, and the model's first special token wherever it stands."""
    first = part.ids[0]
    return [owner == 1 or token == first for owner, token in zip(part.sequence_ids, part.ids, strict=True)]


def _score(answer: dict[str, JSON]) -> float:
    score: float = answer["score"]
    return score


def _pair(where: str, value: JSON) -> tuple[str, str]:
    checks.fields(where, value, ("question", "context"))
    return (
        checks.text(f"{where}.question", value["question"], empty=False),
        checks.text(f"{where}.context", value["context"], empty=False),
    )


def _several(inputs: JSON) -> list[tuple[str, str]]:
    """Lists of questions and contexts, or one context for all questions."""
    checks.fields("inputs", inputs, ("question", "context"))
    questions, contexts = checks.filled("inputs.question", inputs["question"]), inputs["context"]
    if isinstance(contexts, str):
        contexts = [contexts] * len(questions)
    if len(checks.filled("inputs.context", contexts)) != len(questions):
        raise InvalidInput(
            f"inputs has {len(questions)} questions and {len(contexts)} contexts", "send one for each"
        )
    return [
        _pair(f"inputs[{i}]", {"question": question, "context": context})
        for i, (question, context) in enumerate(zip(questions, contexts, strict=True))
    ]
