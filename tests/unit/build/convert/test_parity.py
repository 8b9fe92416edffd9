from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import random_bert

from firstlight.build.convert import encoder, parity
from firstlight.build.convert.sentences import PAIRS, SENTENCES


@pytest.mark.parametrize(
    ("head", "task", "perfect"),
    [
        (
            "BertForSequenceClassification",
            "text-classification",
            {"label_agreement": 1.0, "max_score_diff": 0.0},
        ),
        ("BertForTokenClassification", "token-classification", {"clear_label_agreement": 1.0}),
        (
            "BertForQuestionAnswering",
            "question-answering",
            {"span_agreement": 1.0, "clear_span_agreement": 1.0, "max_logit_diff": 0.0},
        ),
        ("BertModel", "feature-extraction", {"min_cosine": 1.0, "nearest_agreement": 1.0}),
    ],
)
def test_a_graph_agrees_with_itself(tmp_path: Path, head: str, task: str, perfect: dict[str, float]) -> None:
    bundle = encoder.convert(random_bert.bert(tmp_path / "model", head), tmp_path / "bundle")
    graph = bundle / encoder.GRAPH
    report = parity.check(graph, graph, bundle / "tokenizer.json", task)
    assert report["texts"] == len(PAIRS if task == "question-answering" else SENTENCES)
    for name, value in perfect.items():
        assert report[name] == pytest.approx(value, abs=1e-5)


def test_another_model_does_not_agree(tmp_path: Path) -> None:
    one = encoder.convert(random_bert.bert(tmp_path / "one"), tmp_path / "a")
    other = encoder.convert(random_bert.bert(tmp_path / "two", seed=5), tmp_path / "b")
    graphs = one / encoder.GRAPH, other / encoder.GRAPH
    report = parity.measure(*graphs, one / "tokenizer.json", "text-classification", SENTENCES)
    assert report["label_agreement"] < 0.9
    assert report["max_score_diff"] > 0.1


def test_near_ties_are_reported_but_do_not_count_as_clear() -> None:
    exact = [{"scores": np.array([[0.51, 0.49]])}, {"scores": np.array([[0.9, 0.1]])}]
    other = [{"scores": np.array([[0.49, 0.51]])}, {"scores": np.array([[0.8, 0.2]])}]
    report = parity._scores(exact, other)
    assert report["label_agreement"] == 0.5
    assert report["clear_label_agreement"] == 1.0
    assert report["max_score_diff"] == pytest.approx(0.1)


def test_places_that_nearly_tie_do_not_count_as_clear() -> None:
    end = np.array([[0.0, 4.0]])
    exact = [{"start_logits": np.array([[1.0, start]]), "end_logits": end} for start in (1.1, 3.0, 5.0)]
    other = [{"start_logits": np.array([[1.0, start]]), "end_logits": end} for start in (0.9, 0.5, 4.0)]
    report = parity._spans(exact, other)
    assert report["span_agreement"] == pytest.approx(1 / 3, abs=1e-5)
    assert report["clear_span_agreement"] == 0.5
    assert report["max_logit_diff"] == 2.5


def test_sentences_are_many_and_different() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES) >= 60
    assert len(set(PAIRS)) == len(PAIRS) >= 20
