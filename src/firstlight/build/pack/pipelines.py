"""What a script asks of ``firstlight.pipeline``: the starters and the engines that its function has to hold."""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from firstlight.build.pack import engines
from firstlight.build.pack.types import File
from firstlight.runtime.bundle import MANIFEST, Bundle
from firstlight.runtime.errors import FirstlightError


@dataclass(frozen=True, slots=True)
class Asked:
    """What the Python files of a function ask of firstlight.

    Attributes:
        used: whether any of them imports it.
        starters: names of the starters they may load.
        wheels: names of the wheels that these and the bundles among the files are answered with.
        absent: models that are named and are no bundle among the files; converting is not done in a function.
    """

    used: bool = False
    starters: tuple[str, ...] = ()
    wheels: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()


def asked(files: Iterable[File]) -> Asked:
    """Read the files of a project; none of them is run. What cannot be told from the text counts as asked for."""
    files = list(files)
    trees = [tree for file in files if file.path.endswith(".py") and (tree := _parsed(file)) is not None]
    calls = [call for tree in trees if _imports(tree) for call in _calls(tree)]
    if not any(_imports(tree) for tree in trees):
        return Asked()
    starters = sorted({name for call in calls for name in _of_call(call)})
    bundles = [_opened(Path(str(file.source)).parent) for file in files if file.path.endswith(f"/{MANIFEST}")]
    bundles += [_opened(_starter(name)) for name in starters]
    wheels = {name for bundle in bundles if bundle is not None for name in engines.names(bundle)}
    paths = {file.path for file in files}
    named = {_model(call) for call in calls} - {""}
    absent = sorted(name for name in named if f"{posixpath.normpath(name)}/{MANIFEST}" not in paths)
    return Asked(True, tuple(starters), frozenset(wheels), tuple(absent))


def _parsed(file: File) -> ast.Module | None:
    try:
        content = file.source if isinstance(file.source, bytes) else file.source.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in its texts, for one
            return ast.parse(content)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # what is wrong with it is said when it is run


def _imports(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and (node.module or "").split(".")[0] == "firstlight"
        ):
            return True
        if isinstance(node, ast.Import) and any(
            name.name.split(".")[0] == "firstlight" for name in node.names
        ):
            return True
    return False


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) == "pipeline":
            yield node


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _given(call: ast.Call) -> dict[str, ast.expr]:
    given = dict(zip(("task", "model"), call.args, strict=False))
    return given | {word.arg: word.value for word in call.keywords if word.arg in ("task", "model")}


def _model(call: ast.Call) -> str:
    """The model that a call names, where that is written out and is no starter."""
    model = _given(call).get("model")
    named = model.value if isinstance(model, ast.Constant) else None
    return named if isinstance(named, str) and not named.startswith("starter:") else ""


def _of_call(call: ast.Call) -> Iterator[str]:
    """Starters that a call loads: by name, by task, or any where neither is written out."""
    from firstlight import starters

    given = _given(call)
    model, task = given.get("model"), given.get("task")
    if model is not None:
        named = model.value if isinstance(model, ast.Constant) else None
        if isinstance(named, str):
            name = named.removeprefix("starter:")
            yield from [name] if name != named and name in starters.names() else []
            return
        yield from [] if named is not None else starters.names()
    elif isinstance(task, ast.Constant) and isinstance(task.value, str):
        yield from _of_task(task.value)
    else:
        yield from starters.names()


def _of_task(task: str) -> Iterator[str]:
    """The starter that ``pipeline`` takes for a task: the first one that serves it."""
    from firstlight import starters
    from firstlight.runtime import tasks

    try:
        tag = tasks.canonical(task)
    except FirstlightError:
        return
    served = {"sentence-similarity": "feature-extraction", "zero-shot-classification": "feature-extraction"}
    for name in starters.names():
        bundle = _opened(_starter(name))
        own = starters.task_of(f"starter:{name}") or (bundle.task if bundle is not None else "")
        if own == served.get(tag, tag):
            yield name
            return


def _starter(name: str) -> Path:
    from firstlight import starters

    return starters.path(name)


def _opened(folder: Path) -> Bundle | None:
    try:
        return Bundle.open(str(folder))
    except FirstlightError:
        return None
