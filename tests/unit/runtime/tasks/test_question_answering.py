from math import exp

import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.question_answering import QuestionAnswering

from .conftest import VOCABULARY

ANN = VOCABULARY["ann"]
QUESTION = "where ?"
CONTEXT = "ann runs home , the ship came to york"


@pytest.fixture
def task(bundle, tokenizer):
    return QuestionAnswering(bundle(max_length=64), tokenizer)


def logits(encoding_length, peaks):
    values = [0.0] * encoding_length
    for place, value in peaks.items():
        values[place] = value
    return tensor.float32(values)


def answer(task, starts, ends, context=CONTEXT, **parameters):
    """One window: [CLS] where ? [SEP] ann run ##s home , the ship came [UNK] york [SEP]."""
    items, _, checked = task.check({"question": QUESTION, "context": context}, parameters)
    prepared = task.preprocess(items[0], checked)
    (feeds,) = prepared.feeds
    size = feeds["input_ids"].shape[1]
    return task.postprocess(prepared, [[logits(size, starts), logits(size, ends)]])


def test_the_best_span(task):
    found = answer(task, {9: 20.0}, {10: 20.0})
    assert found == {"score": pytest.approx(1.0, abs=1e-6), "start": 16, "end": 24, "answer": "the ship"}


def test_a_span_is_widened_to_words(task):
    assert answer(task, {6: 20.0}, {6: 20.0})["answer"] == "runs"
    assert answer(task, {6: 20.0}, {6: 20.0}, align_to_words=False)["answer"] == "s"


def test_the_question_is_no_answer(task):
    assert answer(task, {1: 50.0, 10: 9.0}, {1: 50.0, 10: 9.0})["answer"] == "ship"


def test_an_answer_has_a_longest_length(task):
    assert answer(task, {9: 9.0}, {13: 9.0, 9: 5.0})["answer"] == "the ship came to york"
    assert answer(task, {9: 9.0}, {13: 9.0, 9: 5.0}, max_answer_len=4)["answer"] == "the"


def test_several_answers_are_a_list_best_first(task):
    found = answer(task, {9: 9.0, 13: 8.0}, {10: 9.0, 13: 8.0}, top_k=3)
    assert found[0]["answer"] == "the ship"
    assert [entry["score"] for entry in found] == sorted((entry["score"] for entry in found), reverse=True)
    assert len(found) == 3


def test_spans_that_read_the_same_add_up(task):
    found = answer(task, {4: 9.0, 8: 9.0}, {4: 9.0, 8: 9.0}, context="York , ann , york")
    assert (found["answer"], found["start"]) == ("York", 0)
    assert found["score"] == pytest.approx(0.5, abs=1e-3)


def test_the_empty_answer_competes_when_asked(task):
    assert answer(task, {0: 9.0, 9: 1.0}, {0: 9.0, 9: 1.0})["answer"] == "the"
    found = answer(task, {0: 9.0, 9: 1.0}, {0: 9.0, 9: 1.0}, handle_impossible_answer=True)
    assert found == {"score": pytest.approx(1.0, abs=1e-2), "start": 0, "end": 0, "answer": ""}


def test_the_empty_answer_is_as_likely_as_in_the_window_that_speaks_most_against_it(task):
    context = "the river . " * 8
    asked = {"max_seq_len": 20, "doc_stride": 4, "handle_impossible_answer": True, "top_k": 99}
    items, _, checked = task.check({"question": QUESTION, "context": context}, asked)
    prepared = task.preprocess(items[0], checked)
    sizes = [feeds["input_ids"].shape[1] for feeds in prepared.feeds]
    outputs = [[logits(size, {0: peak})] * 2 for size, peak in zip(sizes, [1.0, 9.0], strict=True)]
    empty = next(entry for entry in task.postprocess(prepared, outputs) if not entry["answer"])
    assert empty["score"] == pytest.approx((exp(1) / (exp(1) + sizes[0] - 5)) ** 2)


def test_a_context_without_words(task):
    assert answer(task, {}, {}, context="  \n") == {"score": 0.0, "start": 0, "end": 0, "answer": ""}


def test_windows_find_an_answer_anywhere(task):
    context = "the river . " * 30 + "ann came home"
    items, _, checked = task.check(
        {"question": QUESTION, "context": context}, {"max_seq_len": 24, "doc_stride": 6}
    )
    prepared = task.preprocess(items[0], checked)
    outputs = []
    for part in prepared.feeds:
        ids = part["input_ids"].data.tolist()
        peak = {ids.index(ANN): 20.0} if ANN in ids else {0: 20.0}
        outputs.append([logits(len(ids), peak), logits(len(ids), peak)])
    assert len(prepared.feeds) > 5
    found = task.postprocess(prepared, outputs)
    assert (found["answer"], found["start"]) == ("ann", context.index("ann"))
    assert found["score"] == pytest.approx(1.0, abs=1e-6)


def test_no_token_of_a_long_context_is_left_out(task):
    context = "the river . " * 30
    items, _, checked = task.check(
        {"question": QUESTION, "context": context}, {"max_seq_len": 24, "doc_stride": 6}
    )
    parts = task.preprocess(items[0], checked).state[1]
    seen = {
        o for part in parts for o, owner in zip(part.offsets, part.sequence_ids, strict=True) if owner == 1
    }
    assert len(seen) == 90
    assert notes.warnings == []


def test_a_question_that_leaves_no_room_is_cut(task):
    asked = {"question": "where " * 100, "context": CONTEXT}
    items, _, checked = task.check(asked, None)
    with pytest.raises(InvalidInput, match="64 tokens leave 0 for the text"):
        task.preprocess(items[0], checked)
    notes.clear()
    items, _, checked = task.check(asked, {"max_question_len": 20})
    prepared = task.preprocess(items[0], checked)
    assert prepared.feeds[0]["input_ids"].data.tolist()[:22] == [2, *[20] * 20, 3]
    assert notes.warnings == ["the question has 100 tokens: those after the first 20 were left out"]


@pytest.mark.parametrize(
    "inputs",
    [
        [{"question": "where ?", "context": "a"}, {"question": "who ?", "context": "b"}],
        {"question": ["where ?", "who ?"], "context": ["a", "b"]},
    ],
)
def test_several_questions(task, inputs):
    assert task.check(inputs, None)[:2] == ([("where ?", "a"), ("who ?", "b")], False)


def test_several_questions_on_one_context(task):
    items, single, _ = task.check({"question": ["where ?", "who ?"], "context": "a"}, None)
    assert (items, single) == ([("where ?", "a"), ("who ?", "a")], False)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("where ?", "inputs must be an object, got a string"),
        ({"question": "where ?"}, "inputs lacks 'context'"),
        ({"context": "a"}, "inputs lacks 'question'"),
        ({"question": "", "context": "a"}, "inputs.question is empty"),
        ({"question": "where ?", "context": ""}, "inputs.context is empty"),
        ({"question": "where ?", "context": 3}, "inputs.context must be a string, got a whole number"),
        ({"question": "where ?", "context": "a", "id": 1}, "inputs has an unknown field 'id'"),
        ([{"question": "where ?"}], "inputs[0] lacks 'context'"),
        ([], "inputs is an empty list"),
        ({"question": [], "context": "a"}, "inputs.question is an empty list"),
        ({"question": ["a", "b"], "context": ["c"]}, "inputs has 2 questions and 1 contexts"),
        ({"question": ["a", ""], "context": "c"}, "inputs[1].question is empty"),
    ],
)
def test_inputs_that_are_refused(task, inputs, message):
    with pytest.raises(InvalidInput) as refused:
        task.check(inputs, None)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"top_k": 0}, "parameter 'top_k' must be a whole number from 1 to 1000, got 0"),
        ({"max_seq_len": 65}, "parameter 'max_seq_len' is 65, the model takes 64 tokens"),
        (
            {"max_seq_len": 32, "doc_stride": 33},
            "parameter 'doc_stride' is 33, larger than max_seq_len, which is 32",
        ),
        ({"max_answer_length": 3}, "question-answering has no parameter 'max_answer_length'"),
    ],
)
def test_parameters_that_are_refused(task, parameters, message):
    with pytest.raises(InvalidInput) as refused:
        task.check({"question": "where ?", "context": "a"}, parameters)
    assert refused.value.message == message
