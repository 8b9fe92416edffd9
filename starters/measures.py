"""How good an answer is: pure arithmetic over logits and texts."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from data import Labelled, Question

BINS = 15


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of right answers."""
    return float((logits.argmax(-1) == labels).double().mean())


def macro_f1(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The mean over labels of their F1, so that rare labels count as much as common ones."""
    guesses, scores = logits.argmax(-1), []
    for label in range(logits.shape[-1]):
        hits = int(((guesses == label) & (labels == label)).sum())
        total = int((guesses == label).sum() + (labels == label).sum())
        scores.append(2 * hits / total if total else 0.0)
    return sum(scores) / len(scores)


def calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = BINS) -> float:
    """The expected calibration error: how far, on average, a score is from how often it is right."""
    scores, guesses = logits.double().softmax(-1).max(-1)
    right = (guesses == labels).double()
    places = (scores * bins).long().clamp(max=bins - 1)
    gaps = [(scores[places == place].sum() - right[places == place].sum()).abs() for place in range(bins)]
    return float(sum(gaps)) / len(labels)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that makes the scores of held-out texts likeliest: above 1 where they were too sure."""
    log_temperature = torch.zeros((), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits.double() / log_temperature.exp(), labels)
        value.backward()
        return value

    optimizer.step(loss)
    return float(log_temperature.detach().exp())


def classification(logits: torch.Tensor, examples: Sequence[Labelled]) -> dict[str, float]:
    """All measures of a classifier on one test set."""
    labels = torch.tensor([example.label for example in examples])
    return {
        "examples": len(examples),
        "accuracy": round(accuracy(logits, labels), 4),
        "macro_f1": round(macro_f1(logits, labels), 4),
        "calibration_error": round(calibration_error(logits, labels), 4),
    }


def normalized(answer: str) -> str:
    """An answer as SQuAD compares it: lower case, without punctuation, articles and spare spaces."""
    bare = "".join(character for character in answer.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def exact_match(guess: str, answers: Iterable[str]) -> float:
    """1 where the guess equals an answer, else 0. No answers at all are matched by the empty guess."""
    return float(normalized(guess) in {normalized(answer) for answer in answers or [""]})


def word_f1(guess: str, answers: Iterable[str]) -> float:
    """The best overlap of words between the guess and an answer."""
    return max(overlap(normalized(guess).split(), normalized(answer).split()) for answer in answers or [""])


def overlap(guess: list[str], answer: list[str]) -> float:
    """F1 over the words of two answers; two empty ones agree."""
    if not guess or not answer:
        return float(guess == answer)
    common = (Counter(guess) & Counter(answer)).total()
    return 2 * common / (len(guess) + len(answer))


def answering(guesses: Sequence[str], questions: Sequence[Question]) -> dict[str, float]:
    """Exact match and F1, in per cent."""
    pairs = [
        (guess, [answer.text for answer in q.answers]) for guess, q in zip(guesses, questions, strict=True)
    ]
    return {
        "questions": len(pairs),
        "exact_match": round(100 * sum(exact_match(*pair) for pair in pairs) / len(pairs), 2),
        "f1": round(100 * sum(word_f1(*pair) for pair in pairs) / len(pairs), 2),
    }
