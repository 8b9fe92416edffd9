"""Measure the starter ``summarize`` and write its card.

    pip install rouge-score
    python starters/measure_summaries.py --data path/to/data

Summaries of the abstracts of SciTLDR's test set are compared with what people wrote in one sentence: the best of an
abstract's references counts, as its authors do. Nothing is trained: the weights are those of ``embeddings``.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from string import Template

from rouge_score.rouge_scorer import RougeScorer

from firstlight import starters
from firstlight.runtime.model import Model
from replacements import REPLACEMENTS

HERE = Path(__file__).parent
Summarise = Callable[[list[str]], str]


def abstracts(data: Path) -> list[tuple[list[str], list[str]]]:
    """The sentences of each abstract of the test set (SciTLDR, Apache-2.0) and its references."""
    with (data / "scitldr" / "test.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [([sentence.strip() for sentence in row["source"]], row["target"]) for row in rows]


class Rouge:
    """ROUGE-1 and ROUGE-L, the F of each, in percent."""

    def __init__(self) -> None:
        self._scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)

    def of(self, summary: str, references: Iterable[str]) -> tuple[float, float]:
        """The scores against the reference that gives the best ROUGE-1."""
        found = [self._scorer.score(reference, summary) for reference in references]
        best = max(found, key=lambda score: score["rouge1"].fmeasure)
        return 100 * best["rouge1"].fmeasure, 100 * best["rougeL"].fmeasure

    def mean(self, texts: list[tuple[list[str], list[str]]], summarise: Summarise) -> tuple[float, float]:
        """The means over all abstracts."""
        scores = [self.of(summarise(sentences), references) for sentences, references in texts]
        first, longest = zip(*scores, strict=True)
        return sum(first) / len(first), sum(longest) / len(longest)


def table(data: Path) -> str:
    """The measures as a Markdown table."""
    model, rouge, texts = (
        Model.load(starters.path("summarize"), task="summarization"),
        Rouge(),
        abstracts(data),
    )
    model.settle()

    def asked(sentences: list[str], parameters: dict[str, int]) -> str:
        return str(model(" ".join(sentences), parameters)[0]["summary_text"])

    ways: dict[str, tuple[float, float]] = {
        "this starter, one sentence (`max_length` 1)": rouge.mean(
            texts, lambda s: asked(s, {"max_length": 1})
        ),
        "this starter, as long as it likes": rouge.mean(texts, lambda s: asked(s, {})),
        "the first sentence of the abstract": rouge.mean(texts, lambda s: s[0]),
    }
    best = [max(rouge.of(s, references) for s in sentences) for sentences, references in texts]
    ways["the best sentence there is"] = (
        sum(a for a, _ in best) / len(best),
        sum(b for _, b in best) / len(best),
    )
    rows = [f"| {name} | {first:.1f} | {longest:.1f} |" for name, (first, longest) in ways.items()]
    return "\n".join(["| summary | ROUGE-1 | ROUGE-L |", "|---|---|---|", *rows])


def main() -> None:
    """Measure, and write the card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets"
    )
    warnings.simplefilter("ignore")
    figures = table(parser.parse_args().data)
    print(figures)
    card = Template((HERE / "cards" / "summarize.md").read_text(encoding="utf-8"))
    starters.card("summarize").write_text(
        card.substitute(figures=figures, replace=REPLACEMENTS["summarize"]), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
