import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.tasks.zero_shot import ZeroShotClassification

from .conftest import VOCABULARY

NLI = ["contradiction", "neutral", "ENTAILMENT"]


@pytest.fixture
def task(bundle, tokenizer):
    return ZeroShotClassification(bundle(NLI, max_length=20), tokenizer)


@pytest.fixture
def weak(bundle, tokenizer):
    return ZeroShotClassification(bundle(pooling="mean", temperature=0.5), tokenizer)


def answer(task, rows, text="ann runs", **parameters):
    items, _, checked = task.check(text, parameters)
    prepared = task.preprocess(items[0], checked)
    assert len(prepared.feeds) == len(rows)
    return task.postprocess(prepared, [[tensor.float32(row)] for row in rows])


def test_labels_share_one_probability(task):
    found = answer(task, [[9, 0, 1], [0, 9, 3], [0, 0, 2]], candidate_labels=["river", "ship", "home"])
    assert found["sequence"] == "ann runs"
    assert found["labels"] == ["ship", "home", "river"]
    assert found["scores"] == pytest.approx([0.66524096, 0.24472847, 0.09003057])


def test_labels_on_their_own(task):
    found = answer(task, [[1, 9, 1], [0, 9, 2]], candidate_labels=["river", "ship"], multi_label=True)
    assert found["labels"] == ["ship", "river"]
    assert found["scores"] == pytest.approx([0.88079708, 0.5])


def test_one_label_is_judged_on_its_own(task):
    assert answer(task, [[0, 9, 2]], candidate_labels="ship")["scores"] == pytest.approx([0.88079708])


def test_entailment_may_be_the_first_label(bundle, tokenizer):
    task = ZeroShotClassification(bundle(NLI[::-1]), tokenizer)
    assert answer(task, [[2, 9, 0]], candidate_labels="ship")["scores"] == pytest.approx([0.88079708])


def test_of_equal_labels_the_later_comes_first(task):
    assert answer(task, [[0, 0, 1]] * 2, candidate_labels=["a", "b"])["labels"] == ["b", "a"]


def test_labels_separated_by_commas(task):
    checked = task.check("a", {"candidate_labels": " river, , ship,"})[2]
    assert checked["candidate_labels"] == ["river", "ship"]


def test_the_hypothesis_is_never_cut(task):
    items, _, checked = task.check("the river " * 20, {"candidate_labels": ["ship"]})
    (row,) = task.preprocess(items[0], checked).feeds
    ids = row["input_ids"].data.tolist()
    assert len(ids) == 20
    assert ids[-7:] == [3, *map(VOCABULARY.get, ["this", "example", "is", "ship", "."]), 3]
    assert len(notes.warnings) == 1


def test_the_text_gives_way_though_the_hypothesis_is_longer(task):
    items, _, checked = task.check("the river came home", {"candidate_labels": ["ship " * 11]})
    (row,) = task.preprocess(items[0], checked).feeds
    assert row["token_type_ids"].data.tolist() == [0] * 4 + [1] * 16


def test_a_label_is_put_into_the_template_as_it_is(task):
    items, _, checked = task.check("a", {"candidate_labels": ["{0} ship"], "hypothesis_template": "it is {}"})
    (row,) = task.preprocess(items[0], checked).feeds
    assert row["input_ids"].data.tolist()[-2:] == [15, 3]


def test_a_sentence_encoder_compares_and_warns(weak):
    rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    found = answer(weak, rows, candidate_labels=["river", "ship"])
    assert found["labels"] == ["ship", "river"]
    assert found["scores"] == pytest.approx([0.88079708, 0.11920292])
    assert "similarity of sentence embeddings" in notes.warnings[0]


def test_a_sentence_encoder_compares_single_labels_with_nothing_in_particular(weak):
    rows = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert answer(weak, rows, candidate_labels=["river"])["scores"] == pytest.approx([0.88079708])


def test_a_model_of_something_else_is_refused(bundle, tokenizer):
    with pytest.raises(BundleError, match="its labels are sad, glad"):
        ZeroShotClassification(bundle(["sad", "glad"]), tokenizer)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "zero-shot-classification needs the parameter 'candidate_labels'"),
        (
            {"candidate_labels": []},
            "parameter 'candidate_labels' must be a list or a string that is not empty, got a list",
        ),
        ({"candidate_labels": " , "}, "parameter 'candidate_labels' is an empty list"),
        (
            {"candidate_labels": ["a"], "hypothesis_template": "about it"},
            "parameter 'hypothesis_template' has no {} for the label: 'about it'",
        ),
        (
            {"candidate_labels": ["a"], "multi_class": True},
            "zero-shot-classification has no parameter 'multi_class'",
        ),
    ],
)
def test_parameters_that_are_refused(task, parameters, message):
    with pytest.raises(InvalidInput) as refused:
        task.check("a", parameters)
    assert refused.value.message == message
