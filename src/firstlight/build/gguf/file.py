"""A GGUF file to a bundle: linked as it is, its parts joined, or its weights made into another quantisation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from firstlight.build import bundle, llama_trial
from firstlight.build.gguf import bundles, quantisations, reading, split, writer
from firstlight.build.gguf.families import FAMILIES
from firstlight.build.gguf.quantisations import Quantisation
from firstlight.build.gguf.reading import File
from firstlight.build.gguf.writer import Value
from firstlight.runtime.engines.llama import finding
from firstlight.runtime.engines.llama.header import Array
from firstlight.runtime.errors import ConversionError, EngineError, FirstlightError

_NOT_GENERATING = (
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "eurobert", "neo-bert",
    "gemma-embedding", "clip", "t5", "t5encoder", "wavtokenizer-dec",
)  # fmt: skip
_FILE_TYPES = {
    10: "q2_k", 11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 16: "q5_k_s", 19: "iq2_xxs", 20: "iq2_xs",
    21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s",
    29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4", 39: "nvfp4", 40: "q1_0",
}  # fmt: skip
"""llama.cpp's file types that are served and not made here."""
_SAMPLING = {
    "temp": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "penalty_repeat": "repetition_penalty",
}  # fmt: skip
_LAYOUT = "general.alignment"
"""Of one file; another one is aligned as its writer does it."""


def convert(
    file: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle of a GGUF file.

    Args:
        file: the file; of a split one any part.
        out_dir: folder of the bundle; made where it is not there.
        task: None or ``text-generation``.
        precision: a quantisation the weights are made into; None leaves them as they are.
        name: of the bundle; the file's when None.
        source: repository, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: it is no whole GGUF file, or holds something else than a language model with its tokenizer.
    """
    out = Path(out_dir)
    bundles.check_task(task, str(file))
    parts = [reading.read(part) for part in split.parts(Path(file))]
    first = parts[0]
    check(parts, str(file))
    found = quantisation(parts)
    kind = found if precision is None else quantisations.named(precision).name
    out.mkdir(parents=True, exist_ok=True)
    place, notes = out / bundles.FILE, tuple[str, ...]()
    if kind == found and len(parts) == 1:
        reading.approve(first.path)
        place.unlink(missing_ok=True)
        bundle.link_or_copy(first.path.resolve(), place)
    elif kind == found:
        _write(parts, place, {})
    else:
        notes = made_again(parts, place, quantisations.named(kind), found)
    origin = {**_licence(first), **(source or {})}
    context = first.number(f"{first.architecture}.context_length")
    named = name or split.stem(first.path)
    return bundles.write(out, named, kind, context, source=origin, wishes=_wishes(first), notes=notes)


def convert_and_try(file: Path | str, out_dir: Path | str, **wishes: Any) -> Path:
    """``convert``, and the first two tokens of the model, in a process of its own: files come from anywhere.

    Raises:
        ConversionError: as ``convert``; the engine does not take the file.
    """
    out = convert(file, out_dir, **wishes)
    try:
        finding.find()
    except FirstlightError:  # a machine that makes bundles for others
        return out
    try:
        llama_trial.tried(out / bundles.FILE)
    except EngineError as error:
        raise ConversionError(
            error.message.replace(str(out / bundles.FILE), str(file)), error.hint
        ) from error
    return out


def check(parts: Sequence[File], file: str) -> None:
    """ConversionError where the files are not one language model with its tokenizer."""
    first = parts[0]
    if (kind := first.text("general.type") or "model") != "model":
        raise ConversionError(f"{file} holds {kind}, not a model", "give the model's own GGUF file")
    if first.architecture in _NOT_GENERATING:
        hint = "give its folder with config.json, model.safetensors and tokenizer.json"
        raise ConversionError(
            f"{file} is a {first.architecture}, which does not generate text by itself", hint
        )
    count = first.number("split.count") or 1
    if count != len(parts):
        hint = "parts are named name-00001-of-00003.gguf, all in one folder"
        raise ConversionError(f"{file} is one of {count} parts; {len(parts)} are here", hint)
    tensors = {name: tensor for part in parts for name, tensor in part.tensors.items()}
    tokens = first.value("tokenizer.ggml.tokens")
    if not tensors:
        raise ConversionError(f"{file} holds no weights", "give the model's own GGUF file")
    if not isinstance(tokens, Array):
        raise ConversionError(f"{file} holds no tokenizer", "convert the model again, with its tokenizer")
    embeddings = tensors.get("token_embd.weight")
    rows = embeddings.shape[0] if embeddings else 0
    if rows != tokens.count:
        raise ConversionError(
            f"{file} has {tokens.count} tokens and {rows} rows of embeddings", "convert it again"
        )


def quantisation(parts: Sequence[File]) -> str:
    """The name of what the weights are quantised as; where the file does not say, the type of most of them."""
    number = parts[0].value("general.file_type")
    known = quantisations.of_file(number) or _FILE_TYPES.get(number)
    if known:
        return known
    sizes: Counter[str] = Counter()
    for part in parts:
        for tensor in part.tensors.values():
            sizes[tensor.element] += tensor.rows * tensor.features
    return sizes.most_common(1)[0][0]


def made_again(parts: Sequence[File], place: Path, kind: Quantisation, former: str) -> tuple[str, ...]:
    """Write the weights in another quantisation; returns what a user should know of it."""
    first = parts[0]
    known = {family.architecture for family in FAMILIES.values()}
    if first.architecture not in known:
        hint = f"leave quantize out, or take a file that is {kind.name} already; made here: {', '.join(sorted(known))}"
        raise ConversionError(
            f"the weights of a {first.architecture} are not made into {kind.name} here", hint
        )
    layers = first.number(f"{first.architecture}.block_count")
    tied = all("output.weight" not in part.tensors for part in parts)
    elements = {
        name: quantisations.element_for(kind, name, tensor.shape, layers, tied)
        for part in parts
        for name, tensor in part.tensors.items()
    }
    _write(parts, place, elements, {"general.file_type": kind.file_type, "general.quantization_version": 2})
    if former in ("f32", "f16", "bf16"):
        return ()
    return (f"made into {kind.name} of weights that were {former} already, which is a little less exact",)


def _write(
    parts: Sequence[File],
    place: Path,
    elements: Mapping[str, str],
    replaced: Mapping[str, Value] | None = None,
) -> None:
    """Write one file of all parts, tensors in the types that are named for them or as they are."""
    kept = {key: entry for key, entry in parts[0].entries().items() if key != _LAYOUT and key[:6] != "split."}
    content = {name: tensor for part in parts for name, tensor in part.tensors.items()}
    tensors = [
        writer.Tensor(name, tensor.shape, elements.get(name, tensor.element), tensor)
        for name, tensor in content.items()
    ]
    writer.write(place, {**kept, **(replaced or {})}, tensors)
    reading.approve(place)


def _licence(first: File) -> dict[str, str]:
    found = first.text("general.license")
    return {"licence": found} if found else bundles.licence(first.path.parent)


def _wishes(first: File) -> dict[str, Any]:
    found = {name: first.value(f"general.sampling.{key}") for key, name in _SAMPLING.items()}
    return {name: value for name, value in found.items() if isinstance(value, (int, float))}
