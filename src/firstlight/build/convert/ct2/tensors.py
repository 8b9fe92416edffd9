"""A checkpoint's tensors as CTranslate2's specifications take them (``ctranslate2.specs``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from firstlight.build.convert.checkpoint import Checkpoint, Floats


class Tensors:
    """Fills the parts of a specification with tensors of a checkpoint, by their names there.

    Args:
        checkpoint: where they lie.
        writable: hand out copies, for a specification that quantises its weights in place; views of the mapped file
            otherwise.
    """

    def __init__(self, checkpoint: Checkpoint, writable: bool) -> None:
        self.checkpoint = checkpoint
        self._writable = writable

    def __contains__(self, name: str) -> bool:
        return name in self.checkpoint

    def rows(self, name: str) -> int:
        """The first dimension of a tensor."""
        return self.checkpoint.entry(name).shape[0]

    def array(self, name: str) -> Floats:
        """A tensor as float32."""
        values = self.checkpoint.array(name)
        return np.array(values) if self._writable else values

    def first(self, *names: str) -> str:
        """The first name that is a tensor; the first of all where none is, so that its absence is reported."""
        return next((name for name in names if name in self), names[0])

    def linear(self, spec: Any, name: str, transposed: bool = False) -> None:
        """A layer [out, in]; ``transposed`` where the checkpoint has [in, out], as GPT-2 has."""
        weight = self.array(f"{name}.weight")
        spec.weight = np.ascontiguousarray(weight.T) if transposed else weight
        if f"{name}.bias" in self:
            spec.bias = self.array(f"{name}.bias")

    def joined(self, spec: Any, names: Sequence[str]) -> None:
        """Layers of one input as one; biases that some of them lack are zeros."""
        weights = [self.array(f"{name}.weight") for name in names]
        spec.weight = np.concatenate(weights)
        if any(f"{name}.bias" in self for name in names):
            spec.bias = np.concatenate(
                [
                    self.array(f"{name}.bias")
                    if f"{name}.bias" in self
                    else np.zeros(len(weight), np.float32)
                    for name, weight in zip(names, weights, strict=True)
                ]
            )

    def attention(self, spec: Any, name: str, parts: Sequence[str], out: str, own: bool) -> None:
        """An attention layer: queries, keys and values in one product where all come of one input (``own``).

        Args:
            parts: names of the projections of queries, keys and values below ``name``.
            out: name of the projection of the result.
        """
        inner = [f"{name}.{part}" for part in parts]
        if own:
            self.joined(spec.linear[0], inner)
        else:
            self.joined(spec.linear[0], inner[:1])
            self.joined(spec.linear[1], inner[1:])
        self.linear(spec.linear[-1], f"{name}.{out}")

    def norm(self, spec: Any, name: str) -> None:
        """A layer normalisation, with or without a bias."""
        spec.gamma = self.array(f"{name}.weight")
        if hasattr(spec, "beta"):
            spec.beta = self.array(f"{name}.bias")
