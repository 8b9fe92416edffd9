"""Rotary positions: what config.json says of them, as GGUF metadata.

Kinds that change nothing within the original context, or that llama.cpp computes as transformers does, are taken; the
others are refused. Formulas: transformers' ``modeling_rope_utils``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf.writer import Value
from firstlight.runtime.errors import ConversionError

_YARN_KEYS = {
    "rope_type",
    "type",
    "factor",
    "original_max_position_embeddings",
    "rope_theta",
    "partial_rotary_factor",
}


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary positions of a model.

    Attributes:
        metadata: by key, without the architecture's name in front.
        context: tokens the model may see with them.
        factors: by which each frequency is divided; None where all are as they are.
    """

    metadata: Mapping[str, Value]
    context: int
    factors: NDArray[np.float32] | None = None


def read(config: Mapping[str, Any], head: int, share: float = 1.0) -> Rope:
    """Read the rotary positions of a config.json.

    Args:
        head: features of an attention head.
        share: of a head's features that turn, where config.json does not say under ``rope_parameters``.

    Raises:
        ConversionError: a kind of scaling llama.cpp does not compute as transformers does.
    """
    settings = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(settings, Mapping):
        raise ConversionError("config.json: rope_scaling is not a table")
    base = float(
        settings.get("rope_theta") or config.get("rope_theta") or config.get("rotary_emb_base") or 10000.0
    )
    turning = int(float(settings.get("partial_rotary_factor") or share) * head)
    context = int(config["max_position_embeddings"])
    metadata: dict[str, Value] = {"rope.freq_base": base, "rope.dimension_count": turning}
    kind = str(settings.get("rope_type") or settings.get("type") or "default")
    if kind in ("default", "dynamic"):  # dynamic: as it is up to the context it was trained with
        return Rope(metadata, context)
    factor = float(settings["factor"])
    if kind == "linear":
        return Rope(metadata | {"rope.scaling.type": "linear", "rope.scaling.factor": factor}, context)
    original = int(settings.get("original_max_position_embeddings") or context)
    if kind == "llama3":
        return Rope(metadata, context, _factors(settings, base, turning, factor, original))
    if kind == "yarn" and not set(settings) - _YARN_KEYS:
        scaling: dict[str, Value] = {"rope.scaling.type": "yarn", "rope.scaling.factor": factor}
        return Rope(metadata | scaling | {"rope.scaling.original_context_length": original}, context)
    message = f"config.json asks for rotary positions of the kind {kind!r} ({', '.join(map(str, settings))})"
    raise ConversionError(message, "kinds that are converted: default, linear, dynamic, llama3, yarn")


def _factors(
    settings: Mapping[str, Any], base: float, turning: int, factor: float, original: int
) -> NDArray[np.float32]:
    """Llama 3.1's: high frequencies stay, low ones are divided by ``factor``, those between by something between."""
    low, high = float(settings["low_freq_factor"]), float(settings["high_freq_factor"])
    frequencies = base ** -(np.arange(0, turning, 2, dtype=np.float64) / turning)
    turns = original * frequencies / (2 * math.pi)
    share = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - share) / factor + share)).astype(np.float32)
