"""From what a project calls a model to a bundle folder; conversion happens once and its result is kept.

Bundles made here lie in ``$XDG_CACHE_HOME/firstlight/bundles/<digest>``. The digest covers all that goes into a
conversion, so that a changed model, task or precision gives another folder and an unchanged one costs a few ``stat``.
What forms a model may come in, and what converts each, is in ``forms``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from firstlight.build import forms
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import BundleError, InvalidInput, NotSupported, ProjectError

_FORMAT = 1
"""Raised when a converter writes something else for the same folder."""

_STARTER, _HUB = "starter:", "hf:"
_ABANDONED_S = 86_400


def resolve(model: str, root: Path, task: str | None = None, precision: str | None = None) -> Path:
    """The folder of the bundle a model stands for.

    Args:
        model: ``starter:name``; a bundle folder, a model folder as the hub keeps it, a GGUF file or an old ggml file,
            relative to ``root``; or ``hf:owner/name/file.gguf@revision``, which is downloaded.
        root: folder of the project.
        task: a task tag or alias the model is to be served for; None takes what the model says.
        precision: what the weights are made into, such as ``int8`` or ``q4_k_m``; None leaves it to the converter.

    Raises:
        ProjectError: nothing is there, or the weights do not serve the task.
        NotSupported: a form of model this version cannot take.
        BundleError, ConversionError: from the model itself.
    """
    task = _canonical(task)
    if model.startswith(_STARTER):
        from firstlight import starters

        place = starters.path(model.removeprefix(_STARTER))
        return _served_for(place, task or starters.task_of(model), precision)
    if model.startswith(_HUB):
        return _converted(_downloaded(model), task, precision)
    place = root / Path(model.removeprefix("./")).expanduser()
    if (place / "bundle.json").is_file():
        return _served_for(place.resolve(), task, precision)
    form = forms.of(place.absolute())
    if form is None:
        raise _nothing_there(model, place)
    return _converted(form, task, precision)


def _downloaded(model: str) -> forms.Form:
    """The form of a file of the hub, fetched unless this machine has it."""
    from firstlight.build import hub

    place, source = hub.fetch(model.removeprefix(_HUB))
    form = forms.of(place, source)
    if form is None:
        hint = "GGUF files are served from the hub; download other forms into a folder and name the folder"
        raise NotSupported(f"{model} is a file of a kind that is not known here", hint)
    return form


def copy(bundle: Path, place: Path) -> None:
    """A bundle's files in a folder of the user's, linked where the file systems allow it; a former bundle is replaced.

    Raises:
        ProjectError: there is something else in the folder.
    """
    if place.exists() and any(place.iterdir()) and not (place / "bundle.json").is_file():
        raise ProjectError(f"{place} holds something else than a bundle", "name an empty folder")
    if place.resolve() == bundle.resolve():
        return
    from firstlight.build.bundle import link_or_copy

    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=place.absolute().parent, prefix=f".{place.name}-"))
    try:
        for file in sorted(bundle.iterdir()):
            link_or_copy(file, made / file.name)
        made.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


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


def _nothing_there(model: str, place: Path) -> ProjectError | NotSupported:
    if place.suffix == ".onnx" and place.is_file():
        hint = "give the folder it was made from, with config.json and model.safetensors"
        return NotSupported(f"{model} is an ONNX file, which this version cannot serve yet", hint)
    if place.is_file():
        hint = "name a GGUF file, an old ggml file, or a folder with config.json and model.safetensors"
        return ProjectError(f"{place} is a file of a kind that is not known here", hint)
    if place.is_dir():
        hint = "a model folder holds config.json, model.safetensors and tokenizer.json; a bundle holds bundle.json"
        return ProjectError(f"{place} is neither a model folder nor a bundle", hint)
    if model.count("/") == 1 and not model.startswith((".", "/", "~")) and not model.endswith(".gguf"):
        hint = (
            "download the model into a folder and name the folder; of GGUF files say hf:owner/name/file.gguf"
        )
        return NotSupported(f"{model} is on the hub, which this version does not read yet", hint)
    return ProjectError(
        f"there is no model at {place}", "name a folder, a GGUF file, a bundle or starter:NAME"
    )


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


def _converted(form: forms.Form, task: str | None, precision: str | None) -> Path:
    from firstlight import __version__

    parts = [str(_FORMAT), __version__, str(task), str(precision), *form.state()]
    return _kept(_digest(*parts), lambda out: form.convert(out, task, precision))


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
