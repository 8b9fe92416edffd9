"""Measures of a bundle as it ships, run by firstlight's own runtime, on texts its model has not seen."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import data as sources
from data import Labelled, Question
from firstlight.build.convert import encoder, parity
from firstlight.runtime.model import Model
from measures import answering, classification

Figures = dict[str, dict[str, Any]]

SURE = 0.9
QUESTIONS = 1000
SENTENCES = 400


def measure(name: str, bundle: Path, trained: Path, data: Path) -> Figures:
    """The figures of one starter, one row a test set.

    Args:
        trained: the folder the bundle was made from.
    """
    if name == "embeddings":
        return embeddings(bundle, data, trained)
    return {"sentiment": sentiment, "lyrics": lyrics, "qa": qa}[name](bundle, data)


def sentiment(bundle: Path, data: Path) -> Figures:
    """Four held-out sets, and forty sentences that take no side."""
    model = Model.load(bundle)
    figures: Figures = {
        name: classified(model, texts) for name, texts in sources.sentiment_tests(data).items()
    }
    neutral = (Path(__file__).parent / "neutral.txt").read_text(encoding="utf-8").splitlines()
    best = [max(row) for row in scores(model, neutral)]
    sure = sum(score > SURE for score in best)
    figures["neutral sentences"] = {"examples": len(neutral), f"scored above {SURE}": sure}
    return figures


def lyrics(bundle: Path, data: Path) -> Figures:
    """Stanzas of songs that are not in the training set, and a line or two of each."""
    model, stanzas, chance = Model.load(bundle), sources.lyrics(data, "test")[1], random.Random(0)
    short = [sources.fragment(stanza, chance) for stanza in stanzas]
    return {"unseen songs": classified(model, stanzas), "one or two lines of them": classified(model, short)}


def qa(bundle: Path, data: Path) -> Figures:
    """Questions about ten articles the model has not seen, with and without ones that have no answer."""
    model = Model.load(bundle)
    figures: Figures = {}
    for name, version, impossible in (("SQuAD 1.1", "1.1", False), ("SQuAD 2.0", "2.0", True)):
        questions = random.Random(1).sample(list(sources.squad(data, version, held_out=True)), QUESTIONS)
        guesses = [reply(model, question, impossible) for question in questions]
        figures[name] = answering(guesses, questions)
    return figures


def embeddings(bundle: Path, data: Path, trained: Path) -> Figures:
    """Questions that look for the paragraph they were asked about; and how near the exact vectors are."""
    asked = random.Random(2).sample(list(sources.squad(data, "1.1", held_out=True)), QUESTIONS)
    with tempfile.TemporaryDirectory() as folder:
        exact = encoder.convert(trained, Path(folder) / "exact", task="feature-extraction")
        figures = {
            name: retrieval(made, asked) for name, made in (("as shipped", bundle), ("float32", exact))
        }
        texts = [example.text for tests in sources.sentiment_tests(data).values() for example in tests]
        sample = random.Random(3).sample(texts, SENTENCES)
        graphs = exact / encoder.GRAPH, bundle / encoder.GRAPH
        near = parity.measure(*graphs, bundle / "tokenizer.json", "feature-extraction", sample)
    figures["as shipped"] |= {name: near[name] for name in ("mean_cosine", "min_cosine", "nearest_agreement")}
    return figures


def scores(model: Model, texts: Sequence[str]) -> list[list[float]]:
    """One row of scores a text, in the order of the bundle's labels."""
    labels = model.bundle.labels
    rows = []
    for text in texts:
        found = {row["label"]: row["score"] for row in model(text, {"top_k": len(labels)})}
        rows.append([found[label] for label in labels])
    return rows


def classified(model: Model, examples: Sequence[Labelled]) -> dict[str, float]:
    """Accuracy, macro F1 and calibration of one test set."""
    return classification(torch.tensor(scores(model, [example.text for example in examples])).log(), examples)


def reply(model: Model, question: Question, impossible: bool) -> str:
    """The model's answer; empty where it says there is none."""
    asked = {"question": question.text, "context": question.context}
    return str(model(asked, {"handle_impossible_answer": impossible})["answer"])


def retrieval(bundle: Path, questions: Sequence[Question]) -> dict[str, Any]:
    """How often the paragraph nearest to a question is its own, and how often it is among the nearest five."""
    model = Model.load(bundle)
    model.settle()
    paragraphs = sorted({question.context for question in questions})
    places = vectors(model, paragraphs)
    near = (vectors(model, [question.text for question in questions]) @ places.T).topk(5, dim=1).indices
    own = torch.tensor([paragraphs.index(question.context) for question in questions])[:, None]
    return {
        "questions": len(questions),
        "paragraphs": len(paragraphs),
        "nearest_is_right": round(float((near[:, :1] == own).double().mean()), 4),
        "right_in_nearest_5": round(float((near == own).any(dim=1).double().mean()), 4),
    }


def vectors(model: Model, texts: Sequence[str]) -> torch.Tensor:
    """One normalised row a text, straight from the graph."""
    rows = []
    for text in texts:
        (item,), _, parameters = model.task.check(text, {})
        prepared = model.task.preprocess(item, parameters)
        feeds = {name: value for name, value in prepared.feeds[0].items() if name in model.engine.inputs}
        rows.append(list(model.engine.run(feeds, ["sentence_embedding"])[0].data))
    return torch.tensor(rows)
