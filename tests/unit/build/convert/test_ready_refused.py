"""Ready graphs that cannot be served: each says what was found and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import small_exports as small
from onnx import TensorProto, helper, numpy_helper

from firstlight.build.convert import parity, ready
from firstlight.build.convert.ready import files
from firstlight.runtime.errors import ConversionError


@pytest.fixture(autouse=True)
def few_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of them for every comparison, and a third of the time."""
    monkeypatch.setattr(parity, "SENTENCES", parity.SENTENCES[:24])


def refused(place: Path, out: Path, **wish: str) -> str:
    with pytest.raises(ConversionError) as caught:
        ready.convert(place, out, **wish)
    assert not (out / "bundle.json").exists()
    return f"{caught.value.message} | {caught.value.hint}"


def graph_of(folder: Path, given: dict[str, list[int | str]], made: str = "logits", element: int = 7) -> Path:
    """A graph that is nothing but its inputs and outputs."""
    inputs = [helper.make_tensor_value_info(name, element, shape) for name, shape in given.items()]
    output = helper.make_tensor_value_info(made, TensorProto.FLOAT, ["batch", 3])
    node = helper.make_node("Cast", [next(iter(given))], [made], to=TensorProto.FLOAT)
    graph = helper.make_graph([node], "g", inputs, [output])
    file = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    small.describe(folder, "text-classification")
    return file


def test_a_graph_of_pictures(tmp_path: Path) -> None:
    graph_of(tmp_path, {"pixel_values": ["batch", 3, 224, 224]}, element=TensorProto.FLOAT)
    said = refused(tmp_path, tmp_path / "out")
    assert "pixel_values float[batch, 3, 224, 224]" in said
    assert "logits float[batch, 3]" in said
    assert "take input_ids and any of attention_mask, token_type_ids and position_ids" in said


@pytest.mark.parametrize(
    ("given", "made", "words"),
    [
        ({"input_ids": ["b", "t"], "past_key_values.0.key": ["b", 2, "p", 8]}, "logits", "is a decoder"),
        ({"input_ids": ["b", 128]}, "logits", "exactly 128 tokens"),
        ({"input_ids": [8, "t"]}, "logits", "takes 8 texts at once"),
        ({"input_ids": ["b", "t", 4]}, "logits", "does not have two dimensions"),
        ({"input_ids": ["b", "t"], "bbox": ["b", "t", 4]}, "logits", "not known here, bbox"),
        ({"attention_mask": ["b", "t"]}, "logits", "no input_ids"),
        ({"input_ids": ["b", "t"]}, "prediction", "has no output that is known here"),
    ],
)
def test_inputs_and_outputs(tmp_path: Path, given: dict[str, list[int | str]], made: str, words: str) -> None:
    graph_of(tmp_path, given, made)
    assert words in refused(tmp_path, tmp_path / "out")


def test_numbers_of_another_type(tmp_path: Path) -> None:
    graph_of(tmp_path, {"input_ids": ["b", "t"]}, element=TensorProto.FLOAT)
    assert "another type than int64 or int32" in refused(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("where", ["../secret", "/etc/passwd", "a/../../b", "C:\\x", "..\\x", ""])
def test_weights_outside_the_folder(tmp_path: Path, where: str) -> None:
    file = small.export(tmp_path)
    model = onnx.load(file)
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    file.write_bytes(model.SerializeToString())
    assert "is not a name of a file beside it" in refused(tmp_path, tmp_path / "out")


def test_weights_that_are_not_there_or_too_short(tmp_path: Path) -> None:
    file = small.export(tmp_path)
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    data = file.with_name("model.onnx_data")
    data.write_bytes(data.read_bytes()[:1000])
    assert "too short" in refused(tmp_path, tmp_path / "out")
    data.unlink()
    assert "download the folder again" in refused(tmp_path, tmp_path / "out")


def test_a_link_to_a_file_elsewhere(tmp_path: Path) -> None:
    """A folder from an archive may hold links to anything."""
    file = small.export(tmp_path / "model")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    data = file.with_name("model.onnx_data")
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    assert "outside the folder" in refused(tmp_path / "model", tmp_path / "out")


def test_no_graph_at_all(tmp_path: Path) -> None:
    small.export(tmp_path).write_bytes(b"\xff\xd8 a picture")
    assert "is not an ONNX graph" in refused(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(("opset", "words"), [(9, "opset 9, and 11 is the oldest"), (99, "onnxruntime")])
def test_opsets_out_of_range(tmp_path: Path, opset: int, words: str) -> None:
    file = small.export(tmp_path)
    model = onnx.load(file)
    model.opset_import[0].version = opset
    onnx.save(model, file)
    assert words in refused(tmp_path, tmp_path / "out")


def test_operators_of_its_own(tmp_path: Path) -> None:
    file = small.export(tmp_path)
    model = onnx.load(file)
    model.graph.node[0].domain = "ai.acme"
    onnx.save(model, file)
    assert "operators of ai.acme" in refused(tmp_path, tmp_path / "out")


def test_half_precision_and_four_bits(tmp_path: Path) -> None:
    file = small.export(tmp_path)
    model = onnx.load(file)
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.zeros((8, 8), np.float16), model.graph.initializer[0].name)
    )
    onnx.save(model, file)
    assert "is in half precision | half precision is the slowest on CPUs" in refused(
        tmp_path, tmp_path / "out"
    )
    model = onnx.load(small.export(tmp_path))
    model.graph.node[0].op_type, model.graph.node[0].domain = "MatMulNBits", "com.microsoft"
    onnx.save(model, file)
    assert "weights of four bits (MatMulNBits)" in refused(tmp_path, tmp_path / "out")


def test_only_what_is_not_taken(tmp_path: Path) -> None:
    small.export(tmp_path, file="onnx/model_fp16.onnx")
    small.export(tmp_path, file="onnx/model_q4.onnx")
    said = refused(tmp_path, tmp_path / "out")
    assert "model_fp16.onnx, model_q4.onnx" in said
    assert "half precision is the slowest" in said


def test_names_that_are_not_known(tmp_path: Path) -> None:
    small.export(tmp_path, file="one.onnx")
    small.export(tmp_path, file="two.onnx")
    assert "one.onnx, two.onnx | name the file" in refused(tmp_path, tmp_path / "out")
    assert "has no ONNX graphs" in refused(tmp_path / "..", tmp_path / "out")


def test_precisions_that_are_not_there(tmp_path: Path) -> None:
    small.eight_bits(small.export(tmp_path)).rename(tmp_path / "onnx" / "model_int8.onnx")
    (tmp_path / "onnx" / "model.onnx").unlink()
    assert "in eight bits only" in refused(tmp_path, tmp_path / "out", precision="fp32")
    assert "not in q4" in refused(tmp_path, tmp_path / "out", precision="q4")
    file = tmp_path / "onnx" / "model_int8.onnx"
    assert "is in eight bits | ask for int8" in refused(file, tmp_path / "out", precision="fp32")


def test_a_task_it_does_not_serve(tmp_path: Path) -> None:
    small.export(tmp_path, "question-answering")
    said = refused(tmp_path, tmp_path / "out", task="text-classification")
    assert "gives start_logits, end_logits, which serves question-answering, not text-classification" in said


def test_a_config_of_another_model(tmp_path: Path) -> None:
    small.export(tmp_path)
    small.describe(tmp_path, "text-classification", labels=7)
    assert "names 7 labels and the graph gives 3" in refused(tmp_path, tmp_path / "out")
    (tmp_path / "config.json").unlink()
    assert "has no config.json" in refused(tmp_path, tmp_path / "out")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    """It knows more tokens than the graph's table has rows."""
    small.export(tmp_path)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {
        word: number + (500 if number > 5 else 0) for word, number in vocabulary.items()
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "onnxruntime cannot run the graph on a text" in refused(tmp_path, tmp_path / "out")


def test_eight_bits_without_sense(tmp_path: Path) -> None:
    file = small.eight_bits(small.export(tmp_path))
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("_int8"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.int8), tensor.name))
    onnx.save(model, file)
    assert "eight-bit weights change the answers" in refused(tmp_path, tmp_path / "out", precision="int8")
    (tmp_path / "onnx" / "model.onnx").unlink()
    assert "the same answer for every text" in refused(tmp_path, tmp_path / "out")


def test_surgery_that_changes_numbers_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.export(tmp_path)
    monkeypatch.setattr(ready.surgery._Cut, "mask", lambda cut: cut._constant("attention_mask", 0))
    graph = small.Export()
    # A mask of zeros moves all scores alike, which softmax takes back; so the graph reads it once more.
    x = graph.encoder()
    more = graph.add("Cast", graph.unsqueeze("attention_mask", [2]), to=TensorProto.FLOAT)
    graph.named(graph.linear(graph.add("Mul", x, more), small.HIDDEN, 3), "logits")
    graph.save(tmp_path / "onnx" / "model.onnx", ("logits",))
    small.describe(tmp_path, "token-classification")
    assert "gives other numbers than its source" in refused(tmp_path, tmp_path / "out")


def test_what_is_no_number_is_not_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.export(tmp_path)
    golden = ready.checking.golden

    def spoiled(*given: Any) -> Any:
        found = golden(*given)
        found.outputs[5]["logits"][:] = np.nan
        return found

    monkeypatch.setattr(ready.checking, "golden", spoiled)
    assert "gives other numbers than its source: they differ by nan" in refused(tmp_path, tmp_path / "out")


def test_the_folder_itself(tmp_path: Path) -> None:
    small.export(tmp_path)
    assert "is the model folder itself" in refused(tmp_path, tmp_path)
    assert not (tmp_path / "bundle.json").exists()


def test_which_graph_is_taken(tmp_path: Path) -> None:
    names = ("model_q4", "model_uint8", "model_quantized", "model_O3", "model")
    for name in names:
        small.export(tmp_path, file=f"onnx/{name}.onnx", described=False)
    assert files.there(tmp_path)
    assert files.find(tmp_path, None).graph.stem == "model"
    eight = files.find(tmp_path, "int8")
    assert (eight.graph.stem, eight.exact.stem if eight.exact else None) == ("model_quantized", "model")
    (tmp_path / "onnx" / "model.onnx").unlink()
    assert files.find(tmp_path, None).graph.stem == "model_O3"
