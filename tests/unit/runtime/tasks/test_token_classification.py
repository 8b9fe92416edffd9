import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.token_classification import TokenClassification

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXT = "ann of york runs"  # ann, of, york, run, ##s


@pytest.fixture
def task(bundle, tokenizer):
    return TokenClassification(bundle(LABELS), tokenizer)


def scores(*tokens):
    """One row for each token: (label, score), the rest shared by the others; [CLS] and [SEP] around them."""
    rows = [[0.2] * 5]
    for label, score in tokens:
        rows.append([(1 - score) / 4] * 5)
        rows[-1][LABELS.index(label)] = score
    rows.append([0.2] * 5)
    flat = tensor.float32(*rows)
    return tensor.Tensor(flat.data, (1, len(rows), 5))


def answer(task, text, rows, **parameters):
    items, _, checked = task.check(text, parameters)
    prepared = task.preprocess(items[0], checked)
    return task.postprocess(prepared, [[row] for row in rows])


TOKENS = scores(("B-PER", 0.9), ("O", 0.9), ("B-LOC", 0.8), ("I-LOC", 0.7), ("O", 0.6))


def test_each_token(task):
    found = answer(task, TEXT, [TOKENS])
    assert [(e["entity"], e["index"], e["word"], e["start"], e["end"]) for e in found] == [
        ("B-PER", 1, "ann", 0, 3),
        ("B-LOC", 3, "york", 7, 11),
        ("I-LOC", 4, "run", 12, 15),
    ]
    assert [e["score"] for e in found] == pytest.approx([0.9, 0.8, 0.7])


def groups(found):
    return [(e["entity_group"], e["word"], e["start"], e["end"]) for e in found]


def test_simple_joins_neighbours_and_splits_words(task):
    found = answer(task, TEXT, [TOKENS], aggregation_strategy="simple")
    assert groups(found) == [("PER", "ann", 0, 3), ("LOC", "york run", 7, 15)]
    assert found[1]["score"] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("strategy", "score"),
    [("first", (0.8 + 0.7) / 2), ("max", (0.8 + 0.7) / 2), ("average", (0.8 + 0.4) / 2)],
)
def test_words_keep_one_label(task, strategy, score):
    found = answer(task, TEXT, [TOKENS], aggregation_strategy=strategy)
    assert groups(found) == [("PER", "ann", 0, 3), ("LOC", "york runs", 7, 16)]
    assert found[1]["score"] == pytest.approx(score, abs=1e-6)


def test_first_and_max_differ(task):
    rows = [scores(("B-PER", 0.4), ("O", 0.9), ("O", 0.9), ("O", 0.5), ("B-LOC", 0.8))]
    assert groups(answer(task, TEXT, rows, aggregation_strategy="first")) == [("PER", "ann", 0, 3)]
    found = answer(task, TEXT, rows, aggregation_strategy="max")
    assert groups(found) == [("PER", "ann", 0, 3), ("LOC", "runs", 12, 16)]


def test_a_begin_label_starts_a_new_entity(task):
    rows = [scores(("B-LOC", 0.9), ("B-LOC", 0.9), ("I-LOC", 0.9), ("I-PER", 0.9), ("O", 0.9))]
    found = answer(task, TEXT, rows, aggregation_strategy="simple")
    assert groups(found) == [("LOC", "ann", 0, 3), ("LOC", "of york", 4, 11), ("PER", "run", 12, 15)]


def test_labels_to_ignore(task):
    found = answer(task, TEXT, [TOKENS], aggregation_strategy="simple", ignore_labels=["LOC", "O"])
    assert groups(found) == [("PER", "ann", 0, 3)]
    assert len(answer(task, TEXT, [TOKENS], ignore_labels=[])) == 5


def test_an_unknown_token_reads_as_in_the_text(task):
    rows = [scores(("B-PER", 0.9), ("O", 0.9))]
    assert answer(task, "Zoë of", rows)[0]["word"] == "Zoë"


def test_no_text_has_no_entities(task):
    assert answer(task, "", [scores()]) == []


def test_windows_cover_a_long_text_and_agree_where_they_overlap(task):
    text = "ann of york " * 9  # 27 tokens, 14 in a window
    items, _, checked = task.check(text, {"stride": 4, "aggregation_strategy": "simple"})
    prepared = task.preprocess(items[0], checked)
    assert [feeds["input_ids"].shape[1] for feeds in prepared.feeds] == [16, 16, 9]
    kinds = [("B-PER", 0.9), ("O", 0.9), ("B-LOC", 0.9)]
    sizes = [(0, 14), (10, 24), (20, 27)]
    rows = [[scores(*(kinds[i % 3] for i in range(first, stop)))] for first, stop in sizes]
    found = task.postprocess(prepared, rows)
    assert [(e["entity_group"], e["start"]) for e in found] == [
        (kind, 12 * i + at) for i in range(9) for kind, at in (("PER", 0), ("LOC", 7))
    ]
    assert notes.warnings == []


def test_without_a_stride_a_long_text_is_cut_and_noted(task):
    items, _, checked = task.check("ann of york " * 9, None)
    assert len(task.preprocess(items[0], checked).feeds) == 1
    assert len(notes.warnings) == 1


def test_of_overlapping_entities_the_longer_wins(task):
    text = "ann of york " * 9
    items, _, checked = task.check(text, {"stride": 13, "aggregation_strategy": "simple"})
    prepared = task.preprocess(items[0], checked)
    quiet = [("O", 0.9)] * 14
    rows = [[scores(*quiet)] for _ in prepared.feeds]
    rows[0] = [scores(*quiet[:-1], ("B-LOC", 0.9))]  # token 13 alone
    rows[1] = [scores(*quiet[:-2], ("B-LOC", 0.5), ("I-LOC", 0.5))]  # tokens 13 and 14
    assert groups(task.postprocess(prepared, rows)) == [("LOC", "of york", 52, 59)]


@pytest.mark.parametrize(
    "parameters",
    [{"aggregation_strategy": "best"}, {"stride": -1}, {"ignore_labels": "O"}, {"strategy": "none"}],
)
def test_parameters_that_are_refused(task, parameters):
    with pytest.raises(InvalidInput) as refused:
        task.check("a", parameters)
    assert repr(next(iter(parameters))) in refused.value.message


def test_a_stride_as_long_as_a_window_is_refused(task):
    items, _, checked = task.check("ann of york " * 9, {"stride": 14})
    with pytest.raises(InvalidInput, match="must be more than the 14 that windows share"):
        task.preprocess(items[0], checked)
