import json

import pytest

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.tensor import int64


def load(folder, **fields):
    content = {"schema": 1, "name": "fake", "task": "echo", "engine": "echo", "files": {}, **fields}
    (folder / "bundle.json").write_text(json.dumps(content))
    return engines.load(Bundle.open(folder))


IDS = {"input_ids": int64([1, 2, 3, 4])}


@pytest.mark.parametrize(
    ("task", "output", "shape"),
    [
        ("text-classification", "scores", (1, 2)),
        ("text-classification", "logits", (1, 2)),
        ("token-classification", "scores", (1, 4, 2)),
        ("question-answering", "start_logits", (1, 4)),
        ("question-answering", "end_logits", (1, 4)),
        ("feature-extraction", "last_hidden_state", (1, 4, 8)),
        ("feature-extraction", "sentence_embedding", (1, 8)),
    ],
)
def test_shapes(tmp_path, task, output, shape):
    [made] = load(tmp_path, task=task, labels=["a", "b"]).run(IDS, [output])
    assert made.shape == shape
    size = 1
    for length in shape:
        size *= length
    assert len(made.data) == size


def test_the_same_noise_for_the_same_input(tmp_path):
    engine = load(tmp_path, task="text-classification", labels=["a", "b", "c"])
    first, again, other = (
        engine.run({"input_ids": int64(ids)}, ["scores"])[0].data.tolist() for ids in ([5, 6], [5, 6], [6, 5])
    )
    assert first == again != other
    assert sum(first) == pytest.approx(1)
    assert min(first) > 0


def test_scores_have_the_order_of_the_logits(tmp_path):
    scores, logits = load(tmp_path, task="text-classification", labels=list("abcdef")).run(
        IDS, ["scores", "logits"]
    )
    assert sorted(range(6), key=scores.data.__getitem__) == sorted(range(6), key=logits.data.__getitem__)


def test_settling(tmp_path):
    engine = load(tmp_path)
    engine.settle()
    assert engine.settled
