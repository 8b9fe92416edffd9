"""A model folder or file of this machine as a form that can be converted: what lies in it, and what of it is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from firstlight.build.convert.source import front_matter
from firstlight.build.forms import Form, of_artefact, of_file
from firstlight.build.types import Artefact, Card, Wish
from firstlight.runtime.errors import ConversionError

WEIGHTS = (
    *(".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".pt", ".pth", ".safetensors"),
    ".tflite",
)
_DEEPEST = ("*", "*/*")


def form(place: Path, wish: Wish) -> Form | None:
    """What of a folder or file is taken; None where nothing in it looks like a model.

    Raises:
        ConversionError: it is a model, and cannot be served.
        ProjectError: it can be served with a permission that was not given.
    """
    if place.is_file():
        if place.suffix != ".onnx":
            return of_file(place)
    elif not place.is_dir() or not any(
        _is_model(file) for pattern in _DEEPEST for file in place.glob(pattern)
    ):
        return None
    artefact, card = chosen(place, wish)
    if artefact.form == "gguf" and place.is_dir():
        _check_single(place)
    folder = _home(place)
    named = place.stem if place.is_file() else place.name
    return of_artefact(artefact, folder, card, name=named, single=place.is_file())


def chosen(place: Path, wish: Wish) -> tuple[Artefact, Card]:
    """What of a folder or file is taken, and what its card says.

    Raises:
        ConversionError, ProjectError: see ``choice.choose``.
    """
    from firstlight.build import choice

    folder = _home(place)
    told = front_matter(folder)
    card = Card(told.get("license"), told.get("pipeline_tag"), told.get("library_name"))
    return choice.choose(_sizes(place), _reader(folder), card, wish), card


def _check_single(folder: Path) -> None:
    """Of a repository's quantisations one is chosen; files that lie in a folder here may be different models."""
    from firstlight.build.gguf import split

    names = sorted({split.names(file.name)[0] for file in folder.glob("*.gguf")})
    if len(names) > 1:
        raise ConversionError(
            f"{folder} holds {len(names)} models: {', '.join(names[:6])}", "name one of the files"
        )


def _is_model(file: Path) -> bool:
    return file.name == "config.json" or file.suffix in WEIGHTS or ".safetensors" in file.name


def _sizes(place: Path) -> dict[str, int]:
    """Files of a folder by path; of a single file it, its other parts, and the small files beside it."""
    folder = _home(place)
    patterns = _DEEPEST[:1] if folder == place.parent else _DEEPEST
    found = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for pattern in patterns
        for file in folder.glob(pattern)
        if file.is_file()
    }
    return found if place.is_dir() else one_model(found, place.relative_to(folder).as_posix())


def _home(place: Path) -> Path:
    """Where config.json and the tokenizer lie: beside a graph, or above the ``onnx`` folder it is in."""
    if place.is_dir():
        return place
    above = place.parent.parent
    apart = place.parent.name == "onnx" and not (place.parent / "config.json").is_file()
    return above if apart and (above / "config.json").is_file() else place.parent


def one_model(sizes: dict[str, int], file: str) -> dict[str, int]:
    """Files without the weights of other models than the one in ``file``."""
    from firstlight.build.gguf import split

    own = {file, *split.names(file)}
    return {
        path: size
        for path, size in sizes.items()
        if path in own or path.startswith((f"{file}_", f"{file}.")) or not path.endswith(WEIGHTS)
    }


def _reader(folder: Path) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        try:
            return (folder / path).read_bytes()
        except OSError:
            return None

    return read
