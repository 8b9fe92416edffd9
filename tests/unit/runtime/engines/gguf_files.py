"""Tiny language models in GGUF files, written byte by byte, so that any of their values can be made wrong."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    UINT32: "I",
    INT32: "i",
    FLOAT32: "f",
    BOOL: "?",
    UINT64: "Q",
    11: "q",
    12: "d",
}
F32, F16, Q8_0 = 0, 1, 8

WIDTH, HEADS, LAYERS, INNER, CONTEXT = 32, 4, 2, 64, 1024
MERGES = ("t h", "Ġ t", "Ġt h", "Ġth e", "i n", "e r", "Ġ a", "Ġ c", "a t", "Ġc at", "o n", "Ġ s")
TURN = "<|turn|>"
TEMPLATE = "{% for message in messages %}<|turn|>{{ message.content }}{% endfor %}"


class Items(list):
    """An array of the metadata, with the type of its items."""

    def __init__(self, kind, items):
        super().__init__(items)
        self.kind = kind


def byte_letters():
    """The letters by which byte-level vocabularies write bytes (GPT-2's table), by byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def byte_level():
    """A byte-level BPE vocabulary; the first token ends texts."""
    tokens = [
        "<|endoftext|>",
        TURN,
        *sorted(byte_letters().values()),
        *(merge.replace(" ", "") for merge in MERGES),
    ]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": Items(STRING, tokens),
        "tokenizer.ggml.token_type": Items(INT32, [3, 3, *[1] * (len(tokens) - 2)]),
        "tokenizer.ggml.merges": Items(STRING, MERGES),
        "tokenizer.ggml.bos_token_id": (UINT32, 0),
        "tokenizer.ggml.eos_token_id": (UINT32, 0),
        "tokenizer.ggml.add_bos_token": (BOOL, False),
        "tokenizer.chat_template": TEMPLATE,
    }


def sentence_pieces():
    """A SentencePiece vocabulary with bytes to fall back on; prompts begin with its second token."""
    words = ["▁", "a", "b", "c", "t", "h", "e", "th", "▁t", "▁th", "▁the", "▁a", "▁c", "at", "▁cat"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": Items(STRING, tokens),
        "tokenizer.ggml.scores": Items(FLOAT32, [0.0] * 259 + [-float(place) for place in range(len(words))]),
        "tokenizer.ggml.token_type": Items(INT32, [2, 3, 3, *[6] * 256, *[1] * len(words)]),
        "tokenizer.ggml.bos_token_id": (UINT32, 1),
        "tokenizer.ggml.eos_token_id": (UINT32, 2),
        "tokenizer.ggml.unknown_token_id": (UINT32, 0),
        "tokenizer.ggml.add_bos_token": (BOOL, True),
    }


VOCABULARIES = {"byte-level": byte_level, "sentence-pieces": sentence_pieces}


def metadata(architecture="llama", vocabulary="byte-level", context=CONTEXT):
    """All values of a model's metadata; a text, ``Items``, or a pair of type and number."""
    own = {
        "context_length": (UINT32, context),
        "embedding_length": (UINT32, WIDTH),
        "block_count": (UINT32, LAYERS),
        "feed_forward_length": (UINT32, INNER),
        "attention.head_count": (UINT32, HEADS),
        "attention.head_count_kv": (UINT32, HEADS),
        "rope.dimension_count": (UINT32, WIDTH // HEADS),
    }
    if architecture == "gptneox":
        own |= {"attention.layer_norm_epsilon": (FLOAT32, 1e-5), "use_parallel_residual": (BOOL, True)}
    else:
        own |= {"attention.layer_norm_rms_epsilon": (FLOAT32, 1e-5)}
    return (
        {"general.architecture": architecture, "general.name": "tiny"}
        | {f"{architecture}.{key}": value for key, value in own.items()}
        | VOCABULARIES[vocabulary]()
    )


def weights(architecture, tokens, seed=0, scale=0.3):
    """Seeded weights by name, float32 in row-major order."""
    numbers = np.random.default_rng(seed)
    found = {}

    def put(name, *shape, center=0.0):
        found[name] = (numbers.standard_normal(shape) * scale + center).astype(np.float32)

    put("token_embd.weight", tokens, WIDTH)
    put("output.weight", tokens, WIDTH)
    put("output_norm.weight", WIDTH, center=1.0)
    for layer in (f"blk.{place}." for place in range(LAYERS)):
        put(f"{layer}attn_norm.weight", WIDTH, center=1.0)
        put(f"{layer}ffn_norm.weight", WIDTH, center=1.0)
        put(f"{layer}attn_output.weight", WIDTH, WIDTH)
        put(f"{layer}ffn_up.weight", INNER, WIDTH)
        put(f"{layer}ffn_down.weight", WIDTH, INNER)
        if architecture == "gptneox":
            put(f"{layer}attn_qkv.weight", 3 * WIDTH, WIDTH)
        else:
            put(f"{layer}ffn_gate.weight", INNER, WIDTH)
            for name in "qkv":
                put(f"{layer}attn_{name}.weight", WIDTH, WIDTH)
    if architecture == "gptneox":
        for name in [name for name in found if name not in ("token_embd.weight", "output.weight")]:
            put(name.replace(".weight", ".bias"), found[name].shape[0])
    return found


def block8(rows):
    """Rows of float32 as Q8_0: blocks of 32 bytes, each after its scale as float16."""
    blocks = rows.reshape(-1, 32)
    scales = np.abs(blocks).max(axis=1) / 127
    numbers = np.round(blocks / np.where(scales, scales, 1)[:, None]).astype(np.int8)
    return b"".join(
        struct.pack("<e", scale) + block.tobytes() for scale, block in zip(scales, numbers, strict=True)
    )


def _text(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value):
    if isinstance(value, str | bytes):
        return struct.pack("<I", STRING) + _text(value)
    if isinstance(value, Items):
        head = struct.pack("<IIQ", ARRAY, value.kind, len(value))
        if value.kind == STRING:
            return head + b"".join(map(_text, value))
        return head + struct.pack(f"<{len(value)}{FORMATS[value.kind]}", *value)
    kind, number = value
    return struct.pack("<I", kind) + struct.pack(f"<{FORMATS[kind]}", number)


def content(values, tensors, version=3, kind=F32):
    """The bytes of a GGUF file.

    Args:
        values: metadata by key.
        tensors: arrays of float32 by name, or (shape innermost first, type, bytes) as they are.
        kind: type of the tensors with two dimensions; the others are float32.
    """
    described, data = [], b""
    for name, tensor in tensors.items():
        if isinstance(tensor, tuple):
            shape, type_, raw = tensor
        else:
            type_ = kind if tensor.ndim > 1 else F32
            shape, raw = tensor.shape[::-1], {F32: bytes, F16: _halves, Q8_0: block8}[type_](tensor)
        data += bytes(-len(data) % 32)
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        described.append(_text(name) + sizes + struct.pack("<IQ", type_, len(data)))
        data += raw
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    head += b"".join(_text(key) + _value(value) for key, value in values.items()) + b"".join(described)
    return head + bytes(-len(head) % 32) + data


def _halves(numbers):
    return numbers.astype(np.float16).tobytes()


def tiny(architecture="llama", vocabulary="byte-level", changes=None, kind=F32, context=CONTEXT, **drawn):
    """The bytes of a tiny model; ``changes`` to its metadata, None takes a value away."""
    values = metadata(architecture, vocabulary, context)
    count = len(values["tokenizer.ggml.tokens"])
    for key, value in (changes or {}).items():
        values[key] = value
    values = {key: value for key, value in values.items() if value is not None}
    return content(values, weights(architecture, count, **drawn), kind=kind)


def bundle(folder, raw, **model):
    """A bundle around the bytes of a GGUF file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.gguf").write_bytes(raw)
    described = {
        "schema": 1,
        "name": "tiny",
        "task": "text-generation",
        "engine": "llama",
        "model": {"file": "model.gguf", **model},
        "tokenizer": {"kind": "gguf"},
        "files": {"model.gguf": {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}},
    }
    (folder / "bundle.json").write_text(json.dumps(described))
    return folder
