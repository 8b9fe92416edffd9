"""Finding the answer to a question as a span of its context, for training and for measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from tokenizers import Tokenizer
from transformers import BertForQuestionAnswering

from data import Answer, Question
from encoder import pad

CLS, SEP = 101, 102
WINDOW, STRIDE, LONGEST_QUESTION, LONGEST_ANSWER = 256, 96, 48, 25


@dataclass(frozen=True, slots=True)
class Window:
    """A question with a stretch of its context, and the span to find; (0, 0) says there is none.

    ``offsets`` are the characters of the context that each token from ``base`` on stands for.
    """

    ids: list[int]
    base: int
    offsets: list[tuple[int, int]]
    start: int = 0
    end: int = 0


def windows(tokenizer: Tokenizer, question: Question) -> list[Window]:
    """A question's context in overlapping stretches that fit the model beside the question."""
    asked = tokenizer.encode(question.text.strip(), add_special_tokens=False).ids[:LONGEST_QUESTION]
    context = tokenizer.encode(question.context, add_special_tokens=False)
    room, base, at, result = WINDOW - len(asked) - 3, len(asked) + 2, 0, []
    while True:
        stretch = slice(at, at + room)
        ids = [CLS, *asked, SEP, *context.ids[stretch], SEP]
        result.append(Window(ids, base, context.offsets[stretch]))
        if stretch.stop >= len(context.ids):
            return result
        at += room - STRIDE


def point(window: Window, answer: Answer) -> Window:
    """The window with the answer's tokens marked, or unchanged where it does not hold the whole answer."""
    first, last = answer.start, answer.start + len(answer.text)
    inside = [place for place, (left, right) in enumerate(window.offsets) if left < last and right > first]
    if not inside or window.offsets[inside[0]][0] > first or window.offsets[inside[-1]][1] < last:
        return window
    return replace(window, start=window.base + inside[0], end=window.base + inside[-1])


def inputs(batch: Sequence[Window]) -> dict[str, torch.Tensor]:
    """The model's inputs: the question is segment 0, the context segment 1."""
    ids, mask = pad([window.ids for window in batch])
    places = torch.arange(ids.shape[1])
    bases = torch.tensor([window.base for window in batch])[:, None]
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": (places >= bases).long() * mask}


def best_span(window: Window, start: torch.Tensor, end: torch.Tensor) -> tuple[float, slice]:
    """The likeliest span of a window by the sum of its logits, and the characters it covers."""
    count = len(window.offsets)
    inside = slice(window.base, window.base + count)
    scores = start[inside, None] + end[None, inside]
    allowed = torch.ones(count, count, dtype=torch.bool).triu().tril(LONGEST_ANSWER - 1)
    score, place = scores.masked_fill(~allowed, -torch.inf).flatten().max(0)
    first, last = divmod(int(place), count)
    return float(score), slice(window.offsets[first][0], window.offsets[last][1])


def answer(model: BertForQuestionAnswering, tokenizer: Tokenizer, question: Question) -> tuple[str, float]:
    """The likeliest answer, and by how much it beats having none: below 0, the model says there is none."""
    stretches = windows(tokenizer, question)
    with torch.inference_mode():
        output = model(**inputs(stretches))
    logits = list(zip(stretches, output.start_logits.float(), output.end_logits.float(), strict=True))
    score, span = max((best_span(*each) for each in logits), key=lambda scored: scored[0])
    nothing = min(float(start[0] + end[0]) for _, start, end in logits)
    return question.context[span], score - nothing
