"""The forms a model may come in, and what turns each into a bundle.

A converter is called as ``convert(place, out, task=..., source=...)``, with ``precision=...`` where one was asked for;
what it takes when none was is its own choice. It raises ConversionError, or BundleError where a file is damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from firstlight.build.convert import onnx_seq2seq_files
from firstlight.runtime.errors import ConversionError

_ENCODER = "firstlight.build.convert.encoder:convert"
_DECODER = "firstlight.build.gguf.folder:convert"
_SEQUENCES = "firstlight.build.convert.ct2:convert"
_GRAPHS = "firstlight.build.convert.onnx_seq2seq:convert"
_GGUF_FILE = "firstlight.build.gguf.file:convert_and_try"
_GGML_FILE = "firstlight.build.gguf.old_file:convert"

BY_ARCHITECTURE = {
    "ForCausalLM": _DECODER,
    "GPT2LMHeadModel": _DECODER,
    "ForConditionalGeneration": _SEQUENCES,
    "MarianMTModel": _SEQUENCES,
}
"""What takes a model folder, by the end of the architecture its config.json names; encoders are all the others."""

BY_PRECISION: dict[tuple[str, str | None], str] = {(_DECODER, "int8"): _SEQUENCES}
"""What takes it instead where this precision is asked for."""

BY_MAGIC = {b"GGUF": _GGUF_FILE, b"tjgg": _GGML_FILE, b"fmgg": _GGML_FILE, b"lmgg": _GGML_FILE}
"""What takes a single file, by its first four bytes."""

_TEXTS = (".json", ".jinja", ".md", ".model", ".spm", ".txt")
_WEIGHTS = (".bin", ".gguf", ".safetensors")
_TOKENIZER = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "README.md",
)  # fmt: skip
_LARGEST_TEXT = 64 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """One model in one form.

    Attributes:
        place: the file or folder that is converted.
        converter: ``module:function`` of what does it.
        files: those whose state decides whether a bundle made earlier still stands for the model.
        source: repository and revision, where they are known.
    """

    place: Path
    converter: str
    files: tuple[Path, ...]
    source: Mapping[str, str] = field(default_factory=dict)

    def state(self) -> list[str]:
        """What changes when the model does: hashes of the small files, size and time of the weights."""
        lines = [self.converter, self.place.name, json.dumps(dict(self.source), sort_keys=True)]
        for file in self.files:
            found = file.stat()
            if file.suffix in _TEXTS and found.st_size <= _LARGEST_TEXT:
                lines.append(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}")
            else:
                lines.append(f"{file.resolve()} {found.st_size} {found.st_mtime_ns}")
        return lines

    def convert(self, out: Path, task: str | None, precision: str | None) -> None:
        """Make the bundle.

        Args:
            out: an empty folder.
            precision: None leaves the choice to the converter.
        """
        module, _, name = BY_PRECISION.get((self.converter, precision), self.converter).partition(":")
        wished = {"precision": precision} if precision else {}
        source = {"source": dict(self.source)} if self.source else {}
        getattr(import_module(module), name)(self.place, out, task=task, **wished, **source)


def of(place: Path, source: Mapping[str, str] | None = None) -> Form | None:
    """The form of what lies at a place; None when no converter takes it."""
    if place.is_file():
        converter = _GGUF_FILE if place.suffix == ".gguf" else BY_MAGIC.get(_magic(place))
        return Form(place, converter, _beside(place), source or {}) if converter else None
    if not place.is_dir():
        return None
    if (place / "config.json").is_file() and any(place.glob("*.safetensors*")):
        return _folder(place, source)
    if (place / "config.json").is_file() and onnx_seq2seq_files.there(place):
        return _folder(place, source, _GRAPHS)
    files = [file for file in _files(place) if file.suffix in _WEIGHTS and _magic(file) in BY_MAGIC]
    if files and len({_converter(file) for file in files}) == 1 and (len(files) == 1 or _parts(files)):
        return of(files[0], source)
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:6])
        raise ConversionError(f"{place} holds {len(files)} models: {names}", "name one of the files")
    return _folder(place, source) if (place / "config.json").is_file() else None


def _converter(file: Path) -> str:
    return BY_MAGIC[_magic(file)]


def _folder(place: Path, source: Mapping[str, str] | None, converter: str | None = None) -> Form:
    inner = [*(place / "1_Pooling").glob("config.json"), *sorted((place / "onnx").glob("*.onnx*"))]
    kinds = (*_TEXTS, *_WEIGHTS, ".onnx", ".onnx_data")
    files = [file for file in _files(place) if file.suffix in kinds or ".safetensors" in file.name]
    return Form(place, converter or _by_architecture(place), (*files, *inner), source or {})


def _by_architecture(folder: Path) -> str:
    """The converter of a model folder; what cannot be read is explained by the converter of encoders."""
    try:
        names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    except (OSError, ValueError, AttributeError):
        return _ENCODER
    for name in names if isinstance(names, list) else [names]:
        for ending, converter in BY_ARCHITECTURE.items():
            if str(name).endswith(ending):
                return converter
    return _ENCODER


def _beside(file: Path) -> tuple[Path, ...]:
    """A weights file with the other parts of a split one; an old file with the tokenizer that lies beside it."""
    if _magic(file) in BY_MAGIC and _converter(file) == _GGML_FILE:
        return (file, *filter(Path.is_file, (file.parent / name for name in _TOKENIZER)))
    stem, split, count = file.stem.rpartition("-of-")
    return tuple(sorted(file.parent.glob(f"{stem[:-5]}?????-of-{count}{file.suffix}"))) if split else (file,)


def _parts(files: Iterable[Path]) -> bool:
    """Whether files are the parts of one model (``name-00001-of-00003.gguf``)."""
    return len({(file.stem[:-14], file.stem[-8:]) for file in files}) == 1 and all(
        "-of-" in f.stem for f in files
    )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _magic(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(4)
    except OSError:
        return b""
