"""What the parts of building hand to each other: a wish, a repository, what is chosen of it, and what was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Wish:
    """A model as it is asked for.

    Attributes:
        model: ``starter:name``, ``hf:owner/name[/file][@revision]``, a folder, a file or a bundle.
        task: a task tag; None takes what the model says.
        precision: what the weights are to become; None leaves the choice to what converts them.
        allow_pickle: weights in pickle format may be read (by a reader that builds tensors and runs nothing).
        trust_remote_code: code of the repository may be run, while it is converted and never later.
    """

    model: str
    task: str | None = None
    precision: str | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A repository of the hub as the user names it: ``owner/name``, a file in it, a branch, tag or commit."""

    repository: str
    revision: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """One file of a repository.

    Attributes:
        path: in the repository, with ``/``.
        size: bytes.
        sha256: of its content, where the hub says it (files it keeps as LFS); None for small ones.
        git: its git object id (SHA-1 of ``blob``, the size, a zero byte and the content); None of files kept as LFS.
    """

    path: str
    size: int
    sha256: str | None = None
    git: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What the head of a model's README.md says, or the hub in its place.

    Attributes:
        licence: None where it says none.
        task: its pipeline tag; None where it has none.
        library: such as ``transformers`` or ``sentence-transformers``.
    """

    licence: str | None = None
    task: str | None = None
    library: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """What the hub says about a repository at one commit.

    Attributes:
        name: ``owner/name``.
        revision: the commit, 40 hex digits.
        files: all of them, by path.
        gated: whether access has to be asked for.
    """

    name: str
    revision: str
    files: Mapping[str, RepositoryFile]
    card: Card = field(default_factory=Card)
    gated: bool = False


@dataclass(frozen=True, slots=True)
class Artefact:
    """The files of a repository or folder that are taken, and what makes a bundle of them.

    Attributes:
        form: ``onnx``, ``gguf``, ``ctranslate2``, ``safetensors`` or ``pickle``.
        files: paths to fetch: weights, configuration, tokenizer.
        weights: those of ``files`` that hold the weights.
        converter: ``module:function``, as ``forms.Form`` has it.
        task: the task it will serve.
        precision: the bundle's; None where the converter decides.
        why: one sentence for the user: why this one.
        rejected: what else there is, and why not, in the order it was looked at.
        bytes: of all files, to download.
        memory_mb: expected of a worker, an estimate.
        runs_code: the conversion runs code of the repository.
    """

    form: str
    files: tuple[str, ...]
    weights: tuple[str, ...]
    converter: str
    task: str
    precision: str | None
    why: str
    rejected: tuple[tuple[str, str], ...]
    bytes: int
    memory_mb: int
    runs_code: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file a bundle was made of: path, bytes, SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle and all that went into it: what a lock file says of an endpoint.

    Attributes:
        place: the bundle's folder on this machine; not part of the lock.
        model: as the project file names it.
        digest: the bundle's (``runtime.bundle.Bundle.digest``).
        task, engine, precision: the bundle's.
        revision: the commit, for a repository of the hub.
        licence: None where nothing says it.
        converter: ``module:function``; None where the bundle was there already.
        files: what it was made of, by path.
        tools: name -> version of all that decides the bundle's bytes.
        allow_pickle, trust_remote_code: what the user allowed and was needed.
        asked: what the project file asks for beside the model: ``task`` and ``precision``, where it does.
    """

    place: Path
    model: str
    digest: str
    task: str
    engine: str
    precision: str
    revision: str | None = None
    licence: str | None = None
    converter: str | None = None
    files: tuple[SourceFile, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    allow_pickle: bool = False
    trust_remote_code: bool = False
    asked: Mapping[str, str] = field(default_factory=dict)


class Progress(Protocol):
    """Is told how long work goes on; a bar, lines or JSON."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, such as ``downloading``; ``total`` in bytes where it is known."""

    def advance(self, count: int) -> None:
        """So many bytes more; called from any thread."""

    def say(self, text: str) -> None:
        """A line worth reading."""


class Silent:
    """A ``Progress`` that says nothing."""

    def stage(self, name: str, total: int | None = None) -> None: ...

    def advance(self, count: int) -> None: ...

    def say(self, text: str) -> None: ...
