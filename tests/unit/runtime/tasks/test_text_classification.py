import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.text_classification import TextClassification

LOGITS = [1.0, 3.0, 2.0]
SCORES = [0.09003057317038046, 0.6652409557748219, 0.24472847105479767]


@pytest.fixture
def task(bundle, tokenizer):
    return TextClassification(bundle(["sad", "glad", "calm"], function_to_apply="softmax"), tokenizer)


def answer(task, inputs, parameters=None, scores=SCORES, logits=LOGITS):
    """As a model answers, with the same numbers for every row."""
    items, single, checked = task.check(inputs, parameters)
    answers = []
    for item in items:
        prepared = task.preprocess(item, checked)
        assert prepared.outputs == ("scores", "logits")
        answers.append(task.postprocess(prepared, [[tensor.float32(scores), tensor.float32(logits)]]))
    return answers[0] if single else answers


def labels(entries):
    return [entry["label"] for entry in entries]


def test_a_text_has_a_list_with_the_best_label(task):
    assert answer(task, "the river") == [{"label": "glad", "score": pytest.approx(SCORES[1])}]


def test_texts_have_the_bare_label_each(task):
    assert [entry["label"] for entry in answer(task, ["the river", "the ship"])] == ["glad", "glad"]


def test_a_pair_is_one_row(task):
    items, single, checked = task.check({"text": "the river", "text_pair": "the ship"}, None)
    feeds = task.preprocess(items[0], checked).feeds
    assert single
    assert feeds[0]["input_ids"].data.tolist() == [2, 5, 6, 3, 5, 15, 3]
    assert feeds[0]["token_type_ids"].data.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert answer(task, {"text": "the river"})["label"] == "glad"


def test_top_k_sorts_and_counts(task):
    assert labels(answer(task, "the river", {"top_k": 2})) == ["glad", "calm"]
    assert labels(answer(task, "the river", {"top_k": None})) == ["glad", "calm", "sad"]
    assert labels(answer(task, "the river", {"top_k": 99})) == ["glad", "calm", "sad"]
    assert [labels(entry) for entry in answer(task, ["a", "a"], {"top_k": 1})] == [["glad"], ["glad"]]


@pytest.mark.parametrize(
    ("function", "best"), [("softmax", SCORES[1]), ("sigmoid", 0.9525741268224334), ("none", 3.0)]
)
def test_functions(task, function, best):
    (entry,) = answer(task, "the river", {"function_to_apply": function})
    assert entry["score"] == pytest.approx(best)


def test_the_function_of_the_graph_is_not_computed_again(task):
    (entry,) = answer(task, "the river", {"function_to_apply": "softmax"}, scores=[0.5, 0.25, 0.25])
    assert entry == {"label": "sad", "score": 0.5}


def test_a_label_without_a_name_has_its_number(bundle, tokenizer):
    assert answer(TextClassification(bundle(), tokenizer), "a")[0]["label"] == "LABEL_1"


def test_a_long_text_is_cut_and_noted(task):
    items, _, checked = task.check("the river " * 20, None)
    assert task.preprocess(items[0], checked).feeds[0]["input_ids"].shape == (1, 16)
    assert len(notes.warnings) == 1


def test_a_long_text_is_refused_where_truncation_is_off(task):
    with pytest.raises(InvalidInput):
        answer(task, "the river " * 20, {"truncation": False})


def test_max_length_is_at_most_the_models(task):
    for asked, kept in ((8, 8), (99, 16)):
        items, _, checked = task.check("the river " * 20, {"max_length": asked})
        assert task.preprocess(items[0], checked).feeds[0]["input_ids"].shape == (1, kept)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (3, "inputs must be a string, or an object with text and text_pair, got a whole number"),
        ([["a", "b"]], "inputs[0] must be a string, or an object with text and text_pair, got a list"),
        ({"txt": "a"}, "inputs lacks 'text'"),
        ({"text": "a", "pair": "b"}, "inputs has an unknown field 'pair'"),
        ({"text": "a", "text_pair": 3}, "inputs.text_pair must be a string, got a whole number"),
    ],
)
def test_inputs_that_are_refused(task, inputs, message):
    with pytest.raises(InvalidInput) as refused:
        task.check(inputs, None)
    assert refused.value.message == message


def test_unknown_parameters_are_refused(task):
    with pytest.raises(InvalidInput, match="text-classification has no parameter 'topk'"):
        task.check("a", {"topk": 3})
