"""What is known of a project's versions, as values, and as the JSON they are kept as.

A path inside the folder of the state is written relative to it, so that a project can be moved with its versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from firstlight.invoke.types import WorkerSpec
from firstlight.project.types import Asynchronous
from firstlight.versions.types import Alias, Version

FORMAT = 1
_HERE = "here:"
_PATHS = ("bundle", "script", "cwd")
_KEPT = ("endpoint", "task", "handler", "memory_mb", "timeout_s", "digest", "version", "snap_start")
"""Fields of a spec that are kept as they are; concurrency and walls are not a version's own."""


@dataclass(frozen=True, slots=True)
class Function:
    """What is known of one endpoint besides what the project says.

    Attributes:
        last: the highest number that was ever given to a version.
        versions: by number, as text.
        reserved: concurrency instead of the project's; 0 turns the endpoint off.
        provisioned: workers kept ready, by version or alias.
        asynchronous: what becomes of Event invocations, by qualifier, where it is not what the project says.
    """

    last: int = 0
    versions: Mapping[str, Version] = field(default_factory=dict)
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    reserved: int | None = None
    provisioned: Mapping[str, int] = field(default_factory=dict)
    asynchronous: Mapping[str, Asynchronous] = field(default_factory=dict)

    def weights(self, alias: Alias) -> dict[str, float]:
        """The share of each version that an alias leads to."""
        rest = 1.0 - sum(alias.weights.values())
        return {alias.version: rest, **alias.weights}


State = Mapping[str, Function]
"""Functions by the name of their endpoint."""


def encode(state: State, folder: Path) -> str:
    """The state as JSON.

    Args:
        folder: paths inside it are written relative to it.
    """
    functions = {name: _encoded(function, folder) for name, function in state.items()}
    return json.dumps({"format": FORMAT, "functions": functions}, indent=1, ensure_ascii=False) + "\n"


def decode(text: str, folder: Path) -> State:
    """The state out of its JSON.

    Raises:
        ValueError: it is not what ``encode`` wrote.
    """
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise ValueError(f"its format is {told['format']!r}, and this firstlight knows {FORMAT}")
        return {_name(name): _decoded(name, found, folder) for name, found in told["functions"].items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _encoded(function: Function, folder: Path) -> dict[str, Any]:
    versions = [_version_out(version, folder) for version in function.versions.values()]
    return {
        "last": function.last,
        "versions": versions,
        "aliases": [asdict(alias) for alias in function.aliases.values()],
        "reserved": function.reserved,
        "provisioned": dict(function.provisioned),
        "asynchronous": {name: asdict(value) for name, value in function.asynchronous.items()},
    }


def _decoded(name: str, told: Mapping[str, Any], folder: Path) -> Function:
    versions = [_version_in(name, found, folder) for found in told["versions"]]
    aliases = [_made(Alias, found) for found in told["aliases"]]
    asynchronous = {_name(key): _made(Asynchronous, found) for key, found in told["asynchronous"].items()}
    function = Function(
        last=_whole(told["last"]),
        versions={str(version.number): version for version in versions},
        aliases={alias.name: alias for alias in aliases},
        reserved=None if told["reserved"] is None else _whole(told["reserved"]),
        provisioned={_name(key): _whole(count) for key, count in told["provisioned"].items()},
        asynchronous=asynchronous,
    )
    if function.last < max((version.number for version in versions), default=0):
        raise ValueError(f"{name} has versions beyond its last one")
    if any(alias.endpoint != name for alias in aliases):
        raise ValueError(f"{name} has an alias of another endpoint")
    return function


def _version_out(version: Version, folder: Path) -> dict[str, Any]:
    spec = version.spec
    kept: dict[str, Any] = {name: getattr(spec, name) for name in _KEPT}
    kept |= {name: _path_out(getattr(spec, name), folder) for name in _PATHS}
    kept |= {"env": dict(spec.env), "command": None if spec.command is None else list(spec.command)}
    about = {name: getattr(version, name) for name in Version.__slots__ if name not in ("endpoint", "spec")}
    return {**about, "spec": kept}


def _version_in(name: str, told: Mapping[str, Any], folder: Path) -> Version:
    about = dict(told)
    kept = dict(about.pop("spec"))
    paths = {key: _path_in(kept.pop(key), folder) for key in _PATHS}
    command = kept.pop("command")
    env = {_name(key): _name(value) for key, value in kept.pop("env").items()}
    spec = _made(WorkerSpec, {**kept, **paths})
    spec = replace(spec, env=env, command=None if command is None else tuple(map(_name, command)))
    version: Version = _made(Version, {"endpoint": name, **about, "spec": spec})
    if spec.endpoint != name or spec.version != str(version.number):
        raise ValueError(f"a version of {name} is that of {spec.endpoint}:{spec.version}")
    return version


def _path_out(path: Path | None, folder: Path) -> str | None:
    if path is None:
        return None
    return f"{_HERE}{path.relative_to(folder)}" if path.is_relative_to(folder) else str(path)


def _path_in(told: str | None, folder: Path) -> Path | None:
    if told is None:
        return None
    return folder / told.removeprefix(_HERE) if told.startswith(_HERE) else Path(_name(told))


def _made(kind: Callable[..., Any], fields: Mapping[str, Any]) -> Any:
    """A value from what was read, where every field has the kind of value it should have."""
    made = kind(**fields)
    for name, value in fields.items():
        if not _fits(name, value):
            raise ValueError(f"{name} is {value!r}")
    return made


_NUMBERS = ("memory_mb", "timeout_s", "created", "number", "retries", "max_age", "backoff")
_FLAGS = ("snap_start",)
_MAYBE = ("task", "handler", "on_success", "on_failure", "dead_letter", *_PATHS)


def _fits(name: str, value: Any) -> bool:
    if name in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name in _FLAGS:
        return isinstance(value, bool)
    if name == "spec":
        return isinstance(value, WorkerSpec)
    if name == "weights":
        return isinstance(value, dict) and all(isinstance(share, int | float) for share in value.values())
    return (value is None and name in _MAYBE) or isinstance(value, str | Path)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value
