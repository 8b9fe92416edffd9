"""Evening out activations before they are quantised, where a few features dwarf the others.

``int8`` has one scale for all activations of a layer's input. In encoders of the BERT family a handful of features
reach ten times the rest, at a few tokens, so most values share a few steps of that scale. Dividing such a feature
and multiplying its weights by the same factor changes nothing in exact arithmetic and evens out both (Xiao and
others, "SmoothQuant", 2023). The factors are chosen here by the error they leave on real sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from firstlight.build.convert import quantize
from firstlight.build.convert.checkpoint import Floats

Activations = Mapping[str, list[Floats]]
"""Weight name -> the inputs [tokens, features] of its layer, one array a sentence."""

_STRENGTHS = (0.25, 0.5, 0.75, 1.0)
_OUTPUTS = 128
"""About so many of a layer's outputs are looked at."""
_WORTH = 0.6
"""One more pass over the input is paid only where the squared error falls under this share."""


def activations(graph: Path, feeds: Sequence[Mapping[str, np.ndarray]]) -> dict[str, list[Floats]]:
    """Run an exact graph and keep what its layers are given.

    Args:
        graph: a float32 graph of ``encoder.write_graph``; a copy with more outputs is written beside it.
        feeds: see ``parity.feeds``.
    """
    from firstlight.build.convert import parity

    model = onnx.load(str(graph), load_external_data=False)
    layers = {node.input[1]: node.input[0] for node in model.graph.node if node.op_type == "Gemm"}
    del model.graph.output[:]
    for name in dict.fromkeys(layers.values()):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    watched = graph.with_name("watched.onnx")
    watched.write_bytes(model.SerializeToString())
    seen = parity.run(watched, feeds)
    return {weight: [outputs[name] for outputs in seen] for weight, name in layers.items()}


def factors(weight: Floats, samples: Sequence[Floats]) -> Floats | None:
    """What to divide each feature by, or None where it would gain too little.

    Args:
        weight: a layer's weight [out, in].
        samples: its inputs [tokens, in].
    """
    peaks = np.max([np.abs(sample).max(axis=0) for sample in samples], axis=0)
    ratio = np.maximum(peaks / max(float(np.median(peaks)), 1e-6), 1)
    weight = weight[:: max(1, len(weight) // _OUTPUTS)]
    exact = [sample @ weight.T for sample in samples]
    plain = _error(weight, samples, exact, np.ones_like(ratio))
    tried = [(ratio**strength).astype(np.float32) for strength in _STRENGTHS]
    errors = [_error(weight, samples, exact, scale) for scale in tried]
    best = int(np.argmin(errors))
    return tried[best] if errors[best] < _WORTH * plain else None


def _error(weight: Floats, samples: Sequence[Floats], exact: Sequence[Floats], scale: Floats) -> float:
    values, scales = quantize.per_channel(weight * scale)
    rounded = values * scales
    pairs = zip(samples, exact, strict=True)
    return float(
        sum(np.square(_quantised(sample / scale) @ rounded - wanted).sum() for sample, wanted in pairs)
    )


def _quantised(x: Floats) -> Floats:
    """As ONNX's DynamicQuantizeLinear rounds a whole tensor to 256 steps."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = np.float32((high - low) / 255 or 1)
    zero = np.rint(-low / step)
    levels: Floats = (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step
    return levels
