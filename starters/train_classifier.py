"""Train the starters ``sentiment`` and ``lyrics``: classifiers on a small encoder with a cut vocabulary.

    python starters/train_classifier.py sentiment --data path/to/data --out out/sentiment --minutes 11

The vocabulary is cut before training, the scores are calibrated after it, and the folder written holds a
Hugging Face model (model.safetensors, config.json, tokenizer.json) with the measures of held-out texts in
metrics.json.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

import data as sources
import vocabulary
from data import NEITHER, Labelled
from encoder import Base, build, encode, keep_rows, load_base, pad, save
from evaluate import LONGEST, measure_classifier, measure_neutral, predict
from loop import Plan, Run, seed_everything, train
from measures import calibration_error, fit_temperature


@dataclass(frozen=True)
class Recipe:
    """What differs between the classifiers."""

    layers: int
    learning_rate: float
    batch: int
    epochs: float
    pieces: int
    dropout: float
    neutral: int
    validation: int


RECIPES = {
    "sentiment": Recipe(
        layers=6, learning_rate=1.2e-4, batch=64, epochs=1.75, pieces=12_000, dropout=0.1,
        neutral=1500, validation=2000,
    ),
    "lyrics": Recipe(
        layers=3, learning_rate=3e-4, batch=32, epochs=3, pieces=12_000, dropout=0.1,
        neutral=0, validation=600,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """One starter's texts. The temperature is fitted on ``validation``; ``tests`` are only measured."""

    labels: Sequence[str]
    train: list[Labelled]
    validation: list[Labelled]
    tests: dict[str, list[Labelled]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as token identifiers."""

    ids: list[int]
    label: int


def read_sentiment(data: Path, recipe: Recipe, seed: int) -> Texts:
    """Sentences with a side, some of them kept to calibrate on, and everyday sentences without one."""
    tests = sources.sentiment_tests(data)
    examples = sources.unseen(sources.sentiment_train(data), tests.values())
    calm = sources.neutral_sentences(data, sources.lean(examples), recipe.neutral, seed)
    train, validation = set_aside(examples, recipe.validation, seed)
    return Texts(sources.SENTIMENTS, train + [Labelled(text, NEITHER) for text in calm], validation, tests)


def read_lyrics(data: Path, recipe: Recipe, seed: int) -> Texts:
    """Stanzas of song books. Those to calibrate on come from the tests, as only there the songs are unseen.

    A temperature moves no answer, so accuracy is measured on all tests; its own effect on the others alone.
    """
    kinds, tests = sources.lyrics(data, "test")
    train = sources.unseen(sources.lyrics(data, "train")[1], [tests])
    measured, validation = set_aside(tests, recipe.validation, seed)
    rng = random.Random(seed)
    short = {"one_or_two_lines": [sources.fragment(stanza, rng) for stanza in tests]}
    # Short texts of every kind: else brevity alone would say "nursery rhyme", whose stanzas are short.
    train += [sources.fragment(stanza, rng) for stanza in train]
    return Texts(kinds, train, validation, {"unseen_songs": tests, "not_calibrated_on": measured} | short)


READERS = {"sentiment": read_sentiment, "lyrics": read_lyrics}


def set_aside(examples: list[Labelled], count: int, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Examples to train on, and a random few to calibrate on."""
    order = random.Random(seed).sample(examples, len(examples))
    return order[count:], order[:count]


def cut_vocabulary(base: Base, texts: list[str], general: list[str], size: int) -> Base:
    """The base with the pieces of the training texts, and of everyday English, alone."""
    counts = vocabulary.count_pieces(base.tokenizer, texts + general)
    kept = vocabulary.choose(base.tokenizer_json, counts, size)
    smaller = keep_rows(base, vocabulary.cut(base.tokenizer_json, kept), kept)
    unknown = vocabulary.unknown_share(smaller.tokenizer, texts)
    print(f"vocabulary: {len(kept):,} pieces, {unknown:.5%} of the training texts unknown", flush=True)
    return smaller


def tokenize(tokenizer: Tokenizer, examples: list[Labelled], longest: int) -> list[Encoded]:
    """Texts as token identifiers."""
    encodings = encode(tokenizer, [example.text for example in examples], longest)
    return [
        Encoded(encoding.ids, example.label) for encoding, example in zip(encodings, examples, strict=True)
    ]


def fit(model: BertForSequenceClassification, examples: list[Encoded], plan: Plan) -> Run:
    """Train on cross-entropy. A text of no side has the even target.

    The targets are not smoothed otherwise: what smoothing does to easy and hard texts no temperature can undo.
    """
    count = int(model.config.num_labels or 0)
    targets = torch.cat([torch.eye(count), torch.full((1, count), 1 / count)])  # row -1 is NEITHER's

    def loss_of(batch: list[Encoded]) -> torch.Tensor:
        ids, mask = pad([example.ids for example in batch])
        logits = model(input_ids=ids, attention_mask=mask).logits
        target = targets[torch.tensor([example.label for example in batch])]
        return torch.nn.functional.cross_entropy(logits.float(), target)

    return train(model, examples, loss_of, lambda example: len(example.ids), plan)


def calibrate(
    model: BertForSequenceClassification, tokenizer: Tokenizer, validation: list[Labelled], longest: int
) -> dict[str, float]:
    """Fit a temperature on held-out texts and fold it into the head, so that softmax is calibrated."""
    logits = predict(model, tokenizer, [example.text for example in validation], longest)
    labels = torch.tensor([example.label for example in validation])
    temperature = fit_temperature(logits, labels)
    with torch.no_grad():
        model.classifier.weight.div_(temperature)
        model.classifier.bias.div_(temperature)
    return {
        "temperature": round(temperature, 4),
        "examples": len(validation),
        "calibration_error_before": round(calibration_error(logits, labels), 4),
        "calibration_error_after": round(calibration_error(logits / temperature, labels), 4),
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("starter", choices=sorted(RECIPES))
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--minutes", type=float, default=20, help="the time box of the training")
    parser.add_argument("--epochs", type=float, help="instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def wrap(base: Base, recipe: Recipe, labels: Sequence[str]) -> BertForSequenceClassification:
    """A fresh classifier on the first layers of the base."""
    settings = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "hidden_dropout_prob": recipe.dropout,
        "attention_probs_dropout_prob": recipe.dropout,
    }
    return build(BertForSequenceClassification, base, recipe.layers, attn_implementation="eager", **settings)


def main() -> None:
    """Read, cut, train, measure, calibrate, measure again, save."""
    options = arguments()
    torch.set_num_threads(options.threads)
    seed_everything(options.seed)
    recipe, longest = RECIPES[options.starter], LONGEST[options.starter]
    texts = READERS[options.starter](options.data, recipe, options.seed)
    general = random.sample(sources.everyday_sentences(options.data), 40_000)
    base = cut_vocabulary(load_base(), [example.text for example in texts.train], general, recipe.pieces)
    model, tokenizer = wrap(base, recipe, texts.labels), base.tokenizer
    examples = tokenize(tokenizer, texts.train, longest)
    tokens = sum(len(example.ids) for example in examples)
    print(f"{options.starter}: {len(examples):,} texts, {tokens:,} tokens an epoch", flush=True)
    epochs = options.epochs or recipe.epochs
    plan = Plan(epochs, options.minutes, recipe.learning_rate, recipe.batch, options.seed)
    run = fit(model, examples, plan)
    before = measure_classifier(model, tokenizer, texts.tests, longest)
    calibration = calibrate(model, tokenizer, texts.validation, longest)
    save(model, base, options.out, longest)
    metrics = {
        "starter": options.starter,
        "data": sources.CREDITS[options.starter],
        "recipe": asdict(recipe) | {"vocabulary": base.config["vocab_size"], "plan": asdict(plan)},
        "training": asdict(run) | {"epochs": round(run.examples / len(examples), 2), "texts": len(examples)},
        "temperature": calibration["temperature"],
        "calibration": calibration,
        "tests_before_calibration": before,
        "tests": measure_classifier(model, tokenizer, texts.tests, longest),
    }
    if recipe.neutral:
        metrics["neutral"] = measure_neutral(model, tokenizer, longest)
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(metrics, indent=2), flush=True)


if __name__ == "__main__":
    main()
