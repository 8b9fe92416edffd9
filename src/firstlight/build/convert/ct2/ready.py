"""A folder that is in CTranslate2's format already to a bundle: looked into, tried in a process of its own, linked.

Such repositories hold what ``ct2-transformers-converter`` writes (model.bin, config.json, a vocabulary) and, where they
can be used at all, the tokenizer of the model they were made from.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from firstlight.build import bundle
from firstlight.build.convert import generation, tokenizer
from firstlight.build.convert.ct2.writing import VERSION
from firstlight.build.convert.source import origin, read_json
from firstlight.build.convert.tokenizer import Vocabulary, special
from firstlight.runtime.errors import ConversionError

WEIGHTS, CONFIG = "model.bin", "config.json"
_VOCABULARIES = tuple(
    f"{side}vocabulary.{ending}" for side in ("shared_", "source_", "target_") for ending in ("json", "txt")
)
_SPECIFICATION = "TransformerSpec"
_PRECISIONS = ("fp32", "int8", "int16", "int32", "fp16", "bf16")
"""By the number a tensor's element type has in the file."""

_SETTINGS = (
    "add_source_bos", "add_source_eos", "bos_token", "decoder_start_token", "eos_token", "layer_norm_epsilon",
    "multi_query_attention", "unk_token",
)  # fmt: skip
"""What CTranslate2 reads in config.json; some repositories have the original model's there."""

_USUAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_NOTE = "its weights were converted by others and are not compared with the original ones"
_LONGEST_NAME = 1024
_MOST_DIMENSIONS = 8
_ALIKE = 0.9
"""Of the tokenizer's tokens so many have to be in the model's vocabulary."""

_SECONDS = 300
_TRIAL = """
import json, sys
import ctranslate2
folder, tokens = json.load(sys.stdin)
try:
    model = ctranslate2.Translator(folder, device="cpu", intra_threads=1)
    model.translate_batch([tokens], beam_size=1, max_decoding_length=4)
except (RuntimeError, ValueError) as error:
    sys.exit(str(error))
"""


def convert(
    model_dir: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle of a folder.

    Args:
        model_dir: model.bin, a vocabulary, and a tokenizer in one of the forms ``tokenizer.add`` reads.
        out_dir: folder of the bundle; made where it is not there.
        task: a task tag; None infers it.
        precision: None, or what the weights are in.
        name: of the bundle; the folder's when None.
        source: repository, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: a file is missing or damaged, the tokenizer is of another model, or the library refuses it.
    """
    folder, out = Path(model_dir), Path(out_dir)
    found = _precision(folder / WEIGHTS)
    if precision not in (None, found):
        raise ConversionError(f"{folder} is {found} and cannot become {precision}", "leave quantize out")
    kind = generation.type_of(read_json(folder / CONFIG), special.settings(folder))
    out.mkdir(parents=True, exist_ok=True)
    words = tokenizer.add(folder, out, kind)
    _fill(folder, out, words)
    _tried(folder, out, words)
    known = {**read_json(folder / CONFIG), "model_type": kind}
    tag = generation.task(folder, known, task)
    name = name or folder.name
    called = (source or {}).get("repo") or name
    meta: dict[str, Any] = {
        "name": name,
        "task": tag,
        "engine": "ctranslate2",
        "precision": found,
        "model": {"file": WEIGHTS, "kind": "encoder-decoder", **_never(kind, words)},
        "labels": [],
        "defaults": generation.defaults(folder, known, [*words.marked], tag, called),
        "source": dict(source or origin(folder)),
        "parity": {
            "notes": ["its weights were converted by others and are not compared with the original ones"]
        },
    }
    if words.settings:
        meta["tokenizer"] = dict(words.settings)
    bundle.write(out, meta)
    return out


def _settings(folder: Path, words: Vocabulary) -> dict[str, Any]:
    """config.json with every key CTranslate2 asks for, and none of them null, which its own converter writes."""
    said = read_json(folder / CONFIG)
    found: dict[str, Any] = {"add_source_bos": False, "add_source_eos": False}
    found |= {part: words.parts[part] or text for part, text in _USUAL.items()}
    start, target = said.get("decoder_start_token_id"), _tokens(folder / _vocabularies(folder)[-1])
    known = target[start : start + 1] if isinstance(start, int) and start >= 0 else []
    found["decoder_start_token"] = (known or [found["bos_token"]])[0]
    return found | {key: said[key] for key in _SETTINGS if said.get(key) is not None}


def _never(kind: str, words: Vocabulary) -> dict[str, Any]:
    """Marian begins an answer with its padding, which may not come again."""
    padding = words.parts["pad_token"] or "<pad>"
    return {"never": [[padding]]} if kind == "marian" and padding in words.target else {}


def _vocabularies(folder: Path) -> list[str]:
    """The vocabulary files there are.

    Raises:
        ConversionError: neither a shared one nor one for each side.
    """
    found = [name for name in _VOCABULARIES if (folder / name).is_file()]
    if found and (found[0].startswith("shared") or {name[0] for name in found} == {"s", "t"}):
        return found
    hint = "name a folder that ct2-transformers-converter has written, or the original model"
    raise ConversionError(f"{folder} has no shared_vocabulary.json", hint)


def _fill(folder: Path, out: Path, words: Vocabulary) -> None:
    """The files CTranslate2 opens, once the vocabulary is known to be the tokenizer's."""
    _fits(folder, words)
    for file in (WEIGHTS, *_vocabularies(folder)):
        _place(folder / file, out / file)
    settings = _settings(folder, words)
    (out / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def _place(file: Path, place: Path) -> None:
    """A file in the bundle: linked out of the hub's cache, whose files never change, copied from anywhere else."""
    place.unlink(missing_ok=True)
    if file.resolve().parent.name == "blobs":
        bundle.link_or_copy(file.resolve(), place)
    else:
        shutil.copyfile(file, place)


def _tokens(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
        found = json.loads(text) if file.suffix == ".json" else text.split("\n")
    except (OSError, ValueError) as error:
        raise ConversionError(f"{file} cannot be read: {error}", "download it again") from error
    if not isinstance(found, list) or not all(isinstance(token, str) for token in found):
        raise ConversionError(f"{file} is not a list of tokens", "download it again")
    return found


def _fits(folder: Path, words: Vocabulary) -> None:
    model = set(_tokens(folder / _vocabularies(folder)[0]))
    own = words.source[: words.own]
    share = sum(token in model for token in own) / max(1, len(own))
    if share < _ALIKE:
        message = (
            f"the tokenizer of {folder} is not the model's: {share:.0%} of its tokens are in the vocabulary"
        )
        raise ConversionError(message, "take tokenizer and model.bin of one model")


def _tried(folder: Path, out: Path, words: Vocabulary) -> None:
    """Open the model and have it answer, where a damaged file ends no other process."""
    asked = json.dumps(
        [str(out), [*words.source[words.own // 2 : words.own // 2 + 3], words.parts["eos_token"] or "</s>"]]
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            input=asked,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConversionError(f"{folder} did not answer within {_SECONDS} s") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise ConversionError(
            f"ctranslate2 cannot run {folder}: {said}", "download it again, or name the original model"
        )


def _precision(file: Path) -> str:
    """What most of the weights are in; the format is told in ``writing``.

    Raises:
        ConversionError: the file is of another version or model, or is cut.
    """
    kinds: Counter[int] = Counter()
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            (version,) = _numbers(opened, "<I")
            if version != VERSION:
                raise ConversionError(f"{file} has version {version} of the format; {VERSION} is read here")
            named = _text(opened)
            if named != _SPECIFICATION:
                raise ConversionError(f"{file} holds a {named}", "models that make text of text are served")
            _, count = _numbers(opened, "<II")
            for _ in range(count):
                kind, length = _head(opened)
                if opened.seek(length, 1) > size:
                    raise ValueError("it is cut")
                kinds[kind] += length
    except (OSError, ValueError, struct.error) as error:
        raise ConversionError(
            f"{file} is not a model of CTranslate2: {error}", "download it again"
        ) from error
    return _PRECISIONS[kinds.most_common(1)[0][0]] if kinds else "fp32"


def _numbers(opened: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, opened.read(struct.calcsize(layout)))


def _text(opened: BinaryIO) -> str:
    (length,) = _numbers(opened, "<H")
    if not 0 < length <= _LONGEST_NAME:
        raise ValueError(f"a name of {length} bytes")
    return opened.read(length).rstrip(b"\0").decode("utf-8")


def _head(opened: BinaryIO) -> tuple[int, int]:
    """Element type and bytes of the tensor that begins here."""
    _text(opened)
    (dimensions,) = _numbers(opened, "<B")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    *_, kind, length = _numbers(opened, f"<{dimensions}IBI")
    if kind >= len(_PRECISIONS):
        raise ValueError(f"elements of type {kind}")
    return kind, length
