from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.runtime.errors import ConversionError


def test_reads_what_the_safetensors_library_writes(tmp_path: Path) -> None:
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.array([1.5, -2.0], dtype=np.float16),
        "number": np.array(7.25, dtype=np.float32),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    checkpoint = Checkpoint(tmp_path)
    for name, value in tensors.items():
        np.testing.assert_array_equal(checkpoint.array(name), value.astype(np.float32))


def test_old_names_of_layer_norm_are_read_as_the_new_ones(tmp_path: Path) -> None:
    save_file({"x.LayerNorm.gamma": np.ones(2, dtype=np.float32)}, tmp_path / "model.safetensors")
    assert Checkpoint(tmp_path).entry("x.LayerNorm.weight").shape == (2,)


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0xC040], dtype="<u2")  # 1.0 and -3.0
    header = {"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    write(tmp_path / "model.safetensors", header, bits.tobytes())
    assert Checkpoint(tmp_path).array("x").tolist() == [1.0, -3.0]


def test_float32_can_be_pointed_into_and_half_precision_cannot(tmp_path: Path) -> None:
    save_file({"x": np.ones(2, dtype=np.float32)}, tmp_path / "model.safetensors")
    assert Checkpoint(tmp_path).pointable() == tmp_path / "model.safetensors"
    save_file({"x": np.ones(2, dtype=np.float16)}, tmp_path / "model.safetensors")
    assert Checkpoint(tmp_path).pointable() is None


def test_written_float32_is_safetensors_again(tmp_path: Path) -> None:
    save_file(
        {"x": np.array([0.5, 2.0], dtype=np.float16), "y": np.ones((2, 2), dtype=np.float32)},
        tmp_path / "a.safetensors",
    )
    Checkpoint(tmp_path).write_float32(tmp_path / "b.safetensors")
    again = load_file(tmp_path / "b.safetensors")
    assert again["x"].dtype == np.float32
    assert again["x"].tolist() == [0.5, 2.0]
    assert again["y"].shape == (2, 2)


def test_shards_are_read_through_their_index(tmp_path: Path) -> None:
    for part, name in (("1", "a"), ("2", "b")):
        save_file({name: np.full(2, float(part), dtype=np.float32)}, tmp_path / f"model-{part}.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.array("b").tolist() == [2.0, 2.0]
    assert checkpoint.pointable() is None


def test_pickled_weights_are_refused_unopened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(ConversionError) as caught:
        Checkpoint(tmp_path)
    assert "allow_pickle" in caught.value.hint


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    save_file({"x": np.ones(2, dtype=np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(ConversionError, match=r"'classifier\.weight'"):
        Checkpoint(tmp_path).array("classifier.weight")


@pytest.mark.parametrize(
    "header",
    [
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 9]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [-4, 4]}},
        {"x": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}},
        {"x": {"dtype": "F32"}},
        {"x": 3},
        [],
    ],
)
def test_wrong_headers_are_refused(tmp_path: Path, header: object) -> None:
    write(tmp_path / "model.safetensors", header, b"\0" * 8)
    with pytest.raises(ConversionError, match="is not a safetensors file"):
        Checkpoint(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_checkpoint_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "model.safetensors").write_bytes(content)
    try:
        Checkpoint(folder)
    except ConversionError as error:
        caught = error.message
    else:
        caught = "model.safetensors"
    assert "model.safetensors" in caught


def write(file: Path, header: object, data: bytes) -> None:
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
