"""Measure a trained starter on texts it has not seen.

python starters/evaluate.py sentiment out/sentiment --data path/to/data
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import BertForQuestionAnswering, BertForSequenceClassification

import data as sources
from data import Labelled
from encoder import encode, pad
from measures import answering, classification
from spans import answer
from vocabulary import plain

LONGEST = {"sentiment": 128, "lyrics": 160}
SURE = 0.9


def predict(model: torch.nn.Module, tokenizer: Tokenizer, texts: Sequence[str], longest: int) -> torch.Tensor:
    """The logits of some texts, one row a text."""
    encoded = [encoding.ids for encoding in encode(tokenizer, texts, longest)]
    order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
    rows: dict[int, torch.Tensor] = {}
    with torch.inference_mode():
        for at in range(0, len(order), 64):
            picked = order[at : at + 64]
            ids, mask = pad([encoded[index] for index in picked])
            logits = model(input_ids=ids, attention_mask=mask).logits.float()
            rows.update(zip(picked, logits, strict=True))
    return torch.stack([rows[index] for index in range(len(texts))])


def measure_classifier(
    model: BertForSequenceClassification,
    tokenizer: Tokenizer,
    tests: Mapping[str, Sequence[Labelled]],
    longest: int,
) -> dict[str, dict[str, float]]:
    """The measures of every test set."""
    return {
        name: classification(
            predict(model, tokenizer, [example.text for example in examples], longest), examples
        )
        for name, examples in tests.items()
    }


def measure_neutral(
    model: BertForSequenceClassification, tokenizer: Tokenizer, longest: int
) -> dict[str, float]:
    """How sure the model is about sentences that take no side: it should not be."""
    lines = (Path(__file__).parent / "neutral.txt").read_text(encoding="utf-8").splitlines()
    scores = predict(model, tokenizer, lines, longest).softmax(-1).max(-1).values
    return {
        "examples": len(lines),
        "mean_score": round(float(scores.mean()), 4),
        "share_sure": round(float((scores > SURE).double().mean()), 4),
    }


def measure_qa(
    model: BertForQuestionAnswering, tokenizer: Tokenizer, data: Path, count: int
) -> dict[str, Any]:
    """The measures on questions of articles the model has not seen.

    ``answered`` asks for an answer always; ``with_impossible`` also lets the model say there is none, of
    questions that are half without one.
    """
    answered = random.Random(1).sample(list(sources.squad(data, "1.1", held_out=True)), count)
    mixed = random.Random(1).sample(list(sources.squad(data, "2.0", held_out=True)), count)
    always = [answer(model, tokenizer, question)[0] for question in answered]
    margins = [answer(model, tokenizer, question) for question in mixed]
    free = [text if margin > 0 else "" for text, margin in margins]
    return {
        "answered": answering(always, answered),
        "with_impossible": answering(free, mixed),
        "impossible_recognised": share(
            guess == "" for guess, q in zip(free, mixed, strict=True) if not q.answers
        ),
        "answerable_refused": share(guess == "" for guess, q in zip(free, mixed, strict=True) if q.answers),
    }


def share(outcomes: Iterable[bool]) -> float:
    """The share of outcomes that are true."""
    listed = list(outcomes)
    return round(sum(listed) / len(listed), 4)


def load(folder: Path, kind: type[Any]) -> tuple[Any, Tokenizer]:
    """A trained folder's model, ready to answer, and its tokenizer."""
    tokenizer = plain(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")))
    return kind.from_pretrained(folder).eval(), tokenizer


def evaluate(starter: str, folder: Path, data: Path) -> dict[str, Any]:
    """All measures of one starter."""
    if starter == "qa":
        return measure_qa(*load(folder, BertForQuestionAnswering), data, 1000)
    model, tokenizer = load(folder, BertForSequenceClassification)
    if starter == "lyrics":
        tests = {"unseen_songs": sources.lyrics(data, "test")[1]}
        return measure_classifier(model, tokenizer, tests, LONGEST[starter])
    measured: dict[str, Any] = measure_classifier(
        model, tokenizer, sources.sentiment_tests(data), LONGEST[starter]
    )
    return measured | {"neutral": measure_neutral(model, tokenizer, LONGEST[starter])}


def main() -> None:
    """Print the measures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("starter", choices=["lyrics", "qa", "sentiment"])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(evaluate(options.starter, options.folder, options.data), indent=2))


if __name__ == "__main__":
    main()
