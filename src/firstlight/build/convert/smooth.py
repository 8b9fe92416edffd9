"""Evening out activations before they are quantised, where a few features dwarf the others.

``int8`` has one scale for all activations of a layer's input. In encoders of the BERT family a handful of features
reach ten times the rest, at a few tokens, so most values share a few steps of that scale. Dividing such a feature
and multiplying its weights by the same factor changes nothing in exact arithmetic and evens out both (Xiao and
others, "SmoothQuant", 2023). The factors are chosen here by the error they leave on real sentences.

The same model gets the same factors on every machine: what the layers are given is computed in double precision
(``double``), and a factor is one of eight steps to an octave, so that the last digits of a result do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from firstlight.build.convert import double, quantize
from firstlight.build.convert.checkpoint import Floats

Doubles = NDArray[np.float64]
Activations = Mapping[str, Sequence[Floats | Doubles]]
"""Weight name -> the inputs [tokens, features] of its layer, one array a sentence and layer that has it."""

_STRENGTHS = (0.25, 0.5, 0.75, 1.0)
_STEPS = 8
"""Factors to an octave."""
_OUTPUTS = 128
"""About so many of a layer's outputs are looked at."""
_WORTH = 0.6
"""One more pass over the input is paid only where the squared error falls under this share."""


def activations(graph: Path, feeds: Sequence[Mapping[str, np.ndarray]]) -> dict[str, list[Floats]]:
    """Run an exact graph and keep what its layers are given.

    Args:
        graph: a float32 graph of ``encoder.write_graph``.
        feeds: see ``parity.feeds``.
    """
    model = onnx.load(str(graph), load_external_data=False)
    layers = [(node.input[1], node.input[0]) for node in model.graph.node if node.op_type == "Gemm"]
    seen = double.run(graph, feeds, list(dict.fromkeys(name for _, name in layers)))
    found: dict[str, list[Floats]] = {}
    for weight, name in layers:
        found.setdefault(weight, []).extend(seen[name])
    return found


def factors(weight: Floats, samples: Sequence[Floats | Doubles]) -> Floats | None:
    """What to divide each feature by, or None where it would gain too little.

    Args:
        weight: a layer's weight [out, in].
        samples: its inputs [tokens, in].
    """
    given: list[Doubles] = [sample.astype(np.float64) for sample in samples]
    peaks = np.max([np.abs(sample).max(axis=0) for sample in given], axis=0)
    octaves = np.log2(np.maximum(peaks / max(float(np.median(peaks)), 1e-6), 1))
    weight = weight[:: max(1, len(weight) // _OUTPUTS)]
    exact = np.concatenate(given) @ weight.T.astype(np.float64)
    plain = _error(weight, given, exact, np.ones(weight.shape[1], dtype=np.float32))
    tried = [_stepped(octaves * strength) for strength in _STRENGTHS]
    errors = [_error(weight, given, exact, scale) for scale in tried]
    best = int(np.argmin(errors))
    return tried[best] if errors[best] < _WORTH * plain else None


def _stepped(octaves: Doubles) -> Floats:
    """Powers of two, rounded to steps; made by ``math``, whose eight values between one and two are exact enough."""
    whole, step = np.divmod(np.rint(octaves * _STEPS).astype(np.int64), _STEPS)
    between = np.array([2 ** (number / _STEPS) for number in range(_STEPS)], dtype=np.float32)
    return np.ldexp(between[step], whole)


def _error(weight: Floats, samples: Sequence[Doubles], exact: Doubles, scale: Floats) -> float:
    values, scales = quantize.per_channel(weight * scale)
    given = np.concatenate([_quantised(sample / scale) for sample in samples])
    return float(np.square(given @ (values * scales.astype(np.float64)) - exact).sum())


def _quantised(x: Doubles) -> Doubles:
    """As ONNX's DynamicQuantizeLinear rounds a whole tensor to 256 steps."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = (high - low) / 255 or 1
    zero = np.rint(-low / step)
    levels: Doubles = (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step
    return levels
