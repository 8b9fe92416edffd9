"""ggml's files of 2023: every layout, what becomes of its blocks, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import old_files
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.build.gguf import old_blocks, old_file, old_header
from firstlight.build.resolve import resolve
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError, FirstlightError, ProjectError

KINDS = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")
SAME = {(kind, 2) for kind in KINDS} | {("q5_0", 1), ("q5_1", 1)}
PACKED = {("q5_0", 0), ("q5_1", 0)}
QKV = "gpt_neox.layers.0.attention.query_key_value"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    old_files.tokenizer(tmp_path)
    return tmp_path


def written(folder: Path, kind: str = "q5_1", **layout: Any) -> tuple[Path, dict[str, bytes]]:
    """A file in a folder with its tokenizer, and the bytes of its tensors."""
    rows = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]) + 2
    file = folder / "pythia-410m-q5_1-ggjt.bin"
    raw = old_files.write(file, old_files.neox(rows), old_files.token_texts(folder, rows), kind, **layout)
    return file, raw


def tensors(out: Path) -> dict[str, Any]:
    return {one.name: one for one in gguf.GGUFReader(str(out / "model.gguf")).tensors}


def together(raw: bytes, heads: int) -> np.ndarray:
    """The rows of a fused projection: all queries, all keys, all values."""
    sizes = old_files.SIZES
    rows = np.frombuffer(raw, np.uint8).reshape(heads, 3, sizes["features"] // heads, -1)
    return rows.swapaxes(0, 1).reshape(3 * sizes["features"], -1)


def test_the_file_of_the_first_seed_is_a_model(folder: Path, cache: Path) -> None:
    file, _ = written(folder)
    bundle = Bundle.open(str(resolve(file.name, folder)), verify="hashes")
    assert (bundle.name, bundle.engine, bundle.precision) == ("pythia-410m-q5_1-ggjt", "llama", "q5_1")
    assert bundle.parity["weights"] == "the same blocks, bit for bit"
    assert "slowest" in bundle.parity["notes"][0]
    assert bundle.source == {"container": "ggjt 3"}
    assert Bundle.open(str(resolve(".", folder))).name == bundle.name, (
        "a folder with one such file is that file"
    )
    assert Bundle.open(str(resolve(file.name, folder, precision="q8_0"))).precision == "q8_0"


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_today_stay_bit_for_bit(folder: Path, kind: str) -> None:
    file, raw = written(folder, kind)
    ours = tensors(old_file.convert(file, folder / "out"))
    assert ours["token_embd.weight"].data.tobytes() == raw["gpt_neox.embed_in.weight"]
    assert ours["blk.1.ffn_down.weight"].data.tobytes() == raw["gpt_neox.layers.1.mlp.dense_4h_to_h.weight"]
    assert ours["blk.0.attn_qkv.weight"].data.tobytes() == together(raw[f"{QKV}.weight"], 4).tobytes()
    assert ours["blk.0.attn_qkv.bias"].data.tobytes() == together(raw[f"{QKV}.bias"], 4).tobytes()
    assert ours["blk.0.attn_qkv.weight"].tensor_type.name.lower() == kind


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("kind", ["f32", "f16", *KINDS])
def test_every_version_holds_the_same_weights_after(
    folder: Path, kind: str, version: int, says: bool
) -> None:
    blocks = version - 1
    file, raw = written(folder, kind, version=version, blocks=blocks, says_blocks=says)
    out = old_file.convert(file, folder / "out")
    parity, ours = Bundle.open(str(out)).parity, tensors(out)
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    shape = (old_files.SIZES["inner"], old_files.SIZES["features"])
    before = old_files.decode(raw[name], shape, kind, blocks)
    found = ours["blk.1.ffn_up.weight"]
    after = gguf.quants.dequantize(found.data, found.tensor_type)
    if kind in ("f32", "f16") or (kind, blocks) in SAME:
        assert parity["weights"] == "the same blocks, bit for bit"
        assert found.data.tobytes() == raw[name]
    elif (kind, blocks) in PACKED:
        assert parity["weights"] == "the same blocks, their values in today's order"
        assert len(found.data.tobytes()) == len(raw[name])
        np.testing.assert_allclose(after, before, rtol=3e-7, atol=0)
    else:
        assert parity["weights"].startswith("the same values; scales")
        assert 0 < parity["largest_scale_change"] <= 2**-11
        np.testing.assert_allclose(after, before, rtol=0, atol=2**-10 * np.abs(before).max() * 2)


@pytest.mark.parametrize("kind", ["q4_0", "q4_1", "q8_0"])
def test_rounded_scales_are_those_todays_quantiser_makes_of_the_same_weights(folder: Path, kind: str) -> None:
    """ggjt 3 was the same quantiser with float16 scales, so that nothing is lost against a newer file."""
    weights = old_files.neox(300)["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"]
    old = np.frombuffer(old_files.encode(weights, kind, 1), np.uint8).reshape(len(weights), -1)
    name = old_blocks.element(old_files.TYPES[kind], 1)
    assert name is not None
    theirs = gguf.quants.quantize(weights, gguf.GGMLQuantizationType[kind.upper()])
    ours = old_blocks.packed(old, name)
    assert (ours == theirs).mean() > 0.99, "where a value lies on a border the two may round it apart"


def test_packing_is_a_permutation(folder: Path) -> None:
    """Every bit of a re-packed block comes from one of the old block: unpacking by the old layout gives it back."""
    rows = np.random.default_rng(0).integers(0, 256, (5, 24 * 3), dtype=np.uint8)
    packed = old_blocks.packed(rows, "q5_1@0")
    heads = packed.reshape(-1, 24)
    assert np.array_equal(heads[:, :8], rows.reshape(-1, 24)[:, :8])
    low, high = heads[:, 8:] & 15, heads[:, 8:] >> 4
    values = np.concatenate([low, high], axis=1)
    back = values[:, ::2] | values[:, 1::2] << 4
    assert np.array_equal(back, rows.reshape(-1, 24)[:, 8:])


@pytest.mark.parametrize(("container", "says"), [("ggml", True), ("ggml", False)])
def test_files_without_a_version(folder: Path, container: str, says: bool) -> None:
    blocks = 2 if says else 0
    file, raw = written(folder, "q5_0", container=container, blocks=blocks, says_blocks=says)
    out = old_file.convert(file, folder / "out")
    assert Bundle.open(str(out)).source == {"container": "ggml"}
    found = tensors(out)["blk.1.ffn_up.weight"]
    before = old_files.decode(raw["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"], (128, 64), "q5_0", blocks)
    np.testing.assert_allclose(gguf.quants.dequantize(found.data, found.tensor_type), before, rtol=3e-7)


def test_what_the_file_says_of_the_model(folder: Path) -> None:
    file, _ = written(folder, parallel=0)
    (folder / "config.json").write_text(
        json.dumps({"layer_norm_eps": 1e-6, "rotary_emb_base": 5000, "hidden_size": 64})
    )
    out = old_file.convert(file, folder / "out")
    metadata = {
        key: field.contents() for key, field in gguf.GGUFReader(str(out / "model.gguf")).fields.items()
    }
    assert metadata["gptneox.use_parallel_residual"] is False
    assert metadata["gptneox.context_length"] == 64
    assert metadata["gptneox.rope.dimension_count"] == 8
    assert metadata["gptneox.rope.freq_base"] == 5000
    assert metadata["gptneox.attention.layer_norm_epsilon"] == pytest.approx(1e-6)
    assert metadata["tokenizer.ggml.merges"]
    assert metadata["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q5_1
    (folder / "config.json").write_text(json.dumps({"hidden_size": 1024}))
    with pytest.raises(ConversionError, match=r"hidden_size 1024 and the file says 64"):
        old_file.convert(file, folder / "out")


def test_without_its_tokenizer_it_says_which_one_to_fetch(folder: Path, cache: Path) -> None:
    file, _ = written(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ProjectError, match="without the merges that make them") as refused:
        resolve(file.name, folder)
    assert "tokenizer.json" in refused.value.hint
    assert "EleutherAI/pythia-410m" in refused.value.hint


def test_the_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    file, _ = written(folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = saved["model"]["vocab"]
    texts = sorted(vocabulary, key=vocabulary.get)
    moved = {text: (number + 40) % len(texts) for number, text in enumerate(texts)}
    moved["<|endoftext|>"], other = 0, next(text for text, number in moved.items() if number == 0)
    moved[other] = 40
    saved["model"]["vocab"] = moved
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(ConversionError, match=r"are not those of the tokenizer\.json beside it"):
        old_file.convert(file, folder / "out")


@pytest.mark.parametrize("kind", ["q4_2", "q4_3"])
def test_blocks_without_like_are_refused_and_computed_anew_where_asked(folder: Path, kind: str) -> None:
    file, raw = written(folder, kind, version=1, blocks=0)
    with pytest.raises(ConversionError, match=f"type {kind} .* have no like in GGUF") as refused:
        old_file.convert(file, folder / "out")
    assert "set quantize" in refused.value.hint
    out = old_file.convert(file, folder / "out", precision="f32")
    before = old_files.decode(raw["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"], (128, 64), kind, 0)
    np.testing.assert_allclose(tensors(out)["blk.1.ffn_up.weight"].data, before, rtol=1e-6, atol=1e-7)


def llama_file(file: Path, rows: int = 300) -> dict[str, np.ndarray]:
    """A small Llama as llama.cpp's convert.py wrote it in May 2023: ggjt 3, f16, bytes among the tokens."""
    draw, features, inner, heads, layers = np.random.default_rng(5), 64, 96, 4, 2
    shapes: dict[str, tuple[int, ...]] = {
        "tok_embeddings.weight": (rows, features),
        "norm.weight": (features,),
        "output.weight": (rows, features),
    }
    for layer in range(layers):
        of = f"layers.{layer}."
        shapes |= {f"{of}attention.{name}.weight": (features, features) for name in ("wq", "wk", "wv", "wo")}
        shapes |= {f"{of}feed_forward.{name}.weight": (inner, features) for name in ("w1", "w3")}
        shapes |= {f"{of}feed_forward.w2.weight": (features, inner)}
        shapes |= {f"{of}{name}.weight": (features,) for name in ("attention_norm", "ffn_norm")}
    weights = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    tokens = [b" \xe2\x81\x87 ", b"", b"", *(bytes([number]) for number in range(256))]
    tokens += [b" the", b"a", "\u00e9".encode()] + [f" w{number}".encode() for number in range(rows - 262)]
    out = bytearray(
        struct.pack("<II7i", old_files.MAGICS["ggjt"], 3, rows, features, 32, heads, layers, 16, 1)
    )
    for number, token in enumerate(tokens):
        out += struct.pack("<I", len(token)) + token + struct.pack("<f", -number)
    for name, values in weights.items():
        raw = values.astype("<f2" if values.ndim == 2 else "<f4").tobytes()
        shape = values.shape[::-1]
        out += (
            struct.pack(f"<3i{len(shape)}i", len(shape), len(name), int(values.ndim == 2), *shape)
            + name.encode()
        )
        out += bytes(-len(out) % 32) + raw
    file.write_bytes(bytes(out))
    return weights


def test_a_llama_has_its_tokenizer_inside(tmp_path: Path, cache: Path) -> None:
    weights = llama_file(tmp_path / "llama.bin")
    with pytest.raises(ConversionError, match="does not say the epsilon") as refused:
        resolve("llama.bin", tmp_path)
    assert "config.json" in refused.value.hint
    (tmp_path / "config.json").write_text(json.dumps({"rms_norm_eps": 1e-6, "max_position_embeddings": 2048}))
    out = resolve("llama.bin", tmp_path)
    ours = tensors(out)
    queries = weights["layers.1.attention.wq.weight"].astype(np.float16)
    assert ours["blk.1.attn_q.weight"].data.tobytes() == queries.tobytes()
    assert (
        ours["blk.1.ffn_gate.weight"].data.tobytes()
        == weights["layers.1.feed_forward.w1.weight"].astype("<f2").tobytes()
    )
    metadata = {
        key: field.contents() for key, field in gguf.GGUFReader(str(out / "model.gguf")).fields.items()
    }
    assert metadata["tokenizer.ggml.model"] == "llama"
    assert metadata["tokenizer.ggml.tokens"][:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert metadata["tokenizer.ggml.tokens"][258:262] == ["<0xFF>", "\u2581the", "a", "\u00e9"]
    assert metadata["tokenizer.ggml.scores"][259] == -259
    assert metadata["llama.context_length"] == 2048
    assert Bundle.open(str(out)).precision == "f16"


def whole(folder: Path) -> bytearray:
    file, _ = written(folder)
    return bytearray(file.read_bytes())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw[:-40], "cut short"),
        (lambda raw: raw[:2000], "does not fit"),
        (lambda raw: raw[:3], "no file of ggml"),
        (lambda raw: raw[:4] + struct.pack("<I", 9) + raw[8:], "ggjt of version 9"),
        (lambda raw: raw[:36] + struct.pack("<i", 7009) + raw[40:], "blocks of version 7"),
        (lambda raw: raw[:8] + struct.pack("<i", -5) + raw[12:], "sizes are not those"),
        (lambda raw: raw[:24] + struct.pack("<i", 1 << 30) + raw[28:], "sizes are not those"),
        (lambda raw: raw + b"\1", "a number of 4 bytes"),
        (lambda raw: raw.replace(b"gpt_neox.embed_in", b"gpt_beox.embed_in"), "model of another kind"),
        (lambda raw: raw.replace(b"embed_out", b"embed_oot"), "has no tensor embed_out"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, change: Any, said: str) -> None:
    file = folder / "changed.bin"
    file.write_bytes(bytes(change(whole(folder))))
    with pytest.raises(ConversionError, match=said):
        old_file.convert(file, folder / "out")


def test_an_element_type_of_another_version_is_refused(folder: Path) -> None:
    file, _ = written(folder, "q4_2", version=3, blocks=0, says_blocks=False)
    with pytest.raises(ConversionError, match="element type 4, which blocks of version 2 do not have"):
        old_header.read(file)


@given(st.data())
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.getbasetemp() / "old"
    if not (root / "tokenizer.json").is_file():
        old_files.tokenizer(root)
    raw = _whole_once(root)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.one_of(st.integers(0, 60), st.integers(0, 6000)))
        piece = data.draw(st.binary(min_size=1, max_size=8))
        raw[place : place + len(piece)] = piece
    file = root / "mutant.bin"
    file.write_bytes(bytes(raw))
    try:
        found = old_header.read(file)
    except FirstlightError:
        return
    assert all(one.offset < len(raw) for one in found.tensors.values())


_CACHED: dict[Path, bytes] = {}


def _whole_once(root: Path) -> bytearray:
    if root not in _CACHED:
        _CACHED[root] = bytes(whole(root))
    return bytearray(_CACHED[root])
