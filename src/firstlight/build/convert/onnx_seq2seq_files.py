"""Which files of a repository are an encoder-decoder model in ONNX, by the names optimum and transformers.js give them.

The graphs lie in the folder or in its ``onnx/``: ``encoder_model.onnx`` and either ``decoder_model_merged.onnx`` or
``decoder_model.onnx`` with ``decoder_with_past_model.onnx``. Quantised ones have a suffix, such as ``_quantized``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from firstlight.runtime.errors import ConversionError

SUFFIXES = {
    "fp32": ("",),
    "fp16": ("_fp16",),
    "int8": ("_quantized", "_int8", "_uint8"),
    "q4": ("_q4", "_bnb4", "_q4f16"),
}
"""Suffixes of file names by precision, the preferred first; where none is asked for, the first precision there is."""

ENCODER, MERGED, FIRST, NEXT = (
    "encoder_model",
    "decoder_model_merged",
    "decoder_model",
    "decoder_with_past_model",
)
_FOLDERS = ("onnx", ".")
_EXPORT = "optimum-cli export onnx --task text2text-generation-with-past -m MODEL FOLDER"


@dataclass(frozen=True, slots=True)
class Files:
    """The graphs of one precision.

    Attributes:
        encoder: states of a source.
        decoders: one decoder with a switch, or the one without a cache and the one with it.
        precision: what they are in.
    """

    encoder: Path
    decoders: tuple[Path, ...]
    precision: str


def there(folder: Path) -> bool:
    """Whether a folder has ONNX graphs by these names, complete or not."""
    return bool(_graphs(folder)) and any(file.name.startswith(ENCODER) for file in _graphs(folder))


def find(folder: Path, precision: str | None) -> Files:
    """The graphs of a repository.

    Args:
        precision: one of ``SUFFIXES``; None takes the most exact there is.

    Raises:
        ConversionError: there are none, not in that precision, or some are missing.
    """
    if precision is not None and precision not in SUFFIXES:
        raise ConversionError(f"precision {precision!r} is not one of {', '.join(SUFFIXES)}")
    found = {name: files for name in SUFFIXES if (files := _of(folder, name)) is not None}
    if precision is None and found:
        return next(iter(found.values()))
    if precision in found:
        return found[precision]
    if found:
        kinds = " and ".join(found)
        raise ConversionError(f"{folder} has its graphs in {kinds}, not in {precision}", f"ask for {kinds}")
    raise _nothing(folder)


def _of(folder: Path, precision: str) -> Files | None:
    for place in _FOLDERS:
        for suffix in SUFFIXES[precision]:
            encoder, merged, first, following = (
                folder / place / f"{name}{suffix}.onnx" for name in (ENCODER, MERGED, FIRST, NEXT)
            )
            if not encoder.is_file():
                continue
            if merged.is_file():
                return Files(encoder, (merged,), precision)
            if first.is_file() and following.is_file():
                return Files(encoder, (first, following), precision)
    return None


def _nothing(folder: Path) -> ConversionError:
    graphs = _graphs(folder)
    names = sorted({file.name for file in graphs})
    if not names:
        hint = f"give a repository with onnx/{ENCODER}.onnx, or make one: {_EXPORT}"
        return ConversionError(f"{folder} has no ONNX graphs", hint)
    listed = ", ".join(names[:8])
    if not any(name.startswith(ENCODER) for name in names):
        if any(name.startswith("decoder_model") for name in names):
            hint = "models without an encoder are served from GGUF"
            return ConversionError(f"{folder} has a decoder and no {ENCODER}.onnx: {listed}", hint)
        hint = f"names that are known: {ENCODER}.onnx, {MERGED}.onnx, {FIRST}.onnx, {NEXT}.onnx"
        return ConversionError(f"{folder} has graphs of other names: {listed}", hint)
    if any(name.startswith(FIRST) for name in names):
        message = f"{folder} has a decoder without a cache: {listed}"
        return ConversionError(message, f"export it with one: {_EXPORT}")
    return ConversionError(
        f"{folder} has an encoder and no decoder: {listed}", "download the whole repository"
    )


def _graphs(folder: Path) -> list[Path]:
    return [file for place in _FOLDERS for file in sorted((folder / place).glob("*.onnx"))]
