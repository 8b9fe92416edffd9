"""Small encoder-decoder models with seeded weights as the hub keeps them, and what they say, worked out in numpy.

Written from the papers (Vaswani et al. 2017; Lewis et al. 2020; Raffel et al. 2020) and the names in checkpoints, in
double precision, without a cache and without any of the code under test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

Array = np.ndarray
WIDTH, INNER, HEADS, LAYERS, POSITIONS = 24, 40, 3, 2, 40
END, FILL = "</s>", "<pad>"
WORDS = [END, "<unk>", *(f"w{number}" for number in range(48)), FILL]
BEFORE = {"mbart", "pegasus", "m2m_100"}
"""Architectures that normalise before a layer."""


@dataclass
class Model:
    """Config and weights of one model."""

    config: dict[str, Any]
    weights: dict[str, Array] = field(default_factory=dict)

    def save(self, folder: Path, shards: int = 1) -> Path:
        """Write it as the hub keeps it, in one file or several."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        names = sorted(self.weights)
        if shards == 1:
            save_file(self.weights, folder / "model.safetensors")
        else:
            files = {
                name: f"model-{n % shards + 1:05}-of-{shards:05}.safetensors" for n, name in enumerate(names)
            }
            for file in set(files.values()):
                save_file({n: self.weights[n] for n in names if files[n] == file}, folder / file)
            (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
        return folder


def words(folder: Path, tokens: list[str] = WORDS, after: bool = True) -> None:
    """A tokenizer.json that takes a word for a token."""
    from tokenizers import processors

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({token: n for n, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([END, "<unk>", FILL])
    if after:
        end = (END, tokens.index(END))
        tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[end])
    tokenizer.save(str(folder / "tokenizer.json"))


def like_bart(kind: str, rows: int = len(WORDS), seed: int = 0, **more: Any) -> Model:
    """BART, mBART, Marian, Pegasus or M2M100."""
    draw = np.random.default_rng(seed)
    last = rows - 1
    config = {
        "model_type": kind, "architectures": ["Any"], "vocab_size": rows, "d_model": WIDTH, "encoder_layers": LAYERS,
        "decoder_layers": LAYERS, "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS,
        "encoder_ffn_dim": INNER, "decoder_ffn_dim": INNER, "max_position_embeddings": POSITIONS,
        "activation_function": "relu", "scale_embedding": kind != "bart", "decoder_start_token_id": last,
        "pad_token_id": last, "eos_token_id": 0,
    } | more  # fmt: skip
    model = Model(config)

    def add(name: str, *shape: int, middle: float = 0.0, scale: float = 0.1) -> None:
        model.weights[name] = (middle + scale * draw.standard_normal(shape)).astype(np.float32)

    def linear(name: str, outputs: int, inputs: int) -> None:
        add(f"{name}.weight", outputs, inputs, scale=2.5 / inputs**0.5)
        add(f"{name}.bias", outputs)

    def norm(name: str) -> None:
        add(f"{name}.weight", WIDTH, middle=1.0)
        add(f"{name}.bias", WIDTH)

    add("model.shared.weight", rows, WIDTH, scale=0.4)
    model.weights["model.shared.weight"][last] = 0
    add("final_logits_bias", 1, rows)
    for side in ("encoder", "decoder"):
        top = f"model.{side}"
        if kind in ("bart", "mbart"):
            add(f"{top}.embed_positions.weight", POSITIONS + 2, WIDTH, scale=1.0)
            norm(f"{top}.layernorm_embedding")
        if kind in BEFORE:
            norm(f"{top}.layer_norm")
        for layer in range(config[f"{side}_layers"]):
            at = f"{top}.layers.{layer}"
            for attention in ("self_attn", *(["encoder_attn"] if side == "decoder" else [])):
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    linear(f"{at}.{attention}.{part}", WIDTH, WIDTH)
                norm(f"{at}.{attention}_layer_norm")
            linear(f"{at}.fc1", INNER, WIDTH)
            linear(f"{at}.fc2", WIDTH, INNER)
            norm(f"{at}.final_layer_norm")
    return model


def t5(gated: bool, rows: int = len(WORDS), seed: int = 0, inner: int = 10, **more: Any) -> Model:
    """T5: 1.0, or 1.1 with a gate and an output table of its own. Heads have ``inner`` features."""
    draw = np.random.default_rng(seed)
    config = {
        "model_type": "t5", "architectures": ["Any"], "vocab_size": rows, "d_model": WIDTH, "d_kv": inner,
        "d_ff": INNER, "num_layers": LAYERS, "num_heads": HEADS, "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 20, "decoder_start_token_id": rows - 1, "pad_token_id": rows - 1,
        "eos_token_id": 0, "feed_forward_proj": "gated-gelu" if gated else "relu", "tie_word_embeddings": not gated,
    } | more  # fmt: skip
    model = Model(config)

    def add(name: str, *shape: int, middle: float = 0.0, scale: float = 0.1) -> None:
        model.weights[f"{name}.weight"] = (middle + scale * draw.standard_normal(shape)).astype(np.float32)

    add("shared", rows, WIDTH, scale=1.0)
    if gated:
        add("lm_head", rows, WIDTH, scale=0.5)
    for side in ("encoder", "decoder"):
        add(f"{side}.final_layer_norm", WIDTH, middle=1.0)
        for layer in range(LAYERS):
            at = f"{side}.block.{layer}.layer"
            kinds = ["SelfAttention", *(["EncDecAttention"] if side == "decoder" else [])]
            for number, kind in enumerate(kinds):
                for part in "qkv":
                    add(f"{at}.{number}.{kind}.{part}", HEADS * inner, WIDTH, scale=0.3)
                add(f"{at}.{number}.{kind}.o", WIDTH, HEADS * inner, scale=0.4)
                add(f"{at}.{number}.layer_norm", WIDTH, middle=1.0)
            last = f"{at}.{len(kinds)}"
            for part in ("wi_0", "wi_1") if gated else ("wi",):
                add(f"{last}.DenseReluDense.{part}", INNER, WIDTH, scale=0.4)
            add(f"{last}.DenseReluDense.wo", WIDTH, INNER, scale=0.4)
            add(f"{last}.layer_norm", WIDTH, middle=1.0)
        add(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias", 8, HEADS, scale=1.0)
    return model


def log_probabilities(model: Model, source: list[int], answer: list[int]) -> Array:
    """Of every token, at each place behind the decoder's first token; [answer + 1, rows]."""
    forward = _t5 if model.config["model_type"] == "t5" else _like_bart
    logits = forward(model, source, [model.config["decoder_start_token_id"], *answer])
    logits = logits - logits.max(axis=-1, keepdims=True)
    result: Array = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return result


def greedy(model: Model, source: list[int], most: int) -> list[int]:
    """The likeliest token again and again, until the end; Marian's first token is none of its vocabulary."""
    answer: list[int] = []
    while len(answer) < most:
        best = log_probabilities(model, source, answer)[-1].copy()
        if model.config["model_type"] == "marian":
            best[model.config["pad_token_id"]] = -np.inf
        if best.argmax() == model.config["eos_token_id"]:
            break
        answer.append(int(best.argmax()))
    return answer


def _softmax(values: Array) -> Array:
    values = np.exp(values - values.max(axis=-1, keepdims=True))
    result: Array = values / values.sum(axis=-1, keepdims=True)
    return result


def _attention(q: Array, k: Array, v: Array, scale: float, bias: Array | None, causal: bool) -> Array:
    """Of [tokens, heads * features] each."""
    split = [part.reshape(len(part), HEADS, -1).transpose(1, 0, 2) for part in (q, k, v)]
    scores = split[0] @ split[1].transpose(0, 2, 1) * scale
    if bias is not None:
        scores = scores + bias
    if causal:
        scores = np.where(np.tri(len(q), len(k), dtype=bool), scores, -np.inf)
    mixed: Array = (_softmax(scores) @ split[2]).transpose(1, 0, 2).reshape(len(q), -1)
    return mixed


def _like_bart(model: Model, source: list[int], target: list[int]) -> Array:
    w = {name: value.astype(np.float64) for name, value in model.weights.items()}
    kind = model.config["model_type"]

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]

    def block(x: Array, name: str, inside: Any) -> Array:
        if kind in BEFORE:
            return x + inside(norm(x, name))
        return norm(x + inside(x), name)

    def attend(x: Array, other: Array, name: str, causal: bool) -> Array:
        q, k, v = (
            linear(x, f"{name}.q_proj"),
            linear(other, f"{name}.k_proj"),
            linear(other, f"{name}.v_proj"),
        )
        return linear(_attention(q, k, v, (WIDTH // HEADS) ** -0.5, None, causal), f"{name}.out_proj")

    def stack(ids: list[int], side: str, states: Array | None) -> Array:
        factor = WIDTH**0.5 if model.config["scale_embedding"] else 1.0
        x = w["model.shared.weight"][ids] * factor + _positions(kind, side, len(ids), w)
        if kind in ("bart", "mbart"):
            x = norm(x, f"model.{side}.layernorm_embedding")
        for layer in range(LAYERS):
            at = f"model.{side}.layers.{layer}"
            own = states is not None
            x = block(
                x,
                f"{at}.self_attn_layer_norm",
                lambda y, at=at, own=own: attend(y, y, f"{at}.self_attn", own),
            )
            if states is not None:
                x = block(
                    x, f"{at}.encoder_attn_layer_norm",
                    lambda y, at=at: attend(y, states, f"{at}.encoder_attn", False),
                )  # fmt: skip
            x = block(
                x, f"{at}.final_layer_norm",
                lambda y, at=at: linear(np.maximum(linear(y, f"{at}.fc1"), 0), f"{at}.fc2"),
            )  # fmt: skip
        return norm(x, f"model.{side}.layer_norm") if kind in BEFORE else x

    states = stack(target, "decoder", stack(source, "encoder", None))
    result: Array = states @ w["model.shared.weight"].T + w["final_logits_bias"]
    return result


def _positions(kind: str, side: str, count: int, w: dict[str, Array]) -> Array:
    if kind in ("bart", "mbart"):
        return w[f"model.{side}.embed_positions.weight"][2 : 2 + count]
    half = WIDTH // 2
    if kind == "m2m_100":
        angles = (np.arange(count)[:, None] + 2) * 10000 ** (-np.arange(half) / (half - 1))
    else:
        angles = np.arange(count)[:, None] / 10000 ** (2 * np.arange(half) / WIDTH)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _t5(model: Model, source: list[int], target: list[int]) -> Array:
    w = {name.removesuffix(".weight"): value.astype(np.float64) for name, value in model.weights.items()}
    gated = model.config["feed_forward_proj"] == "gated-gelu"

    def norm(x: Array, name: str) -> Array:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * w[name]

    def attend(x: Array, other: Array, name: str, bias: Array | None, causal: bool) -> Array:
        q, k, v = (y @ w[f"{name}.{part}"].T for y, part in zip((x, other, other), "qkv", strict=True))
        return _attention(q, k, v, 1.0, bias, causal) @ w[f"{name}.o"].T

    def feed(x: Array, name: str) -> Array:
        if gated:
            y = x @ w[f"{name}.wi_0"].T
            y = (
                0.5
                * y
                * (1 + np.tanh((2 / np.pi) ** 0.5 * (y + 0.044715 * y**3)))
                * (x @ w[f"{name}.wi_1"].T)
            )
        else:
            y = np.maximum(x @ w[f"{name}.wi"].T, 0)
        return y @ w[f"{name}.wo"].T

    def stack(ids: list[int], side: str, states: Array | None) -> Array:
        x = w["shared"][ids]
        table = w[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"]
        bias = _buckets(len(ids), states is None, table)
        for layer in range(LAYERS):
            at = f"{side}.block.{layer}.layer"
            y = norm(x, f"{at}.0.layer_norm")
            x = x + attend(y, y, f"{at}.0.SelfAttention", bias, states is not None)
            if states is not None:
                y = norm(x, f"{at}.1.layer_norm")
                x = x + attend(y, states, f"{at}.1.EncDecAttention", None, False)
            last = f"{at}.{1 if states is None else 2}"
            x = x + feed(norm(x, f"{last}.layer_norm"), f"{last}.DenseReluDense")
        return norm(x, f"{side}.final_layer_norm")

    states = stack(target, "decoder", stack(source, "encoder", None))
    if gated:
        return states @ w["lm_head"].T
    return states * WIDTH**-0.5 @ w["shared"].T


def _buckets(count: int, both: bool, table: Array) -> Array:
    """The bias of attention by distance (Raffel et al. 2020, 2.1): near ones exactly, far ones by their logarithm."""
    far, buckets = 20, len(table) // (2 if both else 1)
    bias = np.zeros((HEADS, count, count))
    for row in range(count):
        for column in range(count):
            distance = column - row
            bucket = buckets if both and distance > 0 else 0
            distance = abs(distance) if both else max(-distance, 0)
            exact = buckets // 2
            if distance >= exact:
                grown = exact + int(np.log(distance / exact) / np.log(far / exact) * (buckets - exact))
                distance = min(grown, buckets - 1)
            bias[:, row, column] = table[bucket + distance]
    return bias
