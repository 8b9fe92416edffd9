"""Files of 2023 answer after the conversion what they would have answered before.

Before: ggml's arithmetic of the time, computed with numpy on the weights that its blocks stand for. After: libllama on
the GGUF file. libllama rounds what is multiplied by quantised weights to 8 bits, as ggml did then; so such weights are
compared twice: unpacked to float32 they have to give the same numbers, packed the same within that rounding.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import old_files
import pytest

from firstlight.build.gguf import old_file
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import load
from firstlight.runtime.generation.wishes import Sampling

IDS = [5, 70, 200, 33, 290, 12, 7, 150, 266, 1, 99]
TOP = 20
EXACT, ROUNDED = 0.02, 0.3
"""Of a log-probability: the GELU table of ggml is float16; the 8 bits of what is multiplied."""


def before(
    raw: dict[str, bytes], weights: dict[str, np.ndarray], kind: str, blocks: int, parallel: bool
) -> np.ndarray:
    unpacked = {
        name: old_files.decode(raw[name], values.shape, kind if values.ndim == 2 else "f32", blocks)
        for name, values in weights.items()
    }
    logits = old_files.logits(unpacked, IDS, parallel)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def furthest(out: Path, expected: np.ndarray) -> float:
    """How far the log-probabilities of the likeliest tokens are from those expected, after each of the tokens."""
    engine = load(Bundle.open(str(out)))
    largest = 0.0
    for count in range(1, len(IDS) + 1):
        (token,) = engine.generate(IDS[:count], Sampling(max_tokens=1, logprobs=TOP), NEVER)
        assert len(token.top) == TOP
        apart = [abs(logprob - expected[count - 1, number]) for number, logprob in token.top]
        largest = max(largest, *apart)
    return largest


@pytest.mark.parametrize(
    ("kind", "version", "container"),
    [
        ("f32", 3, "ggjt"),
        ("f16", 1, "ggjt"),
        ("q5_1", 3, "ggjt"),
        ("q5_1", 2, "ggjt"),
        ("q5_1", 1, "ggjt"),
        ("q5_0", 1, "ggjt"),
        ("q4_0", 2, "ggjt"),
        ("q4_1", 1, "ggjt"),
        ("q8_0", 1, "ggjt"),
        ("q5_1", 3, "ggml"),
    ],
)
@pytest.mark.parametrize("parallel", [True, False])
def test_a_file_answers_what_it_did(
    tmp_path: Path, kind: str, version: int, container: str, parallel: bool
) -> None:
    rows, blocks = old_files.tokenizer(tmp_path) + 2, version - 1
    weights = old_files.neox(rows)
    file = tmp_path / "model.bin"
    texts = old_files.token_texts(tmp_path, rows)
    raw = old_files.write(file, weights, texts, kind, container, version, blocks, parallel=int(parallel))
    expected = before(raw, weights, kind, blocks, parallel)
    assert furthest(old_file.convert(file, tmp_path / "exact", precision="f32"), expected) < EXACT
    kept = furthest(old_file.convert(file, tmp_path / "kept"), expected)
    assert kept < (ROUNDED if kind.startswith("q") else EXACT)
