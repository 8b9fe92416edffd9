"""Models in ggml's files of 2023 under the names GGUF has for them.

GPT-NeoX keeps the names of transformers and its fused projection head by head, so that its rows are put in another
order; rows are whole blocks, which the order does not touch. Llama keeps Meta's names, and its rows are as llama.cpp
still has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.build.gguf import elements, neox, old_blocks
from firstlight.build.gguf.model import Plan
from firstlight.build.gguf.old_header import OldHeader, OldTensor
from firstlight.build.gguf.writer import Value
from firstlight.runtime.errors import ConversionError

_PIECE = 4 << 20
_NEOX = {"gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm", "embed_out": "output"}
_LLAMA = {"tok_embeddings": "token_embd", "norm": "output_norm", "output": "output"}
_LLAMA_LAYER = {
    "attention.wq": "attn_q", "attention.wk": "attn_k", "attention.wv": "attn_v", "attention.wo": "attn_output",
    "attention_norm": "attn_norm", "feed_forward.w1": "ffn_gate", "feed_forward.w2": "ffn_down",
    "feed_forward.w3": "ffn_up", "ffn_norm": "ffn_norm",
}  # fmt: skip
_EPSILON = 1e-5
"""Of ggml's norms in 2023, where config.json does not say."""


@dataclass(frozen=True, slots=True)
class OldWeights:
    """A tensor of an old file.

    Attributes:
        order: which row of the file each row is; None where they follow each other.
    """

    file: Path
    tensor: OldTensor
    order: NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first, features of a row last."""
        return self.tensor.shape

    @property
    def element(self) -> str:
        """The type, as ``old_blocks`` names it."""
        return self.tensor.element

    def raw(self) -> NDArray[np.uint8]:
        """All rows as the file has them; a list of numbers counts as rows of one each."""
        features = self.shape[-1] if len(self.shape) > 1 else 1
        shape = (self.shape[0], old_blocks.row_bytes(features, self.element))
        return np.memmap(self.file, dtype=np.uint8, mode="r", offset=self.tensor.offset, shape=shape)

    def pieces(self, element: str) -> Iterator[NDArray[np.uint8]]:
        """All rows in the element type: re-packed where it is the same as in the file, computed anew where not."""
        raw, step = self.raw(), max(1, _PIECE // self.shape[-1])
        same = self.element.partition("@")[0] == element
        for start in range(0, len(raw), step):
            rows = raw[start : start + step] if self.order is None else raw[self.order[start : start + step]]
            if same and element not in ("f32", "f16"):
                yield old_blocks.packed(rows, self.element)
            else:
                yield elements.encode(old_blocks.decode(np.ascontiguousarray(rows), self.element), element)


def plan(header: OldHeader, config: Mapping[str, Any]) -> Plan:
    """The GGUF file to be made of an old one.

    Args:
        config: config.json of the repository it was made from; empty where there is none.

    Raises:
        ConversionError: tensors are missing or do not fit, or config.json is of another model.
    """
    return _neox(header, config) if header.architecture == "gptneox" else _llama(header, config)


def _neox(header: OldHeader, config: Mapping[str, Any]) -> Plan:
    sizes = header.sizes
    _check_config(
        config,
        {"hidden_size": "features", "num_hidden_layers": "layers", "num_attention_heads": "heads"},
        sizes,
    )
    layer = {f"gpt_neox.layers.{{}}.{theirs}": f"blk.{{}}.{ours}" for theirs, ours in neox.LAYER.items()}
    found = _renamed(header, _NEOX, layer)
    for number in range(sizes["layers"]):
        for part in ("weight", "bias"):
            name = f"blk.{number}.attn_qkv.{part}"
            found[name] = replace(found[name], order=neox.order(found[name].shape[0], sizes["heads"]))
    inner = found["blk.0.ffn_up.weight"].shape[0]
    counted = {
        "features": sizes["features"],
        "layers": sizes["layers"],
        "inner": inner,
        "heads": sizes["heads"],
    }
    metadata = neox.numbers(counted, bool(sizes["parallel"]), float(config.get("layer_norm_eps", _EPSILON)))
    metadata["gptneox.context_length"] = sizes["context"]
    metadata["gptneox.rope.dimension_count"] = sizes["turning"]
    metadata["gptneox.rope.freq_base"] = float(config.get("rotary_emb_base", 10000.0))
    _check_shapes(found, sizes, {"attn_qkv": (3 * sizes["features"], sizes["features"])})
    return Plan(metadata, dict(found), sizes["context"], sizes["layers"], False)


def _llama(header: OldHeader, config: Mapping[str, Any]) -> Plan:
    sizes = header.sizes
    if "rms_norm_eps" not in config or "max_position_embeddings" not in config:
        message = f"{header.file} does not say the epsilon of its norms and its context, which differ between Llamas"
        raise ConversionError(message, "put config.json of the repository it was made from beside it")
    _check_config(
        config,
        {"hidden_size": "features", "num_hidden_layers": "layers", "num_attention_heads": "heads"},
        sizes,
    )
    layer = {f"layers.{{}}.{theirs}": f"blk.{{}}.{ours}" for theirs, ours in _LLAMA_LAYER.items()}
    found = _renamed(header, _LLAMA, layer)
    head = sizes["features"] // sizes["heads"]
    context = int(config["max_position_embeddings"])
    metadata: dict[str, Value] = {
        "llama.context_length": context,
        "llama.embedding_length": sizes["features"],
        "llama.block_count": sizes["layers"],
        "llama.feed_forward_length": found["blk.0.ffn_up.weight"].shape[0],
        "llama.attention.head_count": sizes["heads"],
        "llama.attention.head_count_kv": found["blk.0.attn_k.weight"].shape[0] // head,
        "llama.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "llama.rope.dimension_count": sizes["turning"],
        "llama.rope.freq_base": float(config.get("rope_theta", 10000.0)),
    }
    _check_shapes(found, sizes, {"attn_q": (sizes["features"], sizes["features"])})
    return Plan(metadata, dict(found), context, sizes["layers"], False)


def _renamed(header: OldHeader, outer: Mapping[str, str], layer: Mapping[str, str]) -> dict[str, OldWeights]:
    """All tensors under their new names, in the order a file has them; ConversionError where one is missing or left."""
    left = dict(header.tensors)
    found: dict[str, OldWeights] = {}
    names = dict(outer)
    for number in range(header.sizes["layers"]):
        names |= {theirs.format(number): ours.format(number) for theirs, ours in layer.items()}
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            tensor = left.pop(f"{theirs}.{part}", None)
            if tensor is not None:
                found[f"{ours}.{part}"] = OldWeights(header.file, tensor)
            elif part == "weight":
                raise ConversionError(f"{header.file} has no tensor {theirs}.weight", "download it again")
    if left:
        raise ConversionError(
            f"{header.file} has tensors that are not known here: {', '.join(sorted(left)[:5])}"
        )
    return found


def _check_shapes(
    found: Mapping[str, OldWeights], sizes: Mapping[str, int], layer: Mapping[str, tuple[int, ...]]
) -> None:
    """ConversionError where the tensors have other sizes than the file says."""
    table = (sizes["tokens"], sizes["features"])
    wanted: dict[str, tuple[int, ...]] = {"token_embd.weight": table, "output.weight": table}
    wanted |= {f"blk.0.{name}.weight": shape for name, shape in layer.items()}
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise ConversionError(f"tensor {name} has the shape {list(found[name].shape)}, not {list(shape)}")


def _check_config(config: Mapping[str, Any], keys: Mapping[str, str], sizes: Mapping[str, int]) -> None:
    for theirs, ours in keys.items():
        if theirs in config and config[theirs] != sizes[ours]:
            message = f"config.json says {theirs} {config[theirs]} and the file says {sizes[ours]}"
            raise ConversionError(
                message, "take config.json of the repository the file was made from, or none"
            )
