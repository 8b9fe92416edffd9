"""Refuses GGUF files that would end the process.

libllama answers most of what can be wrong with a file by an error, but for some values it aborts (``GGML_ASSERT``),
reads beyond a tensor, or never returns: a token that is there twice, more layers than it has room for, a negative
epsilon, a rotation of no dimensions, norms that are not float32, weights that are integers. Each was found by changing
files at random and loading them; those values are looked at here, before the library sees the file, and few others.
"""

from __future__ import annotations

from firstlight.runtime.engines.llama.header import STRING, TOKENS, Array
from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from firstlight.runtime.engines.llama.header import Header, Weights

VERSION = 1
"""Of these checks; a bundle whose ``model.checked`` says it was made of a file that passed them."""

_LAYERS = 512  # LLAMA_MAX_LAYERS
_EXPERTS = 512  # LLAMA_MAX_EXPERTS
_SCALINGS = ("none", "linear", "yarn", "longrope")
_EPSILONS = ("layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon")
_FLOAT32 = 0
_UNMULTIPLIED = range(24, 29)  # int8, int16, int32, int64, float64
_MULTIPLIED = ("q", "k", "v", "qkv", "output", "up", "gate", "down", "embd")

# Tensor types (ggml_type) -> (weights in a block, bytes of a block); the library knows more, and checks all it knows.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip

_AGAIN = "fetch or convert the file again"


def check(header: Header, path: str) -> None:
    """Refuse a file that libllama must not be given.

    Args:
        header: what was read of it.
        path: its name, for the message.

    Raises:
        EngineError: says which value is wrong.
    """
    for part in (_architecture, _layers, _rotation, _experts, _vocabulary, _tensors):
        for wrong in part(header):
            raise EngineError(f"{path}: {' '.join(wrong.split())}", _AGAIN)


def _architecture(header: Header) -> Iterator[str]:
    if not header.architecture:
        yield "its metadata does not name an architecture (general.architecture)"
    if header.values.get("general.type", "model") not in ("model", ""):
        yield f"it holds no model but {header.values['general.type']!r} (general.type)"
    count = header.values.get("split.count", 0)
    if isinstance(count, int) and count > 1:
        yield f"it is one of {count} parts of a model, and only whole files are served: join them with gguf-split"


def _layers(header: Header) -> Iterator[str]:
    for key, least, most in (
        ("block_count", 1, _LAYERS),
        ("embedding_length", 1, 1 << 20),
        ("context_length", 1, 1 << 31),
        ("attention.head_count", 0, 1 << 16),
        ("attention.head_count_kv", 0, 1 << 16),
        ("attention.key_length", 0, 1 << 16),
        ("attention.value_length", 0, 1 << 16),
        ("feed_forward_length", 0, 1 << 28),
    ):
        for value in _numbers(header, key):
            if not least <= value <= most:
                yield f"its {header.architecture}.{key} is {value}, not a number from {least} to {most}"
    for key in _EPSILONS:
        for value in _numbers(header, f"attention.{key}"):
            if not 0 <= value < 1:
                yield f"its {header.architecture}.attention.{key} is {value}, not a small positive number"


def _rotation(header: Header) -> Iterator[str]:
    kind = header.own("rope.scaling.type")
    if kind is not None and kind not in _SCALINGS:
        yield f"its {header.architecture}.rope.scaling.type is {kind!r}, not one of {', '.join(_SCALINGS)}"
    heads, width = _largest(header, "attention.head_count"), _largest(header, "embedding_length")
    size = _largest(header, "attention.key_length") or (width // heads if heads else 0)
    for value in _numbers(header, "rope.dimension_count"):
        if value <= 0 or value % 2 or (size and value > size):
            name = f"{header.architecture}.rope.dimension_count"
            yield f"its {name} is {value}, not an even number up to the {size} of a head"


def _experts(header: Header) -> Iterator[str]:
    every, used = _largest(header, "expert_count"), _largest(header, "expert_used_count")
    if every > _EXPERTS or used > every or (every and not used):
        yield f"its layers have {every} experts of which {used} are used"


def _vocabulary(header: Header) -> Iterator[str]:
    if header.values.get("tokenizer.ggml.model") in (None, "none", "no_vocab"):
        yield "it has no vocabulary (tokenizer.ggml.model)"
    tokens = header.values.get(TOKENS)
    if not isinstance(tokens, Array) or tokens.kind != STRING or not tokens.count:
        yield "it has no list of tokens (tokenizer.ggml.tokens)"
        return
    texts = tokens.items
    if b"\0" in b"".join(texts):  # where a text ends for the library
        texts = [text.partition(b"\0")[0] for text in texts]
    found = set(texts)
    if len(found) != tokens.count:
        yield f"its vocabulary has the token {_twice(texts)!r} twice"
    if header.values.get("tokenizer.ggml.model") == "llama":
        # What no token begins with is written byte by byte.
        for byte in range(256):
            if b"<0x%02X>" % byte not in found and bytes([byte]) not in found:
                yield f"its vocabulary has no token for the byte {byte:#04x}"


def _twice(texts: Sequence[bytes]) -> str:
    seen: set[bytes] = set()
    for text in texts:
        if text in seen:
            return text.decode("utf-8", "replace")
        seen.add(text)
    return ""


def _tensors(header: Header) -> Iterator[str]:
    if not header.tensors:
        yield "it holds no weights"
    for weights in header.tensors:
        yield from _of_a_kind(weights)
        yield from _inside(weights, header)


def _of_a_kind(weights: Weights) -> Iterator[str]:
    stem = weights.name.rpartition(".")[0].rpartition(".")[2]
    if weights.name.endswith(("norm.weight", ".bias")) and weights.kind != _FLOAT32:
        yield f"its tensor {weights.name} has type {weights.kind} and should hold float32"
    elif weights.kind in _UNMULTIPLIED and weights.name.endswith(".weight") and stem.endswith(_MULTIPLIED):
        yield f"its tensor {weights.name} has type {weights.kind}, with which nothing is multiplied"


def _inside(weights: Weights, header: Header) -> Iterator[str]:
    """The library checks this too; it does not say that the file is cut short."""
    if weights.kind not in _BLOCKS:
        return
    (block, each), count = _BLOCKS[weights.kind], 1
    for length in weights.shape:
        count *= length
    end = header.start + weights.offset + count // block * each
    if end > header.size:
        yield (
            f"it is cut short: the tensor {weights.name} would end at byte {end}, the file has {header.size} bytes"
        )


def _numbers(header: Header, key: str) -> list[Any]:
    """A number of the architecture, or those of all layers; none where it is absent or of another type."""
    value = header.own(key)
    values = value.items if isinstance(value, Array) else [value]
    return [number for number in values if isinstance(number, int | float)]


def _largest(header: Header, key: str) -> int:
    return max((number for number in _numbers(header, key) if isinstance(number, int)), default=0)
