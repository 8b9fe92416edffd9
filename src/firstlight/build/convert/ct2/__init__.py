"""A Hugging Face folder to a bundle that CTranslate2 opens, without torch and without transformers.

Encoder-decoder: BART, mBART, Marian, M2M100 and NLLB, Pegasus, T5 (1.0, 1.1, Flan, mT5). Decoder-only: GPT-2, GPT-NeoX,
Llama, Mistral, Qwen2. What is written is what ``ctranslate2.converters.TransformersConverter`` writes, which needs
both; only the places of large tensors in the file are others (``writing``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build import bundle
from firstlight.build.convert import generation, tokenizer
from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.convert.ct2 import bart, decoders, shapes, t5
from firstlight.build.convert.ct2.settings import Settings
from firstlight.build.convert.ct2.tensors import Tensors
from firstlight.build.convert.ct2.vocabulary import fitted
from firstlight.build.convert.ct2.writing import write, write_vocabularies
from firstlight.build.convert.source import origin
from firstlight.build.convert.tokenizer import Vocabulary, special
from firstlight.runtime.errors import ConversionError

PRECISIONS = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
"""How weights are kept, and CTranslate2's word for it. fp16 halves the file; a CPU computes in float32 all the same."""

_FILES = (
    "config.json", "model.bin", "shared_vocabulary.json", "source_vocabulary.json", "target_vocabulary.json",
    "vocabulary.json", "tokenizer.json", "target.json", "bundle.json",
)  # fmt: skip
_NAMELESS = {"m2m_100": "madeupword{}"}
"""Rows of a table without a token, as the official converter calls them."""


def convert(
    model_dir: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str = "fp32",
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle from a model folder.

    Args:
        model_dir: config.json, safetensors, and a tokenizer in one of the forms ``tokenizer.add`` reads.
        out_dir: folder of the bundle; made, and emptied of a former bundle's files.
        task: a task tag; None infers it.
        precision: ``fp32``, ``fp16`` or ``int8`` (a scale for each row of a matrix).
        name: name of the bundle; the folder's when None.
        source: repo, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: a file is missing or damaged, the files are not of one model, or the architecture is not
            known here.
    """
    folder, out = Path(model_dir), Path(out_dir)
    if precision not in PRECISIONS:
        raise ConversionError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if out.resolve() == folder.resolve():
        raise ConversionError(f"{out} is the model folder itself", "write the bundle into another folder")
    settings = Settings(folder)
    if settings.type not in (*bart.TYPES, *t5.TYPES, *decoders.TYPES):
        known = ", ".join((*bart.TYPES, *t5.TYPES, *decoders.TYPES))
        message = f"{settings.file}: model_type {settings.type!r} is not known here"
        raise ConversionError(message, f"for ctranslate2 these are: {known}")
    out.mkdir(parents=True, exist_ok=True)
    for former in _FILES:
        (out / former).unlink(missing_ok=True)
    vocabulary = tokenizer.add(folder, out, settings.type)
    make = _decoder if settings.type in decoders.TYPES else _encoder_decoder
    called = (source or {}).get("repo") or name or folder.name
    meta = {
        "name": name or folder.name,
        "engine": "ctranslate2",
        "precision": precision,
        "labels": [],
        "source": dict(source or origin(folder)),
        "parity": {},
        **make(settings, vocabulary, out, PRECISIONS[precision], task, called),
    }
    if vocabulary.settings:
        meta["tokenizer"] = dict(vocabulary.settings)
    bundle.write(out, meta)
    return out


def _encoder_decoder(
    settings: Settings, vocabulary: Vocabulary, out: Path, weights: str, task: str | None, called: str
) -> dict[str, Any]:
    folder = settings.file.parent
    chosen = generation.search(folder, settings.values)
    family = t5 if settings.type in t5.TYPES else bart
    spec = family.specification(settings, Tensors(Checkpoint(folder), weights == "int8"))
    shapes.check(spec, str(settings.file))
    shared = len(spec.encoder.embeddings[0].weight) == len(spec.decoder.embeddings.weight)
    start = _start(settings, chosen)
    zero = settings.type == "marian" and bart.without_padding(spec, start)
    name = _NAMELESS.get(settings.type, "<extra_id_{}>")
    tables = spec.encoder.embeddings[0], spec.decoder.embeddings
    source, target = (
        fitted(tokens, vocabulary.own, len(table.weight) + (zero and one), folder, name)[: len(table.weight)]
        for tokens, table, one in zip(
            (vocabulary.source, vocabulary.target), tables, (shared, True), strict=True
        )
    )
    spec.register_source_vocabulary(source)
    spec.register_target_vocabulary(target)
    _name(spec.config, vocabulary, settings)
    if not zero:
        spec.config.decoder_start_token = _nth(target, start, settings)
    write(spec, weights, out)
    write_vocabularies(out, source, target)
    tag = generation.task(folder, settings.values, task)
    model: dict[str, Any] = {"file": "model.bin", "kind": "encoder-decoder"}
    never = _never(chosen, target)
    if settings.type == "marian" and not zero and [target[start]] not in never:
        never.append([target[start]])
    if never:
        model |= {"never": never}
    tokens = [*vocabulary.marked]
    return {
        "task": tag,
        "model": model,
        "defaults": generation.defaults(folder, settings.values, tokens, tag, called),
    }


def _nth(tokens: list[str], number: int, settings: Settings) -> str:
    if not 0 <= number < len(tokens):
        message = f"{settings.file}: the first token is number {number} of {len(tokens)}"
        raise ConversionError(message, "config.json is of another model")
    return tokens[number]


def _decoder(
    settings: Settings, vocabulary: Vocabulary, out: Path, weights: str, task: str | None, _called: str
) -> dict[str, Any]:
    folder = settings.file.parent
    spec = decoders.specification(settings, Tensors(Checkpoint(folder), weights == "int8"))
    shapes.check(spec, str(settings.file))
    rows = len(spec.decoder.embeddings.weight)
    tokens = fitted(vocabulary.source, vocabulary.own, rows, folder)
    spec.register_vocabulary(tokens)
    parts = vocabulary.parts
    spec.config.bos_token = parts["bos_token"] or parts["pad_token"] or parts["eos_token"] or ""
    spec.config.eos_token = parts["eos_token"] or ""
    spec.config.unk_token = parts["unk_token"] or ""
    write(spec, weights, out)
    write_vocabularies(out, tokens)
    chosen = generation.search(folder, settings.values)
    ends = chosen.get("eos_token_id", [])
    numbers = [number for number in (ends if isinstance(ends, list) else [ends]) if 0 <= number < rows]
    made: dict[str, Any] = {
        "generation": chosen,
        "special": {part: text for part, text in parts.items() if text},
        "end_tokens": [tokens[number] for number in numbers] or [spec.config.eos_token],
    }
    template = special.chat_template(folder)
    if template:
        made["chat_template"] = template
    model: dict[str, Any] = {"file": "model.bin", "kind": "decoder"}
    limit = settings.get("max_position_embeddings", settings.get("n_positions"))
    if limit:
        model["context"] = limit
    return {"task": task or "text-generation", "model": model, "defaults": made}


def _start(settings: Settings, chosen: Mapping[str, Any]) -> int:
    """The decoder's first token, as ``GenerationMixin`` finds it."""
    names = ("decoder_start_token_id", "bos_token_id")
    values = [chosen.get(names[0]), *(settings.get(name) for name in names)]
    found = next((value for value in values if type(value) is int), None)
    if found is None:
        message = f"{settings.file} has no decoder_start_token_id"
        raise ConversionError(message, "config.json is not of a model that generates")
    return found


def _name(config: Any, vocabulary: Vocabulary, settings: Settings) -> None:
    """The names of the special tokens, as the official converter writes them for each family."""
    parts = vocabulary.parts
    config.eos_token = parts["eos_token"] or "</s>"
    config.unk_token = parts["unk_token"] or "<unk>"
    if settings.type == "marian":
        config.decoder_start_token = config.eos_token  # not looked at: decoding begins with zeros
    elif settings.type in ("pegasus", *t5.TYPES):
        config.bos_token = parts["pad_token"] or "<pad>"
    else:
        config.bos_token = (
            parts["bos_token"] or "<s>"
        )  # CTranslate2 refuses null, which the official one writes


def _never(chosen: Mapping[str, Any], target: list[str]) -> list[list[str]]:
    """Sequences of tokens that may not come; those of tokens the vocabulary no longer has cannot."""
    words = chosen.get("bad_words_ids") or []
    listed = [*words, *([number] for number in chosen.get("suppress_tokens") or [])]
    return [[target[number] for number in one] for one in listed if one and max(one) < len(target)]
