"""From what a project calls a model to a bundle folder; conversion happens once and its result is kept.

Bundles made here lie in ``$XDG_CACHE_HOME/firstlight/bundles/<digest>``. The digest covers all that goes into a
conversion, so that a changed model, task or precision gives another folder and an unchanged one costs a few ``stat``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import BundleError, InvalidInput, NotSupported, ProjectError

_FORMAT = 1
"""Raised when a converter writes something else for the same folder."""

_SMALL_FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "modules.json",
    "1_Pooling/config.json", "README.md",
)  # fmt: skip
_STARTER = "starter:"
_ABANDONED_S = 86_400
_LATER = {".onnx": "an ONNX file", ".gguf": "a GGUF file"}


def resolve(model: str, root: Path, task: str | None = None, precision: str | None = None) -> Path:
    """The folder of the bundle a model stands for.

    Args:
        model: ``starter:name``, a bundle folder or a model folder as the hub keeps it, relative to ``root``.
        root: folder of the project.
        task: a task tag or alias the model is to be served for; None takes what the model says.
        precision: ``fp32``, ``int8`` or ``nb8`` for a folder that is converted; None is ``fp32``.

    Raises:
        ProjectError: nothing is there, or the weights do not serve the task.
        NotSupported: a form of model this version cannot take.
        BundleError, ConversionError: from the folder itself.
    """
    task = _canonical(task)
    if model.startswith(_STARTER):
        from firstlight import starters

        return _served_for(starters.path(model.removeprefix(_STARTER)), task, precision)
    folder = root / Path(model.removeprefix("./")).expanduser()
    if (folder / "bundle.json").is_file():
        return _served_for(folder.resolve(), task, precision)
    if (folder / "config.json").is_file():
        return _converted(folder.resolve(), task, precision or "fp32")
    raise _nothing_there(model, folder)


def cache() -> Path:
    """Where converted bundles are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "firstlight" / "bundles"


def _canonical(task: str | None) -> str | None:
    from firstlight.runtime import tasks

    try:
        return task and tasks.canonical(task)
    except InvalidInput as error:
        raise ProjectError(error.message, error.hint) from None


def _nothing_there(model: str, folder: Path) -> ProjectError | NotSupported:
    if folder.suffix in _LATER and folder.is_file():
        hint = "give the folder it was made from, with config.json and model.safetensors"
        return NotSupported(f"{model} is {_LATER[folder.suffix]}, which this version cannot serve yet", hint)
    if folder.is_dir():
        hint = "a model folder holds config.json, model.safetensors and tokenizer.json; a bundle holds bundle.json"
        return ProjectError(f"{folder} is neither a model folder nor a bundle", hint)
    if model.startswith("hf:") or (model.count("/") == 1 and not model.startswith((".", "/", "~"))):
        hint = "download the model into a folder and name the folder"
        return NotSupported(f"{model} is on the hub, which this version does not read yet", hint)
    return ProjectError(f"there is no model at {folder}", "name a folder, a bundle or starter:NAME")


def _served_for(folder: Path, task: str | None, precision: str | None) -> Path:
    """A bundle whose weights serve the task; which of their tasks a worker answers is said when it is started."""
    bundle = Bundle.open(str(folder), verify="sizes")
    if precision not in (None, bundle.precision):
        hint = "leave quantize out, or give the model folder the bundle was made from"
        raise ProjectError(f"the bundle {folder} is {bundle.precision} and cannot become {precision}", hint)
    from firstlight.runtime import tasks

    try:
        tasks.choose(task, bundle)
    except InvalidInput as error:
        raise ProjectError(
            f"the bundle {folder} is made for {bundle.task}, not for {task}", error.hint
        ) from None
    return folder


def _converted(folder: Path, task: str | None, precision: str) -> Path:
    from firstlight import __version__

    parts = [str(_FORMAT), __version__, folder.name, str(task), precision]
    for name in _SMALL_FILES:
        file = folder / name
        parts.append(hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "")
    for file in sorted(folder.glob("*.safetensors*")):
        found = file.stat()
        parts.append(f"{file.resolve()} {found.st_size} {found.st_mtime_ns}")

    def fill(out: Path) -> None:
        from firstlight.build.convert import encoder

        encoder.convert(folder, out, task=task, precision=precision)

    return _kept(_digest(*parts), fill)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _kept(digest: str, fill: Callable[[Path], None]) -> Path:
    """The cached folder of a digest, filled when it is not there or was damaged.

    Two processes may fill it at once: each has a folder of its own, and the first to rename it wins.
    """
    place = cache() / digest
    if _whole(place):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{digest[:8]}-"))
    try:
        fill(made)
        made.chmod(0o755)
        if place.exists() and not _whole(place):
            shutil.rmtree(place, ignore_errors=True)
        try:
            made.rename(place)
        except OSError:
            if not _whole(place):
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place


def _sweep(folder: Path) -> None:
    """Remove what conversions that were killed left behind."""
    for left in folder.glob(".*-*"):
        try:
            old = time.time() - left.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:  # its own process has just renamed it
            continue
        if old:
            shutil.rmtree(left, ignore_errors=True)


def _whole(place: Path) -> bool:
    try:
        Bundle.open(str(place), verify="sizes")
    except BundleError:
        return False
    return True
