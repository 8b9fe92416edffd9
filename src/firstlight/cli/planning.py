"""A model as a user names it, and what adding it would take: nothing of its weights is fetched for that."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from firstlight.build.types import Artefact, Card, Made, Wish
from firstlight.runtime.errors import ProjectError

_STARTER, _HUB = "starter:", ("hf:", "https://", "http://")
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """What adding a model would take.

    Attributes:
        wish: what is made, of a repository at one commit.
        task: it will serve.
        why: one sentence: what is taken, and why this.
        rejected: what else there is, and why not.
        files, bytes: to download; nothing for what is on this machine.
        here: bytes of these that are in the hub's cache already.
        licence: None where nothing says it.
        memory_mb: expected of a worker, an estimate.
        revision: the commit.
        gated: whether the repository lets in only who has asked.
        pickled, runs_code: permissions that are needed, and were given.
    """

    wish: Wish
    task: str
    why: str
    memory_mb: int
    rejected: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    bytes: int = 0
    here: int = 0
    licence: str | None = None
    revision: str | None = None
    gated: bool = False
    pickled: bool = False
    runs_code: bool = False


def model_of(text: str, root: Path) -> str:
    """A model as the project file names it.

    Args:
        text: ``owner/name[@revision]``, the same with ``hf:``, an address on the hub, a folder or file from the
            current folder, ``starter:name``.
        root: the project's folder, where paths of the project file begin.

    Raises:
        ProjectError: it cannot be the name of a model; of a starter that is not there.
    """
    if text.startswith(_STARTER):
        return text
    if not text.startswith(_HUB):
        place = Path(text).expanduser()
        if place.exists():
            return _from(place, root)
        if text.startswith((".", "/", "~")) or ("/" in text and place.parent.is_dir()):
            raise _nothing_at(text, place)
        if "/" not in text:
            raise _no_model(text)
    from firstlight.build import hub

    name = hub.parse(text)
    file = f"/{name.file}" if name.file else ""
    return f"hf:{name.repository}{file}{f'@{name.revision}' if name.revision else ''}"


def endpoint_name(model: str) -> str:
    """The name an endpoint has where none is chosen: that of the repository, folder or file."""
    from firstlight.project.discovery import slug

    if model.startswith("hf:"):
        return slug(model.removeprefix("hf:").partition("@")[0].split("/")[1], "model")
    last = model.rpartition(":")[2].rstrip("/").rpartition("/")[2]
    stem, dot, ending = last.rpartition(".")
    return slug(stem if dot and ending in ("gguf", "onnx", "bin") else last, "model")


def plan(wish: Wish, root: Path, locked: Made | None) -> Plan:
    """What adding would take.

    Args:
        locked: what the lock says of it already.

    Raises:
        ProjectError: there is no such model, it may not be read, or a permission is missing.
        ConversionError: it cannot be served.
    """
    if wish.model.startswith("hf:"):
        return _of_repository(wish, locked)
    from firstlight import starters

    if wish.model.startswith(_STARTER):
        name = wish.model.removeprefix(_STARTER)
        return _of_bundle(wish, starters.path(name), wish.task or starters.task_of(wish.model))
    place = (root / Path(wish.model).expanduser()).absolute()
    if (place / "bundle.json").is_file():
        return _of_bundle(wish, place, wish.task)
    return _of_place(wish, place)


def _from(place: Path, root: Path) -> str:
    """A path as the project file has it: from its folder where it lies below, whole otherwise."""
    whole = Path(os.path.abspath(place))  # noqa: PTH100 - a link is kept as the user named it
    if not whole.is_relative_to(root):
        return str(whole)
    inner = whole.relative_to(root).as_posix()
    return f"./{inner}" if "/" not in inner else inner


def _nothing_at(text: str, place: Path) -> ProjectError:
    from firstlight.project.checks import close

    there = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
    near = close(place.name, there)
    hint = near if near.startswith("did") else "check the path; a model of the hub is hf:owner/name"
    return ProjectError(f"there is nothing at {text}", hint)


def _no_model(text: str) -> ProjectError:
    from firstlight import starters
    from firstlight.build import hub
    from firstlight.project.checks import close

    if text in starters.names():
        return ProjectError(f"{text} is not the name of a model", f"did you mean 'starter:{text}'?")
    near = close(text, [path.name for path in Path.cwd().iterdir()])
    if near.startswith("did"):
        return ProjectError(f"there is no {text!r} here", near)
    try:
        hub.parse(text)
    except ProjectError as error:
        return error
    return ProjectError(f"there is no {text!r} here", "a model of the hub is owner/name")


def _of_repository(wish: Wish, locked: Made | None) -> Plan:
    from firstlight.build import hub, repositories

    name = hub.parse(wish.model)
    repository, artefact = repositories.chosen(wish, name, locked)
    file = f"/{name.file}" if name.file else ""
    pinned = replace(wish, model=f"hf:{name.repository}{file}@{repository.revision}")
    found = _of_artefact(pinned, artefact, repository.card, downloaded=True)
    licence = found.licence or (locked.licence if locked else None)
    here = sum(
        repository.files[path].size
        for path in artefact.files
        if hub.cached(repository.name, repository.revision, path) is not None
    )
    return replace(found, revision=repository.revision, gated=repository.gated, licence=licence, here=here)


def _of_place(wish: Wish, place: Path) -> Plan:
    """Of a folder or file of this machine."""
    from firstlight.build import folders, forms
    from firstlight.build.choice.architectures import GGML_FILE
    from firstlight.build.choice.memory import expected_mb

    found = forms.of_file(place) if place.is_file() else None
    if found is not None and found.converter == GGML_FILE:
        size = place.stat().st_size
        why = f"{place.name}: a file from before GGUF, whose blocks are taken over"
        return Plan(wish, "text-generation", why, expected_mb("llama", size, {}, "q5_1"))
    artefact, card = folders.chosen(place, wish)
    return _of_artefact(wish, artefact, card)


def _of_artefact(wish: Wish, artefact: Artefact, card: Card, downloaded: bool = False) -> Plan:
    return Plan(
        wish,
        artefact.task,
        artefact.why,
        artefact.memory_mb,
        artefact.rejected,
        artefact.files if downloaded else (),
        artefact.bytes if downloaded else 0,
        licence=card.licence,
        pickled=artefact.form == "pickle",
        runs_code=artefact.runs_code,
    )


def _of_bundle(wish: Wish, place: Path, task: str | None) -> Plan:
    from firstlight.build.choice import memory
    from firstlight.runtime.bundle import Bundle

    bundle = Bundle.open(str(place))
    weights = sum(entry["size"] for name, entry in bundle.files.items() if not name.endswith(".json"))
    expected = memory.expected_mb(bundle.engine, weights, {}, bundle.precision)
    why = f"a bundle, taken as it is: {bundle.engine}, {bundle.precision}, {weights / _MB:.1f} MB"
    return Plan(wish, task or bundle.task, why, expected, licence=bundle.source.get("licence"))
