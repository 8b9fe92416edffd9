"""The forms a model may come in, and what turns each into a bundle.

A converter is called as ``convert(place, out, task=..., source=...)``, with ``precision=...`` where one was asked for;
what it takes when none was is its own choice. It raises ConversionError, or BundleError where a file is damaged.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from firstlight.build.choice.architectures import APART, GGML_FILE, GGUF_FILE, SEQUENCES
from firstlight.build.types import Artefact, Card, Progress, SourceFile

BY_MAGIC = {b"GGUF": GGUF_FILE, b"tjgg": GGML_FILE, b"fmgg": GGML_FILE, b"lmgg": GGML_FILE}
"""What takes a single file, by its first four bytes."""

_TEXTS = (".json", ".jinja", ".md", ".model", ".spm", ".txt")
_TOKENIZER = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "README.md",
)  # fmt: skip
_LARGEST_TEXT = 64 << 20

_TOOLS = {"firstlight.build.gguf": ("gguf", "numpy"), SEQUENCES: ("numpy", "tokenizers")}
_OTHER_TOOLS = ("numpy", "onnx", "onnxruntime", "tokenizers")


@dataclass(frozen=True, slots=True)
class Form:
    """One model in one form.

    Attributes:
        place: the file or folder that is converted.
        converter: ``module:function`` of what does it.
        files: those whose state decides whether a bundle made earlier still stands for the model.
        source: repository, revision and licence, where they are known.
        name: of the bundle; None leaves it to the converter, which takes the folder's or file's.
        hashes: SHA-256 of files that are known already, by their path below ``place``.
        precision: what is asked of the converter where the user asks for nothing.
        pickled: the weights are in pickle format, and the user allowed to read them.
        runs_code: code of the repository is run, and the user allowed it.
    """

    place: Path
    converter: str
    files: tuple[Path, ...]
    source: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    precision: str | None = None
    pickled: bool = False
    runs_code: bool = False

    def state(self) -> list[str]:
        """What changes when the model does: hashes of the small files, size and time of the weights."""
        allowed = f"{self.pickled} {self.runs_code}"
        lines = [self.converter, self.name or self.place.name, str(self.precision), allowed]
        lines.append(json.dumps(dict(self.source), sort_keys=True))
        for file in self.files:
            path = self._path(file)
            found = file.stat()
            if path in self.hashes:
                lines.append(f"{path} {self.hashes[path]}")
            elif file.suffix in _TEXTS and found.st_size <= _LARGEST_TEXT:
                lines.append(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}")
            else:
                lines.append(f"{file.resolve()} {found.st_size} {found.st_mtime_ns}")
        return lines

    def hashed(self) -> tuple[SourceFile, ...]:
        """The files with their SHA-256, by path."""
        found = [
            SourceFile(path, file.stat().st_size, self.hashes.get(path) or _sha256(file))
            for path, file in sorted((self._path(file), file) for file in self.files)
        ]
        return tuple(found)

    def tools(self) -> dict[str, str]:
        """Versions of what decides the bytes of the bundle."""
        from firstlight import __version__

        names = next(
            (tools for start, tools in _TOOLS.items() if self.converter.startswith(start)), _OTHER_TOOLS
        )
        found = {"firstlight": __version__, **{name: metadata.version(name) for name in names}}
        if self.converter == APART:
            from firstlight.build.convert.apart import environment

            found |= environment.versions()
        return found

    def convert(
        self, out: Path, task: str | None, precision: str | None, progress: Progress | None = None
    ) -> None:
        """Make the bundle.

        Args:
            out: an empty folder.
            precision: None leaves the choice to the form, and then to the converter.
            progress: is told what takes minutes: an environment with torch, made at the first need of it.
        """
        precision = precision or self.precision
        module, _, name = self.converter.partition(":")
        wished: dict[str, Any] = {"precision": precision} if precision else {}
        if self.source:
            wished["source"] = dict(self.source)
        if self.name:
            wished["name"] = self.name
        if self.runs_code:
            wished["trust_remote_code"] = True
        if self.converter == APART and progress is not None:
            wished["progress"] = progress
        converter = getattr(import_module(module), name)
        if not self.pickled:
            converter(self.place, out, task=task, **wished)
            return
        from firstlight.build.convert import pickled

        wished.setdefault("name", self.place.name)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".unpickled-") as scratch:
            converter(pickled.to_safetensors(self.place, Path(scratch)), out, task=task, **wished)

    def _path(self, file: Path) -> str:
        if self.place.is_dir() and file.is_relative_to(self.place):
            return file.relative_to(self.place).as_posix()
        return file.name


def of_file(place: Path) -> Form | None:
    """The form of a GGUF file or an old ggml file; None for another one."""
    converter = GGUF_FILE if place.suffix == ".gguf" else BY_MAGIC.get(_magic(place))
    return Form(place, converter, _beside(place)) if converter else None


def of_artefact(
    artefact: Artefact,
    folder: Path,
    card: Card,
    *,
    name: str,
    source: Mapping[str, str] | None = None,
    hashes: Mapping[str, str] | None = None,
    single: bool = False,
) -> Form:
    """The form of what was chosen.

    Args:
        folder: where its files lie.
        name: of the bundle.
        source: repository and revision, where it is from one.
        hashes: SHA-256 of files by path, where they are known.
        single: one file was named.
    """
    one = artefact.form == "gguf" or (artefact.form == "onnx" and single)
    origin = dict(source or {})
    if card.licence:
        origin["licence"] = card.licence
    return Form(
        folder / artefact.weights[0] if one else folder,
        artefact.converter,
        tuple(folder / path for path in sorted(artefact.files)),
        origin if source else {},
        name=None if artefact.form == "gguf" else name,
        hashes={} if one else dict(hashes or {}),
        precision=None if artefact.form == "gguf" else artefact.precision,
        pickled=artefact.form == "pickle",
        runs_code=artefact.runs_code,
    )


def _beside(file: Path) -> tuple[Path, ...]:
    """A weights file with the other parts of a split one; an old file with the tokenizer that lies beside it."""
    if BY_MAGIC.get(_magic(file)) == GGML_FILE:
        return (file, *filter(Path.is_file, (file.parent / name for name in _TOKENIZER)))
    stem, split, count = file.stem.rpartition("-of-")
    return tuple(sorted(file.parent.glob(f"{stem[:-5]}?????-of-{count}{file.suffix}"))) if split else (file,)


def _magic(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(4)
    except OSError:
        return b""


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
