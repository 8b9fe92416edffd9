"""A file of ggml from before GGUF to a bundle: the same weights under GGUF's names, with the tokenizer beside it.

What such a file has of a vocabulary are the texts of the tokens, without the merges that make them; so the tokenizer of
the repository it was made from is needed. A Llama file has scores too, which are all its tokenizer needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstlight.build.convert.source import read_json
from firstlight.build.gguf import (
    bundles,
    folder,
    old_blocks,
    old_header,
    old_models,
    quantisations,
    reading,
    tokenizer,
    writer,
)
from firstlight.build.gguf.byte_level import text_bytes
from firstlight.build.gguf.model import Plan
from firstlight.build.gguf.old_header import OldHeader
from firstlight.build.gguf.old_models import OldWeights
from firstlight.build.gguf.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, Vocabulary
from firstlight.runtime.errors import ConversionError, ProjectError

_OTHER_TEXTS = 0.1
"""Share of tokens whose text may differ: the converters of 2023 decoded with transformers, which tidies up spaces."""
_SAME, _PACKED, _ROUNDED = (
    "the same blocks, bit for bit",
    "the same blocks, their values in today's order",
    "the same values; scales of 32 bits are rounded to 16",
)


def convert(
    file: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle of an old file.

    Args:
        file: the file; tokenizer.json (and config.json where there is one) of its source lie beside it.
        out_dir: folder of the bundle; made where it is not there.
        task: None or ``text-generation``.
        precision: a quantisation the weights are computed anew in; None keeps them.
        name: of the bundle; the file's when None.
        source: repository, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: the file is damaged, or its blocks have no like in GGUF.
        ProjectError: there is no tokenizer.json beside it.
    """
    place, out = Path(file), Path(out_dir)
    bundles.check_task(task, str(place))
    header = old_header.read(place)
    plan = old_models.plan(header, read_json(place.parent / "config.json"))
    vocabulary = _vocabulary(header)
    metadata: dict[str, writer.Value] = {"general.architecture": header.architecture, "general.type": "model"}
    metadata["general.name"] = name or place.stem
    kinds = _kinds(plan, precision)
    made = quantisations.named(precision).name if precision else _most(plan, kinds)
    if made in quantisations.QUANTISATIONS:
        metadata["general.file_type"] = quantisations.QUANTISATIONS[made].file_type
    metadata |= {"general.quantization_version": folder.BLOCKS_VERSION, **plan.metadata}
    metadata |= vocabulary.metadata(plan.rows)
    out.mkdir(parents=True, exist_ok=True)
    tensors = [writer.Tensor(key, found.shape, kinds[key], found) for key, found in plan.tensors.items()]
    writer.write(out / bundles.FILE, metadata, tensors)
    reading.approve(out / bundles.FILE)
    origin = {
        "container": f"{header.container} {header.version}".removesuffix(" 0"),
        **bundles.licence(place.parent),
    }
    return bundles.write(
        out,
        name or place.stem,
        made,
        plan.context,
        source=origin | dict(source or {}),
        wishes=bundles.generation(place.parent),
        parity={} if precision else _parity(plan),
        notes=vocabulary.notes,
    )


def _kinds(plan: Plan, precision: str | None) -> dict[str, str]:
    """The type each tensor is written in."""
    if precision is None:
        return {name: old_blocks.today(_old(found).element) for name, found in plan.tensors.items()}
    kind = quantisations.named(precision)
    return {
        name: quantisations.element_for(kind, name, found.shape, plan.layers, plan.tied)
        for name, found in plan.tensors.items()
    }


def _most(plan: Plan, kinds: Mapping[str, str]) -> str:
    """The type of most weights."""
    counted: Counter[str] = Counter()
    for name, found in plan.tensors.items():
        counted[kinds[name]] += int(np.prod(found.shape, dtype=np.int64))
    return counted.most_common(1)[0][0]


def _parity(plan: Plan) -> dict[str, Any]:
    """What became of the weights on the way."""
    weights = [_old(found) for found in plan.tensors.values()]
    rounded = [found for found in weights if old_blocks.rounded(found.element)]
    if rounded:
        change = max(old_blocks.scale_change(found.raw(), found.element) for found in rounded)
        return {"weights": _ROUNDED, "largest_scale_change": float(f"{change:.3g}")}
    return {"weights": _PACKED if any("@" in found.element for found in weights) else _SAME}


def _old(found: Any) -> OldWeights:
    assert isinstance(found, OldWeights)  # noqa: S101 - plans of old_models hold nothing else
    return found


def _vocabulary(header: OldHeader) -> Vocabulary:
    """The tokenizer beside the file; of a Llama that has none, the one inside of it."""
    place = header.file.parent
    if (place / "tokenizer.json").is_file():
        found = tokenizer.read(place)
        _check_texts(header, found)
        return found
    if header.architecture == "llama" and header.container != "ggml":
        return _own(header)
    example = "EleutherAI/pythia-410m for pythia-410m-q5_1-ggjt.bin, for example"
    raise ProjectError(
        f"{header.file} holds its tokens without the merges that make them, and no tokenizer.json lies beside it",
        f"put tokenizer.json (and config.json) of the repository it was made from beside it: {example}",
    )


def _check_texts(header: OldHeader, vocabulary: Vocabulary) -> None:
    """ConversionError where the tokens of the file are not those of the tokenizer."""
    counted = other = 0
    for (inside, _), token, kind in zip(header.tokens, vocabulary.tokens, vocabulary.kinds, strict=False):
        text = text_bytes(token) if kind == NORMAL and vocabulary.model == "gpt2" else token.encode()
        if kind in (UNUSED, BYTE, UNKNOWN) or not inside or not _readable(text):
            continue
        counted += 1
        other += inside.replace(b"\xe2\x96\x81", b" ") != text.replace(b"\xe2\x96\x81", b" ")
    if counted and other > _OTHER_TEXTS * counted:
        message = (
            f"{other} of {counted} tokens in {header.file} are not those of the tokenizer.json beside it"
        )
        raise ConversionError(message, "take tokenizer.json from the repository the file was made from")


def _readable(text: bytes) -> bool:
    """Whether a token is whole characters; of others the converters of 2023 kept a question mark."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _own(header: OldHeader) -> Vocabulary:
    """The tokenizer of a Llama file: three special tokens, 256 bytes, then texts with their scores."""
    tokens, kinds = ["<unk>", "<s>", "</s>"], [UNKNOWN, CONTROL, CONTROL]
    for number, (text, _) in enumerate(header.tokens[3:], 3):
        is_byte = number < 259 and len(text) == 1
        shown = f"<0x{text[0]:02X}>" if is_byte else text.decode("utf-8", "replace").replace(" ", "\u2581")
        tokens.append(shown)
        kinds.append(BYTE if is_byte else NORMAL)
    flags = {"add_bos_token": True, "add_eos_token": False, "add_space_prefix": True}
    ids = {"bos": 1, "eos": 2, "unknown": 0}
    return Vocabulary("llama", tokens, kinds, ids, flags, scores=[score for _, score in header.tokens])
