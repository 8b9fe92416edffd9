"""Weights in fewer bits: blocks that the gguf package unpacks to what went in, and which tensor gets which."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from firstlight.build.gguf import elements, families, k_blocks, quantisations
from firstlight.project import checks
from firstlight.runtime.errors import ConversionError

ERRORS = {"q4_k": 0.075, "q5_k": 0.038, "q6_k": 0.020}
"""Of normally distributed weights, root mean square over their deviation; llama.cpp's own are .073, .037 and .019."""


@pytest.mark.parametrize("kind", ERRORS)
def test_k_blocks_unpack_to_what_went_in(kind: str) -> None:
    weights = np.random.default_rng(0).standard_normal((32, 1024)).astype(np.float32)
    raw = elements.encode(weights, kind)
    assert raw.shape == (32, elements.row_bytes(1024, kind))
    back = quants.dequantize(raw, GGMLQuantizationType[kind.upper()])
    assert np.sqrt(np.square(back - weights).mean()) < ERRORS[kind]


@given(
    arrays.arrays(np.float32, (2, 256), elements=st.floats(-4, 4, width=32)),
    st.sampled_from(sorted(ERRORS)),
    st.sampled_from([0.05, 1.0, 1000.0]),
)
@example(np.full((2, 256), 1e-38, np.float32), "q6_k", 0.05)
@example(np.full((2, 256), 1e-38, np.float32), "q4_k", 1.0)
def test_no_weights_break_a_k_block(weights: np.ndarray, kind: str, size: float) -> None:
    weights = weights * np.float32(size)
    back = elements.decode(elements.encode(weights, kind), kind)
    # A sub-block's step is at most a 15th (31st, 32nd) of its widest range; scales are themselves rounded to 6 bits.
    assert np.abs(back - weights).max() <= 8 * size * {"q4_k": 0.12, "q5_k": 0.08, "q6_k": 0.06}[kind]
    assert np.isfinite(back).all()


@pytest.mark.parametrize(
    "kind", ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "q4_k", "q5_k", "q6_k"]
)
def test_zeros_stay_zeros(kind: str) -> None:
    assert not elements.decode(elements.encode(np.zeros((1, 256), np.float32), kind), kind).any()


def test_rows_of_one_tensor_do_not_depend_on_each_other() -> None:
    weights = np.random.default_rng(1).standard_normal((3, 512)).astype(np.float32)
    for make in (k_blocks.q4_k, k_blocks.q5_k, k_blocks.q6_k):
        assert (make(weights) == np.concatenate([make(row[None]) for row in weights])).all()


@pytest.mark.parametrize("kind", ["q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "bf16"])
def test_other_types_are_those_of_the_gguf_package(kind: str) -> None:
    weights = np.random.default_rng(2).standard_normal((4, 64)).astype(np.float32)
    theirs = quants.quantize(weights, GGMLQuantizationType[kind.upper()])
    assert elements.encode(weights, kind).tobytes() == theirs.tobytes()
    expected = quants.dequantize(theirs, GGMLQuantizationType[kind.upper()])
    assert (elements.decode(elements.encode(weights, kind), kind) == expected).all()


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (np.nan, "f32", "not numbers"),
        (np.inf, "q4_k", "not numbers"),
        (1e6, "f16", "too large"),
        (1e6, "q8_0", "too large"),
    ],
)
def test_weights_that_cannot_be_written_are_refused(value: float, kind: str, said: str) -> None:
    weights = np.zeros((1, 256), np.float32)
    weights[0, 9] = value
    with pytest.raises(ConversionError, match=said):
        elements.encode(weights, kind)


def test_a_type_that_no_one_unpacks_is_refused() -> None:
    with pytest.raises(ConversionError, match="i32 cannot be unpacked"):
        elements.decode(np.zeros((1, 4), np.uint8), "i32")


@pytest.mark.parametrize(
    ("kind", "name", "shape", "element"),
    [
        ("q4_k_m", "blk.0.attn_q.weight", (64, 256), "q4_k"),
        ("q4_k_m", "blk.0.ffn_down.weight", (64, 256), "q6_k"),
        ("q4_k_m", "blk.5.ffn_down.weight", (64, 256), "q4_k"),
        ("q4_k_m", "blk.5.attn_v.weight", (64, 256), "q4_k"),
        ("q4_k_m", "blk.15.attn_v.weight", (64, 256), "q6_k"),
        ("q4_k_m", "blk.4.attn_qkv.weight", (64, 256), "q5_k"),
        ("q5_k_m", "blk.4.attn_qkv.weight", (64, 256), "q6_k"),
        ("q4_k_m", "output.weight", (64, 256), "q6_k"),
        ("q4_k_m", "token_embd.weight", (64, 256), "q4_k"),
        ("q4_0", "output.weight", (64, 256), "q6_k"),
        ("q8_0", "output.weight", (64, 256), "q8_0"),
        ("q4_k_m", "blk.0.attn_q.weight", (64, 192), "q5_0"),
        ("q4_k_m", "output.weight", (64, 192), "q8_0"),
        ("q5_k_m", "blk.0.attn_q.weight", (64, 192), "q8_0"),
        ("q4_0", "blk.0.attn_q.weight", (64, 40), "f16"),
        ("f32", "blk.0.attn_q.weight", (64, 40), "f32"),
        ("q4_0", "blk.0.attn_norm.weight", (256,), "f32"),
        ("f16", "blk.0.attn_q.bias", (256,), "f32"),
        ("q4_0", "position_embd.weight", (64, 256), "f32"),
    ],
)
def test_which_tensor_gets_which_type(kind: str, name: str, shape: tuple[int, ...], element: str) -> None:
    assert quantisations.element_for(quantisations.named(kind), name, shape, 16, tied=False) == element


def test_embeddings_that_are_the_last_projection_too_are_kept_like_it() -> None:
    kind = quantisations.named("q4_k_m")
    assert quantisations.element_for(kind, "token_embd.weight", (64, 256), 16, tied=True) == "q6_k"


def test_what_is_chosen_where_nothing_is_asked_for() -> None:
    assert quantisations.chosen(None, 410_000_000).name == "q8_0"
    assert quantisations.chosen(None, 1_100_000_000).name == "q4_k_m"
    assert quantisations.chosen("Q4_K_M", 1).name == "q4_k_m"
    assert quantisations.chosen("fp16", 1).name == "f16"
    with pytest.raises(ConversionError, match="'int8'") as refused:
        quantisations.chosen("int8", 1)
    assert "q4_k_m" in refused.value.hint


def test_names_and_numbers_are_llama_cpps() -> None:
    theirs = {
        kind.name.removeprefix("MOSTLY_").removeprefix("ALL_").lower(): kind.value
        for kind in gguf.LlamaFileType
    }
    assert {
        name: found.file_type for name, found in quantisations.QUANTISATIONS.items()
    }.items() <= theirs.items()


def test_the_project_file_takes_every_quantisation() -> None:
    assert set(quantisations.QUANTISATIONS) <= set(checks.PRECISIONS)


def test_every_quantisation_is_on_the_page() -> None:
    page = (Path(__file__).parents[4] / "docs" / "gguf.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in quantisations.QUANTISATIONS)
    assert all(f"`{name}`" in page for name in families.FAMILIES)
