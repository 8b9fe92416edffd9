import json

import pytest

from firstlight.runtime import notes
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.model import Model


def bundle(folder, **fields):
    content = {"schema": 1, "name": "fake", "task": "echo", "engine": "echo", "files": {}, **fields}
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def echo(tmp_path):
    return Model.load(bundle(tmp_path), verify="sizes")


@pytest.mark.parametrize("inputs", ["text", ["a", "b"], {"question": "?"}, None, 3])
def test_the_fake_task_answers_with_its_inputs(echo, inputs):
    assert echo(inputs, {}) == inputs
    assert echo(inputs) == inputs


def test_timings_go_to_the_notes(echo):
    notes.clear()
    echo("text")
    assert set(notes.timings) == {"preprocess", "engine", "postprocess"}
    assert all(took >= 0 for took in notes.timings.values())


def test_settling_reaches_the_engine(echo):
    echo.settle()
    assert echo.engine.settled


class Counting:
    """A task of two rows an item, and the engine that sees them."""

    name, outputs = "counting", ("sum",)
    inputs = ("ids",)

    def __init__(self):
        self.runs = []

    def check(self, inputs, parameters):
        if inputs is None:
            raise InvalidInput("inputs is missing")
        return (inputs, False, parameters) if isinstance(inputs, list) else ([inputs], True, parameters)

    def preprocess(self, item, parameters):
        rows = [{"ids": item, "unknown": 1}, {"ids": item + 1, "unknown": 1}]
        return type("Prepared", (), {"feeds": rows, "outputs": self.outputs, "state": item})()

    def postprocess(self, prepared, outputs):
        return {"item": prepared.state, "outputs": outputs}

    def run(self, feeds, outputs):
        self.runs.append((feeds, outputs))
        return [feeds["ids"] * 10]


def test_one_row_a_run_and_no_input_the_graph_has_not(echo):
    double = Counting()
    model = Model(echo.bundle, double, double)
    assert model(7, {}) == {"item": 7, "outputs": [[70], [80]]}
    assert double.runs == [({"ids": 7}, ("sum",)), ({"ids": 8}, ("sum",))]
    assert [answer["item"] for answer in model([1, 2, 3], {})] == [1, 2, 3]
    with pytest.raises(InvalidInput):
        model(None, {})


def test_what_cannot_be_loaded(tmp_path):
    with pytest.raises(BundleError):
        Model.load(tmp_path)
    with pytest.raises(InvalidInput, match="dancing"):
        Model.load(bundle(tmp_path, task="dancing"))
    with pytest.raises(BundleError, match="'abacus'"):
        Model.load(bundle(tmp_path, tokenizer={"kind": "abacus"}))
    with pytest.raises(BundleError, match=r"tokenizer\.file"):
        Model.load(bundle(tmp_path, tokenizer={"kind": "tokenizers", "file": 3}))
