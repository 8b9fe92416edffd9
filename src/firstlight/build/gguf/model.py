"""What a model folder becomes in a GGUF file: metadata and tensors, and the tensors of the folder that go into them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.gguf.weights import Given, Mapped
from firstlight.build.gguf.writer import Content, Value
from firstlight.runtime.errors import ConversionError

_BUFFERS = re.compile(
    r".*\.(rotary_emb\.inv_freq|attn\.bias|attn\.masked_bias|attention\.bias|attention\.masked_bias)"
)
"""Constants that old versions of transformers saved with the weights."""
_MOST_LAYERS = 1000
_MOST = 1 << 31


@dataclass(frozen=True, slots=True)
class Plan:
    """A GGUF file to be.

    Attributes:
        metadata: all but the tokenizer and the type of the weights; keys begin with the architecture's name.
        tensors: by GGUF's names, in the order they are written.
        context: tokens a prompt and its answer may have.
        layers: how many there are.
        tied: whether the embeddings are the last projection too.
    """

    metadata: dict[str, Value]
    tensors: dict[str, Content]
    context: int
    layers: int
    tied: bool

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(int(np.prod(tensor.shape, dtype=np.int64)) for tensor in self.tensors.values())

    @property
    def rows(self) -> int:
        """Of the embeddings."""
        return self.tensors["token_embd.weight"].shape[0]


class Tensors:
    """The tensors of a model folder, taken one by one; what is left over at the end is an error, not ignored.

    Args:
        checkpoint: the folder's weights.
        prefixes: what the names of the base model may begin with.
    """

    def __init__(self, checkpoint: Checkpoint, prefixes: tuple[str, ...]) -> None:
        self._checkpoint = checkpoint
        self._left = {name for name in checkpoint.entries if not _BUFFERS.fullmatch(name)}
        self._prefix = next((p for p in prefixes if any(name.startswith(p) for name in self._left)), "")

    def has(self, name: str) -> bool:
        """Whether the base model has a tensor of this name."""
        return self._prefix + name in self._checkpoint

    def take(self, name: str, *shape: int) -> Mapped:
        """A tensor of the base model.

        Raises:
            ConversionError: there is none, or it has another shape.
        """
        return self.take_outer(self._prefix + name, *shape)

    def take_outer(self, name: str, *shape: int) -> Mapped:
        """A tensor outside of the base model, such as ``lm_head.weight``."""
        found = Mapped.of(self._checkpoint.entry(name), name)
        if found.shape != shape:
            message = f"tensor {name} has the shape {list(found.shape)}; config.json says {list(shape)}"
            raise ConversionError(message, "config.json and the weights are of two models")
        self._left.discard(name)
        return found

    def rows(self, name: str) -> int:
        """How many rows a tensor of the base model has."""
        return self._checkpoint.entry(self._prefix + name).shape[0]

    def head(self, name: str, rows: int, features: int, tied: bool) -> Mapped | None:
        """The last projection; None where the embeddings are used for it."""
        if tied:
            self._left.discard(name)
            return None
        return self.take_outer(name, rows, features)

    def finish(self) -> None:
        """Raise where weights were not asked for: a model without them would answer something else."""
        if self._left:
            names = ", ".join(sorted(self._left)[:5])
            message = f"{len(self._left)} tensors are not part of the architecture config.json names: {names}"
            raise ConversionError(message, "config.json is of another model, or the architecture was changed")


def whole(config: Mapping[str, Any], key: str, most: int = _MOST) -> int:
    """A positive whole number of config.json.

    Raises:
        ConversionError: it is missing or something else.
    """
    found = config.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= most:
        raise ConversionError(f"config.json: {key} is {found!r}", "download it again")
    return found


def layers(config: Mapping[str, Any], key: str) -> int:
    """How many layers there are."""
    return whole(config, key, _MOST_LAYERS)


def is_set(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """A flag of config.json."""
    found = config.get(key)
    return default if found is None else bool(found)


def zeros(*shape: int) -> Given:
    """A tensor of zeros, for biases that llama.cpp asks for and a model does not have."""
    return Given(np.zeros(shape, dtype=np.float32))
