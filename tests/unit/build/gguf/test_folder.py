"""Model folders as GGUF files: every weight where llama.cpp looks for it, and what is refused.

That the models answer the same is shown in tests/parity/test_gguf.py, against transformers.
"""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import small_decoders
from safetensors.numpy import load_file, save_file

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.gguf import families, folder, llama, neox
from firstlight.build.gguf.weights import Mapped
from firstlight.build.resolve import resolve
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError


def contents(out: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    read = gguf.GGUFReader(str(out / "model.gguf"))
    found = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in read.tensors}
    return {key: field.contents() for key, field in read.fields.items()}, found


def changed(place: Path, **config: Any) -> None:
    """Change keys of config.json; None takes one out."""
    file = place / "config.json"
    merged = json.loads(file.read_text()) | config
    file.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    small_decoders.llama(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_folder_is_a_model(tiny: Path, tmp_path: Path, cache: Path) -> None:
    (tiny / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (tiny / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "temperature": 0.6, "x": [1]})
    )
    place = resolve("tiny", tmp_path)
    bundle = Bundle.open(str(place), verify="hashes")
    assert (bundle.name, bundle.engine, bundle.task, bundle.precision) == (
        "tiny",
        "llama",
        "text-generation",
        "q8_0",
    )
    assert bundle.defaults == {"max_length": 128, "generation": {"do_sample": True, "temperature": 0.6}}
    assert bundle.source == {"licence": "apache-2.0"}
    assert Bundle.open(str(resolve("tiny", tmp_path, precision="q4_k_m"))).precision == "q4_k_m"
    with pytest.raises(ConversionError, match="not for translation"):
        resolve("tiny", tmp_path, task="translation")
    with pytest.raises(ConversionError, match="not made into nb8"):
        resolve("tiny", tmp_path, precision="nb8")


def test_the_same_folder_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    for kind in ("f16", "q4_k_m"):
        first, second = (folder.convert(tiny, tmp_path / name, precision=kind) for name in ("a", "b"))
        assert Bundle.open(str(first)).digest == Bundle.open(str(second)).digest


def test_llama_is_written_as_llama_cpp_has_it(tmp_path: Path) -> None:
    theirs = small_decoders.llama(tmp_path / "tiny", rope_theta=5e5)
    metadata, ours = contents(folder.convert(tmp_path / "tiny", tmp_path / "out", precision="f32"))
    assert metadata["general.architecture"] == "llama"
    numbers = (
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "context_length",
        "rope.dimension_count",
    )
    assert [metadata[f"llama.{key}"] for key in numbers] == [2, 64, 96, 128, 16]
    assert [metadata[f"llama.attention.head_count{end}"] for end in ("", "_kv")] == [4, 2]
    assert metadata["llama.rope.freq_base"] == 5e5
    assert metadata["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    queries = theirs["model.layers.1.self_attn.q_proj.weight"].reshape(4, 2, 8, 64)
    turned = ours["blk.1.attn_q.weight"].reshape(4, 8, 2, 64)
    assert np.array_equal(turned, queries.swapaxes(1, 2))
    for name, original in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output.weight", "lm_head.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"),
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight"),
        ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
    ):
        assert np.array_equal(ours[name], theirs[original]), name
    assert len(ours) == len(theirs)


def test_neox_is_written_as_llama_cpp_has_it(tmp_path: Path) -> None:
    theirs = small_decoders.neox(tmp_path / "tiny")
    metadata, ours = contents(folder.convert(tmp_path / "tiny", tmp_path / "out", precision="f32"))
    assert metadata["gptneox.use_parallel_residual"] is True
    assert metadata["gptneox.rope.dimension_count"] == 8
    for part in ("weight", "bias"):
        fused = theirs[f"gpt_neox.layers.0.attention.query_key_value.{part}"].reshape(4, 3, 16, -1)
        own = ours[f"blk.0.attn_qkv.{part}"].reshape(3, 4, 16, -1)
        assert np.array_equal(own, fused.swapaxes(0, 1))
    assert np.array_equal(ours["blk.1.ffn_up.bias"], theirs["gpt_neox.layers.1.mlp.dense_h_to_4h.bias"])


def test_orders_are_permutations() -> None:
    for order in (llama.neighbours(5, 8), neox.order(72, 3)):
        assert sorted(order) == list(range(len(order)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_weights_in_other_types(tmp_path: Path, dtype: Any) -> None:
    if dtype is ml_dtypes.bfloat16:  # the safetensors package writes no bfloat16 of numpy's
        small_decoders.llama(tmp_path / "tiny")
        theirs = _as_bfloat16(tmp_path / "tiny" / "model.safetensors")
    else:
        theirs = small_decoders.llama(tmp_path / "tiny", dtype=dtype)
    _, ours = contents(folder.convert(tmp_path / "tiny", tmp_path / "out", precision="f32"))
    down = theirs["model.layers.0.mlp.down_proj.weight"].astype(np.float32)
    assert np.array_equal(ours["blk.0.ffn_down.weight"], down)


def _as_bfloat16(file: Path) -> dict[str, np.ndarray]:
    weights = {name: value.astype(ml_dtypes.bfloat16) for name, value in load_file(str(file)).items()}
    header, at, raw = {}, 0, b""
    for name, value in weights.items():
        header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
        raw += value.tobytes()
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw)
    return weights


def test_weights_in_several_files(tiny: Path, tmp_path: Path) -> None:
    one = contents(folder.convert(tiny, tmp_path / "one", precision="f32"))
    weights = load_file(str(tiny / "model.safetensors"))
    (tiny / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, str(tiny / shard))
    index = {"weight_map": {name: shard for shard, held in shards.items() for name in held}}
    (tiny / "model.safetensors.index.json").write_text(json.dumps(index))
    two = contents(folder.convert(tiny, tmp_path / "two", precision="f32"))
    assert all(np.array_equal(one[1][name], two[1][name]) for name in one[1])
    (tiny / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    with pytest.raises(ConversionError, match="does not list the files"):
        folder.convert(tiny, tmp_path / "three")
    (tiny / "model.safetensors.index.json").write_text(json.dumps(index))
    (tiny / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ConversionError, match="model-00002-of-00002"):
        folder.convert(tiny, tmp_path / "three")


def test_memory_is_that_of_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, width = 40_000, 64
    save_file({"large": np.ones((rows, width), np.float32)}, str(tmp_path / "model.safetensors"))
    monkeypatch.setattr("firstlight.build.gguf.weights._PIECE", width * 2_000)
    content = Mapped.of(Checkpoint(tmp_path).entry("large"), "large")
    tracemalloc.start()
    written = sum(len(piece) for piece in content.pieces("q8_0"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written == rows
    assert peak < rows * width * 4 / 4, "a quarter of the tensor"


def test_embeddings_that_are_the_last_projection_are_written_once(tmp_path: Path) -> None:
    small_decoders.llama(tmp_path / "tiny", tie_word_embeddings=True)
    _, ours = contents(folder.convert(tmp_path / "tiny", tmp_path / "out", precision="f32"))
    assert "output.weight" not in ours


def test_rows_without_a_token_are_filled(tmp_path: Path) -> None:
    small_decoders.llama(tmp_path / "tiny", rows=310)
    metadata, _ = contents(folder.convert(tmp_path / "tiny", tmp_path / "out"))
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    assert len(tokens) == len(kinds) == len(set(tokens)) == 310
    assert tokens[-1] == "[PAD309]"
    assert kinds[-1] == gguf.TokenType.UNUSED


@pytest.mark.parametrize(
    ("scaling", "keys"),
    [
        ({"rope_type": "default"}, {}),
        ({"type": "linear", "factor": 4.0}, {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        ({"rope_type": "dynamic", "factor": 4.0}, {}),
        (
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
            {
                "rope.scaling.type": "yarn",
                "rope.scaling.factor": 4.0,
                "rope.scaling.original_context_length": 32,
            },
        ),
    ],
)
def test_rotary_positions(tiny: Path, tmp_path: Path, scaling: dict[str, Any], keys: dict[str, Any]) -> None:
    changed(tiny, rope_scaling=scaling)
    metadata, _ = contents(folder.convert(tiny, tmp_path / "out"))
    assert {key: metadata.get(f"llama.{key}") for key in keys} == keys
    assert ("llama.rope.scaling.type" in metadata) == bool(keys)


def test_the_frequencies_of_llama_3(tiny: Path, tmp_path: Path) -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    changed(tiny, rope_scaling=scaling | {"original_max_position_embeddings": 64}, rope_theta=500000.0)
    _, ours = contents(folder.convert(tiny, tmp_path / "out"))
    factors = ours["rope_freqs.weight"]
    # Wavelengths below 64 / 4 stay, those above 64 / 1 are divided by 8, those between by something between.
    wavelengths = 2 * np.pi * 500000.0 ** (np.arange(0, 16, 2) / 16)
    assert (factors[wavelengths < 16] == 1).all()
    assert (factors[wavelengths > 64] == 8).all()
    assert factors.shape == (8,)
    middle = (wavelengths > 16) & (wavelengths < 64)
    assert ((factors[middle] > 1) & (factors[middle] < 8)).all()


def test_a_window_bounds_the_context(tiny: Path, tmp_path: Path) -> None:
    changed(tiny, architectures=["MistralForCausalLM"], sliding_window=40)
    assert Bundle.open(str(folder.convert(tiny, tmp_path / "out"))).defaults["max_length"] == 40
    changed(tiny, architectures=["Qwen2ForCausalLM"], sliding_window=40, use_sliding_window=False)
    assert Bundle.open(str(folder.convert(tiny, tmp_path / "out"))).defaults["max_length"] == 128


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"hidden_size": 128}, r"shape \[\d+, 64\]; config.json says \[\d+, 128\]"),
        ({"num_hidden_layers": 3}, "layers.2"),
        ({"num_hidden_layers": 1}, "9 tensors are not part of the architecture"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"num_attention_heads": float("nan")}, "num_attention_heads"),
        ({"num_key_value_heads": 3}, "heads"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2}}, "longrope"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2, "beta_fast": 4}}, "yarn"),
        ({"rope_scaling": {"rope_type": "linear"}}, "factor"),
        ({"rope_scaling": 3}, "not a table"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised already .gptq"),
    ],
)
def test_what_cannot_be_converted_is_said(
    tiny: Path, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    changed(tiny, **config)
    with pytest.raises(ConversionError, match=said):
        folder.convert(tiny, tmp_path / "out")


def test_weights_that_no_one_asked_for_are_not_dropped(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(str(tiny / "model.safetensors"))
    extra = {"model.layers.0.self_attn.sinks": np.ones(4, np.float32)}
    save_file(weights | extra, str(tiny / "model.safetensors"))
    with pytest.raises(ConversionError, match="sinks"):
        folder.convert(tiny, tmp_path / "out")
    constant = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}
    save_file(weights | constant, str(tiny / "model.safetensors"))
    folder.convert(tiny, tmp_path / "out")


def test_weights_that_are_no_numbers_are_refused(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(str(tiny / "model.safetensors"))
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = np.nan
    save_file(weights, str(tiny / "model.safetensors"))
    for kind in ("f32", "q8_0"):
        with pytest.raises(
            ConversionError, match=r"tensor blk\.1\.ffn_up\.weight: it holds values that are not numbers"
        ):
            folder.convert(tiny, tmp_path / "out", precision=kind)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    small_decoders.llama(tmp_path / "tiny", rows=280)
    with pytest.raises(ConversionError, match=r"30\d tokens and the embeddings have 280 rows"):
        folder.convert(tmp_path / "tiny", tmp_path / "out")
    small_decoders.llama(tmp_path / "other", rows=600)
    with pytest.raises(ConversionError, match=r"30\d tokens and the embeddings have 600 rows"):
        folder.convert(tmp_path / "other", tmp_path / "out")


def test_integers_are_no_weights(tiny: Path, tmp_path: Path) -> None:
    weights = load_file(str(tiny / "model.safetensors"))
    weights["model.norm.weight"] = np.ones(64, np.int32)
    save_file(weights, str(tiny / "model.safetensors"))
    with pytest.raises(ConversionError, match="element type I32"):
        folder.convert(tiny, tmp_path / "out")


def test_a_bundle_is_not_written_over_its_model(tiny: Path) -> None:
    with pytest.raises(ConversionError, match="the model folder itself"):
        folder.convert(tiny, tiny)


def test_each_family_is_named_once() -> None:
    assert {family.architecture for family in families.FAMILIES.values()} == {
        "llama",
        "qwen2",
        "qwen3",
        "gptneox",
        "gpt2",
    }
