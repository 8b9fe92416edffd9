from types import SimpleNamespace

import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.tasks.fill_mask import FillMask

from .conftest import VOCABULARY


@pytest.fixture
def task(bundle, tokenizer):
    return FillMask(bundle(), tokenizer)


def row(**scores):
    values = [0.001] * len(VOCABULARY)
    for word, score in scores.items():
        values[VOCABULARY[word]] = score
    return values


def answer(task, text, rows, **parameters):
    items, _, checked = task.check(text, parameters)
    prepared = task.preprocess(items[0], checked)
    return task.postprocess(prepared, [[tensor.float32(*rows)]])


SCORES = row(river=0.2, ship=0.5, home=0.1, york=0.05)


def test_the_best_words(task):
    found = answer(task, "the [MASK] came home .", [SCORES], top_k=2)
    assert found == [
        {
            "score": pytest.approx(0.5),
            "token": VOCABULARY["ship"],
            "token_str": "ship",
            "sequence": "the ship came home.",
        },
        {
            "score": pytest.approx(0.2),
            "token": VOCABULARY["river"],
            "token_str": "river",
            "sequence": "the river came home.",
        },
    ]
    assert len(answer(task, "[MASK]", [SCORES])) == 5
    assert len(answer(task, "[MASK]", [SCORES], top_k=10**6)) == len(VOCABULARY)


def test_the_places_of_masks_go_to_the_graph(task):
    items, _, checked = task.check("the [MASK] came [MASK]", None)
    feeds = task.preprocess(items[0], checked).feeds[0]
    assert feeds["mask_positions"].data.tolist() == [2, 4]
    assert feeds["mask_positions"].shape == (2,)


def test_several_masks_have_a_list_each_and_show_the_others(task):
    found = answer(task, "the [MASK] of [MASK]", [SCORES, row(york=0.9)], top_k=1)
    assert [entries[0]["sequence"] for entries in found] == [
        "[CLS] the ship of [MASK] [SEP]",
        "[CLS] the [MASK] of york [SEP]",
    ]


def test_padding_in_the_text_is_not_shown(task):
    found = answer(task, "the [MASK] [PAD] of [MASK]", [SCORES, SCORES], top_k=1)
    assert found[0][0]["sequence"] == "[CLS] the ship of [MASK] [SEP]"


def test_words_to_choose_from(task):
    found = answer(task, "[MASK]", [SCORES], targets=["home", "york", "home"], top_k=9)
    assert [entry["token_str"] for entry in found] == ["home", "york"]
    assert answer(task, "[MASK]", [SCORES], targets="york")[0]["token_str"] == "york"


def test_a_target_outside_the_vocabulary_stands_for_its_first_token(task):
    found = answer(task, "[MASK]", [SCORES], targets=["runs", "  "])
    assert [entry["token_str"] for entry in found] == ["run"]
    assert notes.warnings == [
        "the target 'runs' is no token: 'run' stands for it",
        "the target '  ' has no tokens and was left out",
    ]


def test_targets_that_are_none(task):
    with pytest.raises(InvalidInput, match="'targets' names no token"):
        task.check("[MASK]", {"targets": ["  "]})


def test_a_text_without_a_mask(task):
    items, _, checked = task.check("the river", None)
    with pytest.raises(InvalidInput) as refused:
        task.preprocess(items[0], checked)
    assert refused.value.message == "there is no [MASK] in the text"
    assert refused.value.hint == "put [MASK] where a word is missing"


def test_a_mask_after_the_end_of_what_the_model_takes(task):
    items, _, checked = task.check("the river " * 20 + "[MASK]", None)
    with pytest.raises(InvalidInput, match=r"there is no \[MASK\] among the tokens the model can take"):
        task.preprocess(items[0], checked)


def test_a_tokenizer_without_a_mask(bundle):
    with pytest.raises(BundleError, match="has no mask token"):
        FillMask(bundle(), SimpleNamespace(id=lambda _: None))
