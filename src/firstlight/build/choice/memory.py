"""What a worker is expected to take, worked out from the bytes of its weights.

The figures behind it were measured on workers of firstlight after a few answers (resident memory, one thread; those of
onnx and onnx-seq2seq are in benchmarks/results, the latter proportional):

engine         model, weights in MB       measured MB    by the rule below
onnx           DistilBERT fp32, 268               217            222
onnx           DistilBERT int8, 67                100             92
onnx           sentiment starter int8, 16          51             59
ctranslate2    Marian fp32, 297                   355            357
ctranslate2    Marian int8, 76                    126            136
ctranslate2    DistilBART int8, 238               293            298
llama          Pythia-410M q8_0, 434              513            516
llama          Pythia-410M q4_k_m, 267            347            349
onnx-seq2seq   Marian fp32, 300                   592            590
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALONE_MB = {"onnx": 48.0, "ctranslate2": 60.0, "llama": 82.0, "onnx-seq2seq": 50.0}
"""Interpreter, library, tokenizer and the numbers of one answer."""

_SHARE = {"onnx": 1.0, "ctranslate2": 1.0, "llama": 1.0, "onnx-seq2seq": 1.8}
"""Of the weights; a search has the decoder's a second time, packed for the CPU."""

BITS = {
    "fp32": 32.0, "f32": 32.0, "fp16": 16.0, "f16": 16.0, "bf16": 16.0, "int8": 8.0, "nb8": 8.5, "q4": 4.5, "q8_0": 8.5,
    "q6_k": 6.6, "q5_k_m": 5.8, "q5_k_s": 5.6, "q5_1": 6.0, "q5_0": 5.6, "q4_k_m": 4.9, "q4_k_s": 4.6, "q4_1": 5.0,
    "q4_0": 4.6, "iq4_xs": 4.4, "iq4_nl": 4.6, "q3_k_l": 4.2, "q3_k_m": 3.9, "q3_k_s": 3.6, "q2_k": 3.2,
}  # fmt: skip
"""Bits a weight takes, scales included."""


def expected_mb(engine: str, weights: float, config: Mapping[str, Any], precision: str) -> int:
    """Memory of one worker, MB (10^6 bytes), an estimate.

    Args:
        weights: bytes of the bundle's weights.
        config: config.json; of an encoder's table of words only the rows are read that a text asks for.
        precision: of the bundle.
    """
    if engine == "onnx":
        weights = max(weights - _table(config) * BITS.get(precision, 32.0) / 8, 0.35 * weights)
    return round(_ALONE_MB[engine] + _SHARE[engine] * weights / 1e6)


def _table(config: Mapping[str, Any]) -> int:
    """Weights of the table of words; the positions' is small beside it."""
    try:
        return int(config["vocab_size"]) * int(config.get("hidden_size") or config["dim"])
    except (KeyError, TypeError, ValueError):
        return 0
