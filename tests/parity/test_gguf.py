"""Model folders converted to GGUF and run by libllama, against the same folders in transformers.

Greedy answers in float32 have to be the same tokens. Tokenizers have to cut the same texts into the same tokens; where
llama.cpp has to differ, the bundle says so in a note, and exactly those texts differ. Quantised weights are compared by
the share of places at which the likeliest token stays the same.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
import transformers
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from firstlight.build.gguf import byte_level, folder
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import load
from firstlight.runtime.generation.wishes import Sampling

torch.set_num_threads(1)
ROWS, CONTEXT, PROMPT, ANSWER = 400, 256, 20, 24
LEAD = 0.04
"""By which the likeliest token leads at every place of an answer: libllama keeps keys and values in float16."""
END = "<|endoftext|>"
SIZES = {
    "vocab_size": ROWS,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
GPT2 = {
    "vocab_size": ROWS,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": CONTEXT,
    "initializer_range": 0.3,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {"num_key_value_heads": 4}),
    "llama, grouped queries": ("Llama", {"num_key_value_heads": 2}),
    "llama, tied": ("Llama", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "llama, biases": ("Llama", {"num_key_value_heads": 2, "attention_bias": True, "mlp_bias": True}),
    "llama, wide heads": ("Llama", {"num_key_value_heads": 2, "head_dim": 32}),
    "llama 3.1": ("Llama", {"num_key_value_heads": 2, "rope_theta": 5e5, "rope_scaling": LLAMA_3}),
    "llama, linear": ("Llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "llama, yarn": ("Llama", {"rope_scaling": YARN}),
    "mistral": ("Mistral", {"num_key_value_heads": 2, "sliding_window": 100}),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2}),
    "qwen2, tied": ("Qwen2", {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"num_key_value_heads": 2, "head_dim": 32}),
    "pythia": ("GPTNeoX", {}),
    "pythia, one after the other": ("GPTNeoX", {"use_parallel_residual": False, "rotary_pct": 1.0}),
    "pythia, no biases, tied": ("GPTNeoX", {"attention_bias": False, "tie_word_embeddings": True}),
    "gpt2": ("GPT2", GPT2),
}
PROSE = """Once upon a time there lived a king who had three daughters, and the youngest was so fair that the sun sat.
The miller's wife said: "Don't go into the wood, it's dark!" but they'd gone already; I'll tell what we've seen.
In 1812 there were 3,000 soldiers, 42 horses and 7 wagons. Le café est près de l'église, où Éloïse chantait.
def add(a, b):\n    return a + b  # sums\n\n\tif x != y: print('tabs')
""".splitlines()
TEXTS = [
    *PROSE,
    "",
    " ",
    "   ",
    "\n",
    "\n\n  x",
    "\t\ttab",
    "a\r\nb\rc",
    "it's I'LL we'Ve DON'T can't",
    "1234567890 3.14159 2,000",
    "Größe Straße",
    "привет мир 42",
    "你好\uff0c世界\uff01123",
    "こんにちは カタカナ ｶﾀｶﾅ",
    "한국어 텍스트",
    "مرحبا بالعالم ٣٤٥",
    "हिन्दी पाठ १२३",
    "ไทย ข้อความ",
    "🙂🙃👨‍👩‍👧‍👦 family 🇫🇷",
    "zero\u200bwidth\u00a0nbsp\u2003em",
    "x²+y³≠½⅓",
    "    indented\n        code",
    "...!!!???",
    "\u201cquotes\u201d \u2018single\u2019 \u2014 dash\u2026",
    "ﬁ ligature Ⅷ roman ①",
    "A" * 50,
    *("http://example.com/path?x=1&y=2", "\ufeffbom", f"foo{END}bar", f"{END} x", "e\u0301 apart"),
]
LETTERS = [
    *map(chr, range(32, 127)),
    *" \n\t'  0123456789",
    *"éßñçøÅЖдя中文かなカ한글مرحबा½²Ⅷ—“”…🙂\u200d\u0301\u00a0\u3000",
]


PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False)


def random_texts() -> list[str]:
    draw = random.Random(7)
    return ["".join(draw.choices(LETTERS, k=draw.randrange(1, 40))) for _ in range(400)]


def byte_level_tokenizer(cutter: Any, ignores: bool = False) -> Tokenizer:
    made = Tokenizer(models.BPE(ignore_merges=ignores))
    made.pre_tokenizer, made.decoder = cutter, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=ROWS, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(PROSE, trainer)
    return made


def saved(place: Path, kind: str, config: dict[str, Any], seed: int = 5) -> Any:
    """A seeded model in a folder with a small tokenizer."""
    torch.manual_seed(seed)
    of = getattr(transformers, f"{kind}Config")
    head = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    settings = config if kind == "GPT2" else SIZES | config
    model = getattr(transformers, kind + head)(of(**settings)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(place)
    byte_level_tokenizer(PLAIN).save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    return model


def decided(place: Path, kind: str, config: dict[str, Any]) -> tuple[Any, list[int]]:
    """A model whose answer to the prompt is decided at every place, and that answer."""
    for seed in range(500):
        model = saved(place, kind, config, seed)
        ids = prompt(PROMPT)
        answer = theirs(model, ids, ANSWER)
        with torch.no_grad():
            logits = model(torch.tensor([ids + answer])).logits[0, PROMPT - 1 : -1]
        best, second = logits.topk(2).values.T
        if len(answer) == ANSWER and float((best - second).min()) > LEAD:
            return model, answer
    raise AssertionError("no seed gives an answer that is decided")


def prompt(length: int) -> list[int]:
    return [int(number) for number in np.random.default_rng(1).integers(1, 300, length)]


def theirs(model: Any, ids: list[int], count: int) -> list[int]:
    given = torch.tensor([ids])
    made = model.generate(
        given, attention_mask=torch.ones_like(given), max_new_tokens=count, do_sample=False, pad_token_id=0
    )
    return made[0, len(ids) :].tolist()


def engine_of(out: Path) -> Any:
    return load(Bundle.open(str(out)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_greedy_answers_are_the_same_tokens(tmp_path: Path, name: str) -> None:
    _, expected = decided(tmp_path, *MODELS[name])
    engine = engine_of(folder.convert(tmp_path, tmp_path / "out", precision="f32"))
    found = engine.generate(prompt(PROMPT), Sampling(max_tokens=ANSWER), NEVER)
    assert [token.id for token in found] == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama, grouped queries", "qwen2", "pythia", "gpt2"])
def test_probabilities_are_the_same(tmp_path: Path, name: str) -> None:
    model = saved(tmp_path, *MODELS[name])
    engine = engine_of(folder.convert(tmp_path, tmp_path / "out", precision="f32"))
    ids = prompt(40)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1).numpy()
    for count in (1, 13, 40):
        (token,) = engine.generate(ids[:count], Sampling(max_tokens=1, logprobs=20), NEVER)
        for number, logprob in token.top:
            # llama.cpp's GELU comes from a table of float16; its keys and values are float16 too.
            assert logprob == pytest.approx(expected[count - 1, number], abs=0.03)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("precision", "apart"),
    [("f16", 0.02), ("q8_0", 0.14), ("q6_k", 0.36), ("q5_1", 0.66), ("q4_k_m", 1.2), ("q4_0", 1.5)],
)
def test_quantised_weights_answer_nearly_the_same(tmp_path: Path, precision: str, apart: float) -> None:
    """By the root mean square of log-probabilities; random weights spread every error over all that follows.

    docs/gguf.md has the agreement of a trained model. The bounds are a third above what was measured.
    """
    wide = {"hidden_size": 256, "intermediate_size": 512, "num_key_value_heads": 2, "initializer_range": 0.1}
    model = saved(tmp_path, "Llama", wide)
    ids = prompt(60)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1).numpy()
    engine = engine_of(folder.convert(tmp_path, tmp_path / "out", precision=precision))
    differences = []
    for count in range(1, 61, 3):
        (token,) = engine.generate(ids[:count], Sampling(max_tokens=1, logprobs=20), NEVER)
        differences += [logprob - expected[count - 1, number] for number, logprob in token.top]
    found = float(np.sqrt(np.square(differences).mean()))
    assert found < apart


def cut_by(name: str) -> Any:
    pattern = next(rules[-1] for (rules, _), known in byte_level._NAMES.items() if known == name)
    steps = [
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    return pre_tokenizers.Sequence(steps)


def spaced(made: Tokenizer) -> Tokenizer:
    """Runs of spaces as tokens of their own, as Pythia has them."""
    made.add_tokens([AddedToken(" " * length, normalized=True) for length in range(24, 1, -1)])
    return made


def begun(made: Tokenizer) -> Tokenizer:
    made.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    return made


def composed(made: Tokenizer) -> Tokenizer:
    made.normalizer = normalizers.NFC()
    return made


DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), PLAIN])
TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "gpt-2": lambda: byte_level_tokenizer(PLAIN),
    "gpt-neox": lambda: spaced(byte_level_tokenizer(PLAIN)),
    "with a beginning": lambda: begun(byte_level_tokenizer(PLAIN)),
    "smollm": lambda: byte_level_tokenizer(DIGITS),
    "llama-bpe": lambda: byte_level_tokenizer(cut_by("llama-bpe"), ignores=True),
    "smaug-bpe": lambda: byte_level_tokenizer(cut_by("smaug-bpe")),
    "qwen2": lambda: composed(byte_level_tokenizer(cut_by("qwen2"))),
    "tekken": lambda: byte_level_tokenizer(cut_by("tekken"), ignores=True),
    "gpt-4o": lambda: byte_level_tokenizer(cut_by("gpt-4o")),
}


def differing(place: Path, made: Tokenizer, settings: dict[str, str]) -> tuple[list[str], tuple[str, ...]]:
    """The texts that the converted tokenizer cuts otherwise, and the notes of the bundle."""
    rows = made.get_vocab_size()
    saved(place, "Llama", {"vocab_size": rows, "num_key_value_heads": 2, "num_hidden_layers": 1})
    made.save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    bundle = Bundle.open(str(folder.convert(place, place / "out")))
    engine = load(bundle)
    begins = engine.encode("x")[
        : len(made.encode("x").ids) - len(made.encode("x", add_special_tokens=False).ids)
    ]
    different = []
    for text in [*TEXTS, *random_texts()]:
        ids = made.encode(text, add_special_tokens=False).ids
        if engine.encode(text, special=False) != ids:
            different.append(text)
    assert engine.encode("king")[: len(begins)] == begins
    return different, tuple(bundle.parity.get("notes", ()))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts_are_cut_into_the_same_tokens(tmp_path: Path, name: str) -> None:
    made = TOKENIZERS[name]()
    different, notes = differing(tmp_path, made, {"eos_token": END, "bos_token": END})
    if name == "qwen2":
        assert len(notes) == 1
        assert all(made.normalizer.normalize_str(text) != text for text in different)
        assert "e\u0301 apart" in different
    else:
        assert (different, notes) == ([], ())


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model with Llama 2's settings, and one of the Unigram kind."""
    place = tmp_path_factory.mktemp("pieces")
    (place / "prose.txt").write_text("\n".join(PROSE * 4))
    shared = {"input": str(place / "prose.txt"), "minloglevel": 2, "hard_vocab_limit": False}
    sentencepiece.SentencePieceTrainer.train(
        **shared, model_prefix=str(place / "bpe"), model_type="bpe", vocab_size=420, byte_fallback=True,
        split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
    )  # fmt: skip
    sentencepiece.SentencePieceTrainer.train(
        **shared, model_prefix=str(place / "unigram"), model_type="unigram", vocab_size=160
    )
    return place


def llama_2(place: Path) -> Tokenizer:
    shutil.copy(place / "bpe.model", place / "tokenizer.model")
    return transformers.LlamaTokenizerFast(vocab_file=str(place / "tokenizer.model")).backend_tokenizer


def changed(made: Tokenizer, normalizer: Any, cutter: Any) -> Tokenizer:
    content = json.loads(made.to_str()) | {"normalizer": normalizer, "pre_tokenizer": cutter}
    return Tokenizer.from_str(json.dumps(content))


LEGACY = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    ],
}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def metaspace(scheme: str, split: bool = False) -> dict[str, Any]:
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}


@pytest.mark.filterwarnings("ignore")
def test_sentence_pieces_are_cut_alike(pieces: Path, tmp_path: Path) -> None:
    different, notes = differing(tmp_path, changed(llama_2(pieces), LEGACY, None), SPECIAL)
    assert (different, notes) == ([], ())


@pytest.mark.filterwarnings("ignore")
def test_newer_sentence_pieces_differ_where_the_note_says(pieces: Path, tmp_path: Path) -> None:
    different, notes = differing(tmp_path, changed(llama_2(pieces), None, metaspace("always")), SPECIAL)
    assert len(notes) == 1
    assert all(text.startswith((" ", "\u2581")) for text in different)
    assert "   " in different


@pytest.mark.filterwarnings("ignore")
def test_unigram_texts_are_cut_alike(pieces: Path, tmp_path: Path) -> None:
    made = transformers.T5TokenizerFast(
        vocab_file=str(pieces / "unigram.model"), extra_ids=0
    ).backend_tokenizer
    made = changed(made, json.loads(made.to_str())["normalizer"], metaspace("always", split=True))
    different, notes = differing(
        tmp_path, made, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    )
    assert len(notes) == 1
    assert all("\u0301" in text for text in different)
    assert len(different) < 5
