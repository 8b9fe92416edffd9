"""GGUF files as models: linked as they are, made into other quantisations, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.build.gguf import file as gguf_file_module
from firstlight.build.gguf import reading, writer
from firstlight.build.resolve import resolve
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.engines.llama import checks
from firstlight.runtime.errors import ConversionError, FirstlightError, ProjectError

convert = gguf_file_module.convert


def tensors(file: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(str(file)).tensors}


def weights(file: Path) -> dict[str, np.ndarray]:
    return {
        name: gguf.quants.dequantize(found.data, found.tensor_type) for name, found in tensors(file).items()
    }


def rewritten(origin: Path, place: Path, **changed: Any) -> Path:
    """The same file with keys of the metadata changed (None leaves one out); dots are written as ``__``."""
    found = reading.read(origin)
    metadata: dict[str, Any] = dict(found.entries())
    for key, value in changed.items():
        metadata[key.replace("__", ".")] = value
    metadata = {key: value for key, value in metadata.items() if value is not None}
    content = [writer.Tensor(name, one.shape, one.element, one) for name, one in found.tensors.items()]
    writer.write(place, metadata, content)
    return place


def test_a_file_is_linked_not_copied(gguf_file: Path, tmp_path: Path) -> None:
    out = convert(gguf_file, tmp_path / "bundle")
    bundle = Bundle.open(str(out), verify="hashes")
    assert (bundle.engine, bundle.task, bundle.precision, bundle.name) == (
        "llama",
        "text-generation",
        "f32",
        "model",
    )
    assert bundle.model == {"file": "model.gguf", "checked": checks.VERSION}
    assert bundle.tokenizer == {"kind": "gguf"}
    assert bundle.defaults == {"max_length": 128}
    assert (out / "model.gguf").stat().st_ino == gguf_file.stat().st_ino


def test_a_file_is_a_model(gguf_file: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "tiny.gguf").hardlink_to(gguf_file)
    place = resolve("models/tiny.gguf", tmp_path)
    assert Bundle.open(str(place)).name == "tiny"
    assert resolve("./models/tiny.gguf", tmp_path) == place
    assert resolve("models", tmp_path, task="text-generation") != place, "another task is another bundle"
    assert resolve(str(folder), Path("/")) == place, "a folder with one such file is that file"
    (folder / "other.gguf").hardlink_to(gguf_file)
    with pytest.raises(ConversionError, match=r"2 models: other\.gguf, tiny\.gguf"):
        resolve("models", tmp_path)
    with pytest.raises(ConversionError, match="not for fill-mask"):
        resolve("models/tiny.gguf", tmp_path, task="fill-mask")


def test_licence_and_wishes_are_in_the_bundle(gguf_file: Path, tmp_path: Path) -> None:
    given_keys = {
        "general__license": "apache-2.0",
        "general__sampling__temp": 0.7,
        "general__sampling__top_k": 40,
    }
    bundle = Bundle.open(
        str(convert(rewritten(gguf_file, tmp_path / "m.gguf", **given_keys), tmp_path / "bundle"))
    )
    assert bundle.source == {"licence": "apache-2.0"}
    assert bundle.defaults["generation"] == {"temperature": pytest.approx(0.7), "top_k": 40}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("---\nlicense: mit\n---\n")
    plain = rewritten(gguf_file, tmp_path / "other" / "m.gguf")
    assert Bundle.open(str(convert(plain, tmp_path / "b"))).source == {"licence": "mit"}


def test_the_name_of_the_quantisation(gguf_file: Path, tmp_path: Path) -> None:
    for number, name in ((7, "q8_0"), (11, "q3_k_s"), (30, "iq4_xs"), (None, "f32"), (999, "f32")):
        file = rewritten(gguf_file, tmp_path / "m.gguf", general__file_type=number)
        assert Bundle.open(str(convert(file, tmp_path / "bundle"))).precision == name


def test_the_slowest_quantisation_is_told(gguf_file: Path, tmp_path: Path) -> None:
    out = convert(gguf_file, tmp_path / "bundle", precision="q5_1")
    (note,) = Bundle.open(str(out)).parity["notes"]
    assert "slowest" in note
    assert "q8_0" in note
    assert "q4_k_m" in note
    assert "notes" not in Bundle.open(str(convert(gguf_file, tmp_path / "b", precision="q8_0"))).parity


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q4_0"])
def test_weights_are_made_into_another_quantisation(gguf_file: Path, tmp_path: Path, kind: str) -> None:
    out = convert(gguf_file, tmp_path / "bundle", precision=kind)
    assert Bundle.open(str(out)).precision == kind
    before, after = tensors(gguf_file), tensors(out / "model.gguf")
    assert before.keys() == after.keys()
    projection = after["blk.0.attn_q.weight"]
    assert projection.tensor_type.name.lower() == kind
    values = before["blk.0.attn_q.weight"].data
    assert np.array_equal(
        gguf.quants.dequantize(projection.data, projection.tensor_type),
        gguf.quants.dequantize(gguf.quants.quantize(values, projection.tensor_type), projection.tensor_type),
    )
    assert np.array_equal(after["blk.0.attn_norm.weight"].data, before["blk.0.attn_norm.weight"].data)
    kept = {key: field.contents() for key, field in gguf.GGUFReader(str(gguf_file)).fields.items()}
    made = {key: field.contents() for key, field in gguf.GGUFReader(str(out / "model.gguf")).fields.items()}
    changed = {key for key in kept if kept[key] != made[key]} - {"GGUF.tensor_count", "GGUF.kv_count"}
    assert changed == {"general.file_type"}


def test_weights_that_were_quantised_before_are_told(gguf_file: Path, tmp_path: Path) -> None:
    first = convert(gguf_file, tmp_path / "first", precision="q4_0")
    again = convert(first / "model.gguf", tmp_path / "again", precision="q8_0")
    assert "were q4_0 already" in Bundle.open(str(again)).parity["notes"][0]
    for name, values in weights(first / "model.gguf").items():
        assert np.allclose(values, weights(again / "model.gguf")[name], atol=0.02)


def test_what_is_there_already_is_linked(gguf_file: Path, tmp_path: Path) -> None:
    out = convert(gguf_file, tmp_path / "bundle", precision="fp32")
    assert (out / "model.gguf").stat().st_ino == gguf_file.stat().st_ino


def test_parts_of_a_split_file_are_joined(gguf_file: Path, tmp_path: Path, cache: Path) -> None:
    found = reading.read(gguf_file)
    names = list(found.tensors)
    places = [tmp_path / f"tiny-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, place in enumerate(places):
        own = names[: len(names) // 2] if number == 0 else names[len(names) // 2 :]
        metadata: dict[str, Any] = {
            **(found.entries() if number == 0 else {}),
            "split.count": 2,
            "split.no": number,
        }
        content = [
            writer.Tensor(n, found.tensors[n].shape, found.tensors[n].element, found.tensors[n]) for n in own
        ]
        writer.write(place, metadata, content)
    for asked in (places[1].name, "."):
        place = resolve(asked, tmp_path)
        bundle = Bundle.open(str(place), verify="hashes")
        assert (bundle.name, bundle.precision, list(bundle.files)) == ("tiny", "f32", ["model.gguf"])
        before, after = weights(gguf_file), weights(place / "model.gguf")
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert "split.count" not in gguf.GGUFReader(str(place / "model.gguf")).fields
    smaller = convert(places[0], tmp_path / "smaller", precision="f16")
    assert tensors(smaller / "model.gguf").keys() == before.keys()
    places[1].unlink()
    with pytest.raises(ConversionError, match=r"tiny-00002-of-00002\.gguf is missing"):
        convert(places[0], tmp_path / "bundle")
    renamed = places[0].rename(tmp_path / "tiny.gguf")
    with pytest.raises(ConversionError, match="one of 2 parts; 1 are here"):
        convert(renamed, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"general__architecture": "bert"}, "does not generate text by itself"),
        ({"general__architecture": None}, "general.architecture"),
        ({"general__type": "adapter"}, "adapter"),
        ({"tokenizer__ggml__tokens": None}, "tokenizer"),
        ({"tokenizer__ggml__tokens": ["a", "b"]}, "2 tokens"),
    ],
)
def test_what_is_no_language_model_is_refused(
    gguf_file: Path, tmp_path: Path, changed: Any, said: str
) -> None:
    file = rewritten(gguf_file, tmp_path / "m.gguf", **changed)
    with pytest.raises(ConversionError, match=said):
        convert(file, tmp_path / "bundle")


def test_other_architectures_are_served_as_they_are_only(gguf_file: Path, tmp_path: Path) -> None:
    file = rewritten(gguf_file, tmp_path / "m.gguf", general__architecture="gemma9")
    assert Bundle.open(str(convert(file, tmp_path / "bundle"))).precision == "f32"
    with pytest.raises(ConversionError, match="gemma9 are not made into q8_0") as refused:
        convert(file, tmp_path / "bundle", precision="q8_0")
    assert "leave quantize out" in refused.value.hint


def test_a_file_that_the_engine_does_not_take_is_no_model(
    gguf_file: Path, tmp_path: Path, cache: Path
) -> None:
    rewritten(gguf_file, tmp_path / "m.gguf", general__architecture="gemma9")
    with pytest.raises(ConversionError, match="gemma9"):
        resolve("m.gguf", tmp_path)
    assert list(cache.iterdir()) == []


def test_files_that_are_damaged_are_refused(gguf_file: Path, tmp_path: Path, cache: Path) -> None:
    raw = gguf_file.read_bytes()
    for content, said in (
        (raw[:-100], "cut short"),
        (raw[:300], "m.gguf"),
        (b"PK\3\4" + raw[4:], "GGUF"),
        (b"", "m.gguf"),
        (raw[:4] + struct.pack("<I", 1) + raw[8:], "version 1"),
    ):
        (tmp_path / "m.gguf").write_bytes(content)
        with pytest.raises(ConversionError, match=said):
            resolve("m.gguf", tmp_path)
    assert list(cache.iterdir()) == []
    with pytest.raises(ProjectError, match="no model at"):
        resolve("nowhere.gguf", tmp_path)


def test_an_unknown_element_type_is_refused(gguf_file: Path, tmp_path: Path) -> None:
    raw = bytearray(gguf_file.read_bytes())
    at = raw.index(b"blk.0.ffn_up.weight") + len(b"blk.0.ffn_up.weight") + 4 + 16
    raw[at : at + 4] = struct.pack("<I", 99)
    (tmp_path / "m.gguf").write_bytes(bytes(raw))
    with pytest.raises(ConversionError, match="element type 99"):
        convert(tmp_path / "m.gguf", tmp_path / "bundle")


@given(st.data())
def test_no_bytes_of_a_header_break_it(
    gguf_file: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw = bytearray(gguf_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 9000))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        raw[place : place + len(piece)] = piece
    root = tmp_path_factory.getbasetemp()
    (root / "mutant.gguf").write_bytes(bytes(raw))
    try:
        out = convert(root / "mutant.gguf", root / "mutant")
    except FirstlightError:
        return
    json.loads((out / "bundle.json").read_text())
