import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from small_graphs import WEIGHTS, described, difference, identity, matmul

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.engines import onnx
from firstlight.runtime.errors import BundleError, EngineError
from firstlight.runtime.tensor import Tensor, float32, int64, make


def load(folder):
    return engines.load(Bundle.open(folder))


@pytest.fixture
def engine(tmp_path):
    return load(matmul(tmp_path))


@pytest.fixture(scope="module")
def subtraction(tmp_path_factory):
    return load(difference(tmp_path_factory.mktemp("difference")))


ROW = [index / 7 for index in range(64)]
PRODUCT = np.asarray([ROW], np.float32) @ WEIGHTS


def test_names_of_the_graph(engine):
    assert engine.inputs == ("x",)
    assert engine.outputs == ("y", "twice")


def test_a_run(engine):
    [y] = engine.run({"x": float32(ROW)}, ["y"])
    assert y.shape == (1, 32)
    assert y.data.format == "f"
    np.testing.assert_allclose(np.asarray(y.data).reshape(y.shape), PRODUCT, rtol=1e-5)


def test_outputs_come_in_the_order_they_were_asked_for(engine):
    twice, y = engine.run({"x": float32(ROW)}, ["twice", "y"])
    assert twice.data.tolist() == [2 * number for number in y.data]


def test_results_outlive_the_session(tmp_path):
    engine = load(matmul(tmp_path))
    [y] = engine.run({"x": float32(ROW)}, ["y"])
    before = y.data.tolist()
    del engine
    gc.collect()
    assert y.data.tolist() == before


@given(
    st.lists(st.integers(-(2**40), 2**40), max_size=40), st.lists(st.integers(-(2**40), 2**40), max_size=40)
)
@settings(deadline=None)
def test_any_numbers(subtraction, first, second):
    size = min(len(first), len(second))
    feeds = {"b": make("q", second[:size], (size,)), "a": make("q", first[:size], (size,))}
    [y] = subtraction.run(feeds, ["y"])
    assert y.data.tolist() == [a - b for a, b in zip(first, second, strict=False)]
    assert y.shape == (size,)


@pytest.mark.parametrize(
    ("element", "kind", "values"),
    [
        (TensorProto.FLOAT, "f", [0.5, -1.25]),
        (TensorProto.DOUBLE, "d", [0.1, 1e300]),
        (TensorProto.INT64, "q", [-(2**60), 1]),
        (TensorProto.INT32, "i", [-5, 6]),
        (TensorProto.INT16, "h", [-5, 6]),
        (TensorProto.INT8, "b", [-5, 6]),
        (TensorProto.UINT8, "B", [255, 0]),
        (TensorProto.UINT16, "H", [65535, 0]),
        (TensorProto.UINT32, "I", [2**32 - 1, 0]),
        (TensorProto.UINT64, "Q", [2**64 - 1, 0]),
        (TensorProto.BOOL, "?", [True, False]),
    ],
)
def test_element_types(tmp_path, element, kind, values):
    engine = load(identity(tmp_path, element))
    for shape in [(2,), (1, 2), (2, 1, 1)]:
        [y] = engine.run({"x": make(kind, values, shape)}, ["y"])
        assert (y.data.format, y.data.tolist(), y.shape) == (kind, values, shape)


@pytest.mark.parametrize(
    ("element", "kind"), [(TensorProto.INT32, "i"), (TensorProto.FLOAT, "f"), (TensorProto.BOOL, "?")]
)
def test_numbers_of_another_type_are_converted(tmp_path, element, kind):
    [y] = load(identity(tmp_path, element)).run({"x": int64([0, 1, 1])}, ["y"])
    assert (y.data.format, y.data.tolist()) == (kind, [0, 1, 1])


def test_float16_is_read_and_written_as_float32(tmp_path):
    [y] = load(identity(tmp_path, TensorProto.FLOAT16)).run({"x": float32([0.5, 2.0, 65504.0])}, ["y"])
    assert (y.data.format, y.data.tolist()) == ("f", [0.5, 2.0, 65504.0])


def test_a_single_number_and_none(tmp_path):
    engine = load(identity(tmp_path, TensorProto.FLOAT))
    for values, shape in ([3.0], ()), ([], (0, 4)):
        [y] = engine.run({"x": make("f", values, shape)}, ["y"])
        assert (y.data.tolist(), y.shape) == (values, shape)


def test_a_part_of_a_larger_buffer(tmp_path):
    whole = make("q", [1, 2, 3, 4], (4,))
    [y] = load(identity(tmp_path, TensorProto.INT64)).run({"x": Tensor(whole.data[1:4:2], (2,))}, ["y"])
    assert y.data.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("feeds", "outputs", "said"),
    [
        ({}, ["y"], "needs the input 'x'"),
        ({"x": float32(ROW), "z": float32(ROW)}, ["y"], "Invalid input name: z"),
        ({"x": float32(ROW)}, ["nothing"], "Invalid output name: nothing"),
        ({"x": float32(ROW[:5])}, ["y"], "x"),
        ({"x": make("f", ROW, (64,))}, ["y"], "rank"),
        ({"x": make("f", ROW, (1, 65))}, ["y"], "onnxruntime"),
    ],
)
def test_what_the_graph_does_not_take(engine, feeds, outputs, said):
    for _ in range(2):  # and goes on
        with pytest.raises(EngineError, match=said):
            engine.run(feeds, outputs)
    assert engine.run({"x": float32(ROW)}, ["y"])


def test_numbers_that_do_not_fit(subtraction):
    with pytest.raises(EngineError, match="'a' takes numbers of format 'q', got 'f'"):
        subtraction.run({"a": make("f", [0.5], (1,)), "b": make("q", [1], (1,))}, ["y"])


def test_strings_are_refused(tmp_path):
    with pytest.raises(EngineError, match="element type 8"):
        load(identity(tmp_path, TensorProto.STRING)).run({"x": int64([1])}, ["y"])


def test_settling_gives_the_same_answers(engine):
    [before] = engine.run({"x": float32(ROW)}, ["y"])
    engine.settle()
    [after] = engine.run({"x": float32(ROW)}, ["y"])
    np.testing.assert_allclose(np.asarray(after.data), np.asarray(before.data), rtol=1e-5)
    engine.settle()


def test_packed_weights_are_kept_where_they_are_faster(engine, monkeypatch):
    for gain, kept in ((0.5, True), (1.5, False)):
        engine.packed = engine._settled = False
        times = iter([1000, int(1000 * gain)])
        monkeypatch.setattr(engine, "_fastest", lambda *_, times=times: next(times))
        engine.run({"x": float32(ROW)}, ["y"])
        engine.settle()
        assert engine.packed is kept
        assert engine.run({"x": float32(ROW)}, ["y"])


def test_nothing_is_packed_before_a_first_run_or_without_room(engine, monkeypatch):
    monkeypatch.setattr(engine, "_fastest", lambda *_: pytest.fail("measured"))
    engine.settle()
    engine.run({"x": float32(ROW)}, ["y"])
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "50")
    engine.settle()
    assert not engine.packed


def test_a_session_that_cannot_be_packed_goes_on_unpacked(engine, monkeypatch):
    opened = engine._opened

    def refusing(settings):
        if "session.disable_prepacking" not in settings:
            raise EngineError("no memory")
        return opened(settings)

    monkeypatch.setattr(engine, "_opened", refusing)
    engine.run({"x": float32(ROW)}, ["y"])
    engine.settle()
    assert not engine.packed
    assert engine.run({"x": float32(ROW)}, ["y"])


def test_measuring_stops_at_one_long_run(engine, monkeypatch):
    engine.run({"x": float32(ROW)}, ["y"])
    monkeypatch.setattr(onnx, "_LONG_NS", -1)
    runs = []
    monkeypatch.setattr(engine, "_session", type("Session", (), {"run": lambda *_: runs.append(1)})())
    engine._fastest({}, [])
    assert len(runs) == 1


def test_a_graph_that_is_none(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(EngineError, match="onnxruntime"):
        load(described(tmp_path))


def test_weights_that_are_missing(tmp_path):
    matmul(tmp_path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(EngineError, match="onnxruntime"):
        load(described(tmp_path))


@pytest.mark.parametrize(
    "model", [{"graph": 3}, {"graph": "model.onnx", "optimisation": "all"}, {"graph": "other.onnx"}]
)
def test_settings_that_are_wrong(tmp_path, model):
    matmul(tmp_path)
    with pytest.raises(BundleError):
        load(described(tmp_path, model=model))


def test_a_graph_optimised_at_load(tmp_path):
    matmul(tmp_path)
    [y] = load(described(tmp_path, model={"graph": "model.onnx", "optimisation": 99})).run(
        {"x": float32(ROW)}, ["y"]
    )
    np.testing.assert_allclose(np.asarray(y.data).reshape(y.shape), PRODUCT, rtol=1e-5)


def test_an_unknown_engine(tmp_path):
    with pytest.raises(BundleError, match="'steam'") as caught:
        load(described(tmp_path, engine="steam"))
    assert "onnx" in caught.value.hint
