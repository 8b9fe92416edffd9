"""From what a project calls a model to a bundle folder; conversion happens once and its result is kept.

The name of a kept bundle covers all that goes into a conversion, so that a changed model, task or precision gives
another one and an unchanged one costs a few ``stat``. What forms a model may come in, and what converts each, is in
``forms``; where repositories of the hub come in, in ``repositories``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from firstlight.build import folders, kept
from firstlight.build.forms import Form
from firstlight.build.types import Made, Progress, Silent, Wish
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import InvalidInput, ProjectError

_FORMAT = 2
"""Raised when a converter writes something else for the same folder."""

_STARTER, _HUB = "starter:", ("hf:", "https://", "http://")


def resolve(model: str, root: Path, task: str | None = None, precision: str | None = None) -> Path:
    """The folder of the bundle a model stands for; see ``make``."""
    return make(Wish(model, task, precision), root).place


def make(wish: Wish, root: Path, locked: Made | None = None, progress: Progress | None = None) -> Made:
    """The bundle a model stands for, made where it is not there yet.

    Args:
        wish: of its model: ``starter:name``; a bundle folder, a model folder as the hub keeps it, a GGUF file or an old
            ggml file, relative to ``root``; or a repository of the hub, ``hf:owner/name[/file][@revision]``.
        root: folder of the project.
        locked: what the lock file says of it: a repository is taken at that commit, with those files.
        progress: is told how long it takes.

    Raises:
        ProjectError: nothing is there, it cannot be had, or the weights do not serve the task.
        BundleError, ConversionError: from the model itself.
    """
    wish, told = replace(wish, task=_canonical(wish.task)), progress or Silent()
    if locked is not None and locked.revision and (there := kept.locked(locked)) is not None:
        return there
    if wish.model.startswith(_STARTER):
        from firstlight import starters

        place = starters.path(wish.model.removeprefix(_STARTER))
        return _there(place, wish, wish.task or starters.task_of(wish.model))
    place = root / Path(wish.model.removeprefix("./")).expanduser()
    if not wish.model.startswith(_HUB):
        if (place / "bundle.json").is_file():
            return _there(place.resolve(), wish, wish.task)
        form = folders.form(place.absolute(), wish)
        if form is not None:
            if form.place.is_dir() and Path(wish.model).name in ("", ".."):
                form = replace(form, name="model")  # a bundle's name must not be that of a checkout
            return _converted(form, wish, told)
        if not _names_a_repository(wish.model, place):
            raise _nothing_there(place)
    return _converted(_of_repository(wish, locked, told), wish, told)


def _of_repository(wish: Wish, locked: Made | None, progress: Progress) -> Form:
    from firstlight.build import repositories

    try:
        return repositories.form(wish, locked, progress)
    except ProjectError as error:
        if wish.model.startswith(_HUB):
            raise
        raise ProjectError(
            f"there is no folder {wish.model} here, and {error.message}", error.hint
        ) from error


def _canonical(task: str | None) -> str | None:
    from firstlight.runtime import tasks

    try:
        return task and tasks.canonical(task)
    except InvalidInput as error:
        raise ProjectError(error.message, error.hint) from None


def _names_a_repository(model: str, place: Path) -> bool:
    """Whether a name that is no path of this machine may be one of the hub's."""
    if place.exists() or model.startswith((".", "/", "~")) or place.parent.is_dir():
        return False
    name = model.partition("@")[0]
    return name.count("/") == 1 and not name.endswith(folders.WEIGHTS)


def _nothing_there(place: Path) -> ProjectError:
    if place.is_file():
        hint = "name a GGUF file, an ONNX file, or a folder with config.json and model.safetensors"
        return ProjectError(f"{place} is a file of a kind that is not known here", hint)
    if place.is_dir():
        hint = "a model folder holds config.json, model.safetensors and tokenizer.json; a bundle holds bundle.json"
        return ProjectError(f"{place} is neither a model folder nor a bundle", hint)
    hint = "name a folder, a GGUF file, a bundle, starter:NAME, or hf:owner/name for a model of the hub"
    return ProjectError(f"there is no model at {place}", hint)


def _there(folder: Path, wish: Wish, task: str | None) -> Made:
    """A bundle whose weights serve the task; which of their tasks a worker answers is said when it is started."""
    bundle = Bundle.open(str(folder), verify="sizes")
    if wish.precision not in (None, bundle.precision):
        hint = "leave quantize out, or give the model folder the bundle was made from"
        raise ProjectError(
            f"the bundle {folder} is {bundle.precision} and cannot become {wish.precision}", hint
        )
    from firstlight.runtime import tasks

    try:
        tasks.choose(task, bundle)
    except InvalidInput as error:
        raise ProjectError(
            f"the bundle {folder} is made for {bundle.task}, not for {task}", error.hint
        ) from None
    return _made(folder, wish, bundle)


def _converted(form: Form, wish: Wish, progress: Progress) -> Made:
    from firstlight import __version__

    def convert(out: Path) -> None:
        progress.stage(f"converting {wish.model}")
        form.convert(out, wish.task, wish.precision, progress)

    parts = [str(_FORMAT), __version__, str(wish.task), str(wish.precision), *form.state()]
    place = kept.kept(kept.digest(*parts), convert)
    made = kept.remembered(place)
    if made is None:
        more: dict[str, Any] = {
            "revision": form.source.get("revision"),
            "licence": form.source.get("licence"),
            "converter": form.converter,
            "files": form.hashed(),
            "tools": form.tools(),
            "allow_pickle": form.pickled,
            "trust_remote_code": form.runs_code,
        }
        made = _made(place, wish, Bundle.open(str(place), verify="sizes"), **more)
        kept.remember(made)
    return replace(made, model=wish.model)


def _made(place: Path, wish: Wish, bundle: Bundle, **more: Any) -> Made:
    more.setdefault("licence", bundle.source.get("licence"))
    if more["licence"] is None:
        more["licence"] = bundle.source.get("licence")
    return Made(place, wish.model, bundle.digest, bundle.task, bundle.engine, bundle.precision, **more)
