"""ggml's files of 2023 written to their published layouts, and the models in them computed with numpy alone.

Nothing here uses the code it tests. Blocks follow ``quantize_row_*_reference`` and ``dequantize_row_*`` of ggml.c as it
was in April (version 0), on May 12 (version 1) and on May 19, 2023 (version 2).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, quants
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

Array = np.ndarray
MAGICS = {"ggjt": 0x67676A74, "ggmf": 0x67676D66, "ggml": 0x67676D6C}
TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q4_2": 4, "q4_3": 5, "q5_0": 6, "q5_1": 7, "q8_0": 8}
FILE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q4_2": 5, "q4_3": 6, "q8_0": 7, "q5_0": 8, "q5_1": 9}
SIZES = {"features": 64, "heads": 4, "layers": 2, "inner": 128, "context": 64, "turning": 8}
WORDS = "the king said to his daughter that she should go into the wood and look for the golden bird"


def tokenizer(folder: Path) -> int:
    """Write a small byte-level tokenizer with one special token; returns how many tokens it has."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([WORDS] * 3, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|endoftext|>", "tokenizer_class": "GPTNeoXTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return made.get_vocab_size()


def token_texts(folder: Path, rows: int) -> list[bytes]:
    """What ggml's converter wrote of each token: the text it decodes to, nothing for rows without one."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [made.decode([number], skip_special_tokens=False).encode() for number in range(rows)]


def neox(rows: int, seed: int = 3, **changed: int) -> dict[str, Array]:
    """Seeded weights of a small GPT-NeoX under the names of transformers, projections fused head by head."""
    sizes, draw = {**SIZES, **changed}, np.random.default_rng(seed)
    features, inner = sizes["features"], sizes["inner"]

    def matrix(outputs: int, inputs: int) -> Array:
        return (draw.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)

    def vector(length: int, around: float) -> Array:
        return (around + 0.1 * draw.standard_normal(length)).astype(np.float32)

    found = {
        "gpt_neox.embed_in.weight": matrix(rows, features),
        "embed_out.weight": 3 * matrix(rows, features),
    }
    for layer in range(sizes["layers"]):
        shapes = {
            "attention.query_key_value": (3 * features, features),
            "attention.dense": (features, features),
            "mlp.dense_h_to_4h": (inner, features),
            "mlp.dense_4h_to_h": (features, inner),
        }
        for name, shape in shapes.items():
            found[f"gpt_neox.layers.{layer}.{name}.weight"] = matrix(*shape)
            found[f"gpt_neox.layers.{layer}.{name}.bias"] = vector(shape[0], 0)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"gpt_neox.layers.{layer}.{name}.weight"] = vector(features, 1)
            found[f"gpt_neox.layers.{layer}.{name}.bias"] = vector(features, 0)
    found["gpt_neox.final_layer_norm.weight"] = vector(features, 1)
    found["gpt_neox.final_layer_norm.bias"] = vector(features, 0)
    return found


def write(
    file: Path,
    weights: Mapping[str, Array],
    tokens: list[bytes],
    kind: str,
    container: str = "ggjt",
    version: int = 3,
    blocks: int = 2,
    says_blocks: bool = True,
    parallel: int = 1,
    sizes: Mapping[str, int] = SIZES,
) -> dict[str, bytes]:
    """Write a GPT-NeoX file; returns the bytes of each tensor.

    Args:
        kind: type of the matrices; vectors are f32.
        says_blocks: write the version of the blocks into the file type, as rustformers did and llama.cpp did not.
    """
    out = bytearray(struct.pack("<I", MAGICS[container]))
    if container != "ggml":
        out += struct.pack("<I", version)
    file_type = FILE_TYPES[kind] + (1000 * blocks if says_blocks else 0)
    names = ("context", "features", "heads", "layers", "turning")
    out += struct.pack("<8i", len(tokens), *(sizes[name] for name in names), parallel, file_type)
    for number, token in enumerate(tokens):
        out += struct.pack("<I", len(token)) + token
        if container != "ggml":
            out += struct.pack("<f", -number)
    raw = {}
    for name, values in weights.items():
        of = kind if values.ndim == 2 else "f32"
        raw[name] = encode(values, of, blocks)
        shape = values.shape[::-1]
        out += struct.pack(f"<3i{len(shape)}i", len(shape), len(name), TYPES[of], *shape) + name.encode()
        if container == "ggjt":
            out += bytes(-len(out) % 32)
        out += raw[name]
    file.write_bytes(bytes(out))
    return raw


def encode(values: Array, kind: str, blocks: int) -> bytes:
    """A tensor in a type and version of the blocks."""
    if kind in ("f32", "f16"):
        return values.astype("<f4" if kind == "f32" else "<f2").tobytes()
    if blocks == 2:
        return quants.quantize(values, GGMLQuantizationType[kind.upper()]).tobytes()
    size = 16 if kind in ("q4_2", "q4_3") else 32
    return b"".join(_block(part, kind, blocks) for part in values.reshape(-1, size))


def _block(x: Array, kind: str, version: int) -> bytes:
    width = "<e" if kind in ("q4_2", "q4_3", "q5_0", "q5_1") else "<f"
    largest = float(x[np.abs(x).argmax()])
    if kind == "q8_0":
        scale = abs(largest) / 127
        return struct.pack(width, scale) + np.rint(x / scale).astype(np.int8).tobytes()
    most = 31 if kind.startswith("q5") else 15
    if kind in ("q4_1", "q4_3", "q5_1"):
        low = float(x.min())
        scale = (float(x.max()) - low) / most
        head = struct.pack(width, scale) + struct.pack(width, low)
        values = np.clip(np.floor((x - low) / scale + 0.5), 0, most)
    else:
        half = (most + 1) // 2
        scale = largest / -half
        head = struct.pack(width, scale)
        values = np.clip(np.floor(x / scale + half + 0.5), 0, most)
    numbers = [int(value) for value in values]
    if most == 31:
        head += struct.pack("<I", sum((number >> 4) << place for place, number in enumerate(numbers)))
    nibbles = [number & 15 for number in numbers]
    half = len(nibbles) // 2
    if version == 0:
        pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    else:
        pairs = zip(nibbles[:half], nibbles[half:], strict=True)
    return head + bytes(low | high << 4 for low, high in pairs)


def decode(raw: bytes, shape: tuple[int, ...], kind: str, blocks: int) -> Array:
    """The weights that ggml of the time would have computed with."""
    if kind in ("f32", "f16"):
        return np.frombuffer(raw, "<f4" if kind == "f32" else "<f2").astype(np.float32).reshape(shape)
    if blocks == 2:
        rows = np.frombuffer(raw, np.uint8).reshape(shape[0], -1)
        return quants.dequantize(rows, GGMLQuantizationType[kind.upper()]).reshape(shape)
    size = 16 if kind in ("q4_2", "q4_3") else 32
    length = len(raw) // (int(np.prod(shape)) // size)
    parts = [_unblock(raw[at : at + length], kind, blocks, size) for at in range(0, len(raw), length)]
    return np.array(parts, dtype=np.float32).reshape(shape)


def _unblock(raw: bytes, kind: str, version: int, size: int) -> list[float]:
    width = "<e" if kind in ("q4_2", "q4_3", "q5_0", "q5_1") else "<f"
    step = struct.calcsize(width)
    (scale,) = struct.unpack_from(width, raw)
    if kind == "q8_0":
        return [scale * value for value in struct.unpack_from("<32b", raw, step)]
    at, offset, low = step, kind in ("q4_1", "q4_3", "q5_1"), 0.0
    if offset:
        (low,) = struct.unpack_from(width, raw, at)
        at += step
    high = 0
    if kind.startswith("q5"):
        (high,) = struct.unpack_from("<I", raw, at)
        at += 4
    values = [0] * size
    for place, byte in enumerate(raw[at:]):
        pair = (2 * place, 2 * place + 1) if version == 0 else (place, place + size // 2)
        for number, value in zip(pair, (byte & 15, byte >> 4), strict=True):
            values[number] = value | (high >> number & 1) << 4
    zero = 0 if offset else 16 if kind.startswith("q5") else 8
    return [scale * (value - zero) + low for value in values]


def logits(
    weights: Mapping[str, Array], ids: list[int], parallel: bool = True, sizes: Mapping[str, int] = SIZES
) -> Array:
    """What GPT-NeoX answers to each token: [tokens, vocabulary], computed as ggml's example did."""
    heads, head = sizes["heads"], sizes["features"] // sizes["heads"]
    states = weights["gpt_neox.embed_in.weight"][ids].astype(np.float64)
    hidden = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(sizes["layers"]):
        part = {
            name.removeprefix(f"gpt_neox.layers.{layer}."): value.astype(np.float64)
            for name, value in weights.items()
        }
        normal = _norm(states, part, "input_layernorm")
        fused = _linear(normal, part, "attention.query_key_value").reshape(len(ids), heads, 3, head)
        queries, keys, values = (fused[:, :, which].swapaxes(0, 1) for which in range(3))
        queries, keys = _turned(queries, sizes["turning"]), _turned(keys, sizes["turning"])
        scores = queries @ keys.swapaxes(1, 2) / np.sqrt(head) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ values).swapaxes(0, 1).reshape(len(ids), -1)
        attended = _linear(mixed, part, "attention.dense")
        fed = states if parallel else states + attended
        inner = _linear(_norm(fed, part, "post_attention_layernorm"), part, "mlp.dense_h_to_4h")
        gelu = 0.5 * inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
        states = states + attended + _linear(gelu, part, "mlp.dense_4h_to_h")
    last = _norm(states, weights, "gpt_neox.final_layer_norm")
    return last @ weights["embed_out.weight"].astype(np.float64).T


def _norm(states: Array, part: Mapping[str, Array], name: str) -> Array:
    centred = states - states.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * part[f"{name}.weight"] + part[f"{name}.bias"]


def _linear(states: Array, part: Mapping[str, Array], name: str) -> Array:
    return states @ part[f"{name}.weight"].T + part[f"{name}.bias"]


def _turned(states: Array, turning: int) -> Array:
    angles = np.outer(np.arange(states.shape[1]), 10000.0 ** -(np.arange(0, turning, 2) / turning))
    first, second, rest = (
        states[..., : turning // 2],
        states[..., turning // 2 : turning],
        states[..., turning:],
    )
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine, rest], -1)
