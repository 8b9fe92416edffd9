"""What a model folder says about writing answers: its task, its languages, and how its answers are searched for.

The result is what the tasks read in bundle.json under ``defaults``:

    generation   num_beams, max_length and so on, by the names of generation_config.json
    tasks        the same for one task and the text before its sources (``task_specific_params``), by task
    languages    codes and the tokens that stand for them
    source       tokens before (``begin``) and after (``end``) a source; {src} and {tgt} stand for its languages'
    src_lang, tgt_lang, max_length, prefix
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert.source import front_matter, read_json
from firstlight.build.convert.tokenizer import special

TASKS = ("translation", "summarization", "text2text-generation")
BY_TYPE = {
    "marian": "translation",
    "mbart": "translation",
    "m2m_100": "translation",
    "pegasus": "summarization",
}
"""What models of a ``model_type`` are made for where nothing else says it."""

_BY_TOKENIZER = {
    "Marian": "marian", "MBart": "mbart", "MBart50": "mbart", "Nllb": "m2m_100", "M2M100": "m2m_100", "T5": "t5",
    "Pegasus": "pegasus", "Bart": "bart",
}  # fmt: skip
_SEARCH = (
    "num_beams", "max_length", "max_new_tokens", "min_length", "min_new_tokens", "length_penalty", "early_stopping",
    "no_repeat_ngram_size", "repetition_penalty", "encoder_no_repeat_ngram_size", "do_sample", "temperature", "top_k",
    "top_p", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "eos_token_id", "bad_words_ids",
    "suppress_tokens", "begin_suppress_tokens",
)  # fmt: skip
_NOBODYS_LENGTH = 20
"""``max_length`` that transformers writes where nobody chose one; its pipelines take 256 new tokens instead."""

_NO_LIMIT = 1_000_000
_NAMED = re.compile(
    r"opus[-_]mt[-_](?:tc[-_]\w+?[-_])?([a-z]{2,3}(?:_[A-Z]\w+)?)[-_]([a-z]{2,3}(?:_[A-Z]\w+)?)$"
)
_MARIAN = re.compile(r">>(.+)<<")
_LOCALE = re.compile(r"[a-z]{2,3}_(?:[A-Z]{2}|[A-Z][a-z]{3})")
_UNDERLINED = re.compile(r"__([a-z]{2,3})__")


def task(folder: Path, config: Mapping[str, Any], asked: str | None = None) -> str:
    """The task of a model: the one asked for, what its card says, or what its kind is made for."""
    if asked is not None:
        return asked
    tag = front_matter(folder).get("pipeline_tag", "")
    if tag in TASKS:
        return tag
    kind = BY_TYPE.get(str(config.get("model_type")))
    if kind is not None:
        return kind
    known = {"translation" if name.startswith("translation") else name for name in _specific(config)}
    return known.pop() if len(known & set(TASKS)) == len(known) == 1 else "text2text-generation"


def type_of(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> str:
    """``model_type``; where config.json is not the original model's, by the class tokenizer_config.json names."""
    named = str(tokenizer.get("tokenizer_class", "")).removesuffix("Fast").removesuffix("Tokenizer")
    return str(config.get("model_type") or _BY_TOKENIZER.get(named, ""))


def search(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """How answers are searched for: generation_config.json, or config.json where there is none (as in transformers)."""
    found = read_json(folder / "generation_config.json") or config
    return _chosen(found)


def defaults(
    folder: Path, config: Mapping[str, Any], tokens: Iterable[str], tag: str, name: str
) -> dict[str, Any]:
    """What bundle.json says under ``defaults``.

    Args:
        folder: of the model.
        config: its config.json.
        tokens: those of its vocabulary that may stand for languages.
        tag: the task of the bundle.
        name: of the repository, or of the folder.
    """
    made: dict[str, Any] = {"generation": search(folder, config)}
    limit = longest(folder, config)
    if limit is not None:
        made["max_length"] = limit
    by_task = {
        task: {"prefix": str(params.get("prefix", "")), "generation": _chosen(params)}
        for task, params in _specific(config).items()
    }
    if by_task:
        made["tasks"] = by_task
    own = by_task.get(tag)
    if own is not None and own["prefix"]:
        made["prefix"] = own["prefix"]
    if str(config.get("prefix") or "") and "prefix" not in made:
        made["prefix"] = str(config["prefix"])
    return made | _languages(folder, config, tokens, name)


def longest(folder: Path, config: Mapping[str, Any]) -> int | None:
    """Tokens a source may have: what the positions or the tokenizer allow; None where neither says."""
    tokenizer = read_json(folder / "tokenizer_config.json")
    limits = (
        config.get("max_position_embeddings"),
        config.get("n_positions"),
        tokenizer.get("model_max_length"),
    )
    found = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(found, default=None)


def _specific(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = config.get("task_specific_params")
    if not isinstance(found, Mapping):
        return {}
    return {str(name): params for name, params in found.items() if isinstance(params, Mapping)}


def _chosen(found: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: found[name] for name in _SEARCH if found.get(name) is not None}
    if chosen.get("max_length") == _NOBODYS_LENGTH:
        del chosen["max_length"]
    return chosen


def _languages(folder: Path, config: Mapping[str, Any], tokens: Iterable[str], name: str) -> dict[str, Any]:
    kind = config.get("model_type")
    if kind == "marian":
        return _marian_languages(folder, tokens, name)
    if kind not in ("mbart", "m2m_100"):
        return {}
    codes = {_code(token): token for token in sorted(tokens) if _code(token)}
    made: dict[str, Any] = {"languages": codes}
    # mBART-25 was trained with the language behind the text, all others with it in front.
    if kind == "mbart" and not _many(codes, folder, config):
        made["source"] = {"begin": [], "end": ["</s>", "{src}"]}
    else:
        made["source"] = {"begin": ["{src}"], "end": ["</s>"]}
    found = special.settings(folder)
    for field in ("src_lang", "tgt_lang"):
        code = special.text(found.get(field))
        if code in codes:
            made[field] = code
    return made


def _many(codes: Mapping[str, str], folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether an mBART is mBART-50, by its tokenizer's name or the languages only that has."""
    names = (special.settings(folder).get("tokenizer_class"), config.get("tokenizer_class"))
    return any(str(name).startswith("MBart50") for name in names) or "sl_SI" in codes


def _code(token: str) -> str:
    """The language a token stands for; empty for any other token."""
    underlined = _UNDERLINED.fullmatch(token)
    if underlined:
        return underlined[1]
    return token if _LOCALE.fullmatch(token) else ""


def _marian_languages(folder: Path, tokens: Iterable[str], name: str) -> dict[str, Any]:
    """A pair, of the tokenizer's settings or the name; or several targets, told by a token in front of the source."""
    found = special.settings(folder)
    named = _NAMED.search(name.rstrip("/").rpartition("/")[2])
    made: dict[str, Any] = {}
    for place, (field, key) in enumerate((("src_lang", "source_lang"), ("tgt_lang", "target_lang"))):
        code = special.text(found.get(key)) or (named[place + 1] if named else None)
        if code:
            made[field] = code
    codes = {match[1]: token for token in sorted(tokens) if (match := _MARIAN.fullmatch(token))}
    if codes:
        made |= {"languages": codes, "source": {"begin": ["{tgt}"], "end": ["</s>"]}}
        if made.get("tgt_lang") not in codes:
            made.pop("tgt_lang", None)
    return made
