"""Readers of the data sets the starters are trained on: each turns one folder of files into plain records.

Every reader takes the folder given by ``--data`` and opens the folder of that name inside it. Nothing is
downloaded: each data set's SOURCE.txt names where it came from and under which licence.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEITHER = -1
"""The label of a text that belongs to no side: its target is spread evenly over all labels."""

SENTIMENTS = ("NEGATIVE", "POSITIVE")
HELD_OUT_ARTICLES = 10
LINE_BREAK = " / "

CREDITS = {
    "sentiment": [
        "sentence_polarity (Bo Pang and Lillian Lee), CC BY 4.0",
        "pros_cons (Bing Liu), product_reviews (Minqing Hu and Bing Liu), CC BY 4.0",
        "GoEmotions (Demszky and others, Google Research), CC BY 4.0",
        "Tatoeba, sentences without a side, CC BY 2.0 FR, tatoeba.org by way of manythings.org",
    ],
    "lyrics": ["six song books from Project Gutenberg, public domain in the USA"],
    "qa": [
        "SQuAD 1.1 and 2.0, development sets (Rajpurkar and others), CC BY-SA 4.0",
        "QAMR (Michael and others), MIT; its sentences are Wikipedia's (CC BY-SA) and Wikinews's (CC BY)",
    ],
}
"""What each starter is trained on, by whom, and under which licence."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the index of its label."""

    text: str
    label: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A span of a question's context."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one context; it has no answers where the context does not hold one."""

    text: str
    context: str
    answers: tuple[Answer, ...]


def read_sentiment(file: Path) -> list[Labelled]:
    """A tab-separated file of the columns sentence and label (0 negative, 1 positive)."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Labelled(row["sentence"].strip(), int(row["label"])) for row in rows]


def sentiment_train(data: Path) -> list[Labelled]:
    """Film and product reviews, lists of pros and cons, and Reddit comments, all CC BY 4.0."""
    return read_sentiment(data / "sentiment-ccby" / "train.tsv")


def sentiment_tests(data: Path) -> dict[str, list[Labelled]]:
    """The held-out sets, by the name of what they hold."""
    files = sorted((data / "sentiment-ccby").glob("test_*.tsv"))
    return {file.stem.removeprefix("test_"): read_sentiment(file) for file in files}


def unseen(examples: Iterable[Labelled], tests: Iterable[Iterable[Labelled]]) -> list[Labelled]:
    """The examples that stand in no test set, letters and digits compared: short comments repeat."""
    tested = {letters(example.text) for test in tests for example in test}
    return [example for example in examples if letters(example.text) not in tested]


def letters(text: str) -> str:
    """A text's letters and digits, in lower case."""
    return "".join(character for character in text.lower() if character.isalnum())


def lean(examples: Iterable[Labelled]) -> dict[str, float]:
    """How far each word leans to the positive side: the log of its smoothed odds."""
    counts = (Counter[str](), Counter[str]())
    for example in examples:
        counts[example.label].update(set(words(example.text)))
    totals = [sum(count.values()) for count in counts]
    return {
        word: math.log((counts[1][word] + 1) / totals[1]) - math.log((counts[0][word] + 1) / totals[0])
        for word in counts[0].keys() | counts[1].keys()
    }


def words(text: str) -> list[str]:
    """Lower-case words, without the punctuation around them."""
    return [word for word in (part.strip(".,;:!?\"'()") for part in text.lower().split()) if word]


def neutral_sentences(data: Path, leaning: dict[str, float], count: int, seed: int) -> list[str]:
    """Everyday sentences no word of which leans to a side in the reviews.

    A model that has only seen two sides answers "the train leaves at nine" with an arbitrary one, loudly.
    Shown such sentences with an even target it learns to answer with a low score instead.
    """
    calm = sorted({text for text in everyday_sentences(data) if is_calm(text, leaning)})
    return random.Random(seed).sample(calm, min(len(calm), count))


def is_calm(text: str, leaning: dict[str, float], limit: float = 0.7) -> bool:
    """Whether no word of a sentence, nor their sum, tells a side in the reviews. Unknown words tell none."""
    scores = [leaning.get(word, 0.0) for word in words(text)]
    return len(scores) >= 4 and all(abs(score) < limit for score in scores) and abs(sum(scores)) < limit


def everyday_sentences(data: Path) -> list[str]:
    """The English half of Tatoeba's sentence pairs (CC BY 2.0 FR)."""
    with gzip.open(data / "tatoeba-en-fr" / "train.en.gz", "rt", encoding="utf-8") as lines:
        return [line.strip() for line in lines]


def lyrics(data: Path, split: str) -> tuple[list[str], list[Labelled]]:
    """The kinds of song, and stanzas of public-domain song books that belong to them, on one line each."""
    with (data / "lyrics-pd" / f"{split}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    kinds = sorted({row["label"] for row in rows})
    return kinds, [Labelled(one_line(row["text"]), kinds.index(row["label"])) for row in rows]


def one_line(stanza: str) -> str:
    """A stanza as one line, its line breaks kept as slashes, the way verse is quoted in prose."""
    return LINE_BREAK.join(line.strip() for line in stanza.splitlines() if line.strip())


def fragment(stanza: Labelled, rng: random.Random, longest: int = 2) -> Labelled:
    """A line or two of a stanza, which is what people type."""
    lines = stanza.text.split(LINE_BREAK)
    count = rng.randint(1, longest)
    start = rng.randrange(max(1, len(lines) - count + 1))
    return Labelled(LINE_BREAK.join(lines[start : start + count]), stanza.label)


def squad_articles(data: Path, version: str) -> list[dict[str, Any]]:
    """The articles of a SQuAD development set, version "1.1" or "2.0" (CC BY-SA 4.0)."""
    with (data / "squad" / f"dev-{version}.rebuilt.json").open(encoding="utf-8") as file:
        articles: list[dict[str, Any]] = json.load(file)["data"]
    return articles


def held_out_titles(data: Path) -> frozenset[str]:
    """The articles no model is trained on. One set for both versions, as they share their articles."""
    titles = sorted(article["title"] for article in squad_articles(data, "1.1"))
    random.Random(0).shuffle(titles)
    return frozenset(titles[:HELD_OUT_ARTICLES])


def squad(data: Path, version: str, *, held_out: bool) -> Iterator[Question]:
    """The questions of the held-out articles, or those of all others."""
    held = held_out_titles(data)
    for article in squad_articles(data, version):
        if (article["title"] in held) != held_out:
            continue
        for paragraph in article["paragraphs"]:
            for row in paragraph["qas"]:
                texts = [] if row.get("is_impossible") else [answer["text"] for answer in row["answers"]]
                context, text = paragraph["context"], row["question"]
                yield Question(text, context, tuple(Answer(a, locate(a, text, context)) for a in texts))


def locate(answer: str, question: str, context: str, reach: int = 60) -> int:
    """Where an answer stands, of the places that read the same: where most of the question's words are near.

    The rebuilt files give the first place only, which may be another mention or a part of a longer word.
    """
    whole = re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)")
    starts = [match.start() for match in whole.finditer(context)] or [context.find(answer)]
    asked = set(words(question))

    def shared(start: int) -> int:
        around = context[max(0, start - reach) : start + len(answer) + reach]
        return len(asked.intersection(words(around)))

    return max(starts, key=shared)


def qamr_sentences(data: Path) -> dict[str, str]:
    """Sentences of Wikipedia and Wikinews by their identifier, tokens parted by spaces."""
    with (data / "qamr" / "wiki-sentences.tsv").open(encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split("\t")[:2] for line in lines)


def qamr(data: Path) -> Iterator[Question]:
    """Questions about single sentences whose answer is one run of words (MIT)."""
    sentences = qamr_sentences(data)
    for split in ("dev", "test"):
        with (data / "qamr" / f"filtered.{split}.tsv").open(encoding="utf-8") as lines:
            for line in lines:
                fields = line.rstrip("\n").split("\t")
                picked = [int(index) for index in fields[6].split()]
                if fields[0] in sentences and picked and picked[-1] - picked[0] + 1 == len(picked):
                    yield sentence_question(sentences[fields[0]], fields[5], picked[0], picked[-1])


def sentence_question(sentence: str, question: str, first: int, last: int) -> Question:
    """A question whose answer is the words ``first`` to ``last`` of a sentence."""
    tokens = sentence.split(" ")
    start = sum(len(token) + 1 for token in tokens[:first])
    return Question(question, sentence, (Answer(" ".join(tokens[first : last + 1]), start),))
