"""Checks of single values of the project file: each returns the value or raises an error naming the place.

A message says the type of what it found, and the value only where it cannot be a secret: numbers, names and
choices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from firstlight.project.types import Asynchronous, Front
from firstlight.runtime import tasks
from firstlight.runtime.errors import InvalidInput, ProjectError

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URL = re.compile(r"https?://[^/\s]+\S*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\+?\}", re.ASCII)
_ROUTE = re.compile(
    r"(/([A-Za-z0-9._~-]+|\{[A-Za-z_]\w*\}))*/([A-Za-z0-9._~-]+|\{[A-Za-z_]\w*\+?\})", re.ASCII
)
STORES = ("none", "hash", "redacted", "full")
PRECISIONS = (
    *("fp32", "fp16", "int8", "nb8", "q4"),
    *("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0"),
)
"""Of encoders and encoder-decoders, then of language models in GGUF files; the converter of a model takes its own."""
RESERVED_ROUTES = (
    *(
        "2014-11-13",
        "2015-03-31",
        "2021-11-15",
        "docs",
        "endpoints",
        "go",
        "health",
        "invocations",
        "metrics",
    ),
    *("2016-08-19", "2017-03-31", "2017-10-31", "2019-09-25", "2019-09-30", "2021-10-31"),
    *(
        "http-api",
        "lambda-url",
        "models",
        "openapi.json",
        "ping",
        "pipeline",
        "predict",
        "rest-api",
        "static",
        "v1",
    ),
)
"""First parts of paths that the gateway answers itself."""
_RESERVED_VARIABLES = ("_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "PYTHONPATH")
_SETTABLE = ("FIRSTLIGHT_ECHO_DELAY_MS", "FIRSTLIGHT_METRICS")
"""Variables of ours that are an endpoint's own to set."""

_RESERVED_PREFIXES = ("AWS_LAMBDA_", "FIRSTLIGHT_")
_TYPES = {
    dict: "a table",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a value stands.

    Attributes:
        file: path of the file as the user would type it.
        table: dotted name of the table; empty for the top of the file.
    """

    file: str
    table: str = ""

    def inside(self, *keys: str) -> Place:
        """The place of a table in this one."""
        return Place(self.file, ".".join(filter(None, (self.table, *keys))))

    def error(self, key: str, problem: str, hint: str = "") -> ProjectError:
        """A ProjectError that names file, table and key."""
        table = f" [{self.table}]" if self.table else ""
        return ProjectError(f"{self.file}{table}{f' {key}' if key else ''}: {problem}", hint)


Check = Callable[[Place, str, Any], Any]


def close(word: str, known: Iterable[str]) -> str:
    """A hint: the known word that is nearest to ``word``, or all of them when none is near."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(words)}" if words else ""


def kind(value: object) -> str:
    """The type of a TOML value in words."""
    return _TYPES.get(type(value), "a date or time")


def table(place: Place, key: str, value: Any) -> dict[str, Any]:
    """A TOML table."""
    if not isinstance(value, dict):
        raise place.error(key, f"must be a table, not {kind(value)}", f"write [{place.inside(key).table}]")
    return value


def text(place: Place, key: str, value: Any) -> str:
    """A string with something in it."""
    if not isinstance(value, str):
        raise place.error(key, f"must be a string, not {kind(value)}", "put the value in quotes")
    if not value.strip() or "\0" in value:
        raise place.error(key, "must not be empty", f"write a value or remove {key}")
    return value


def name(place: Place, key: str, value: Any) -> str:
    """A name Lambda would take for a function."""
    word = text(place, key, value)
    if not NAME.fullmatch(word):
        raise place.error(key, f"{word[:80]!r} cannot be a name", "use 1 to 64 letters, digits, - and _")
    return word


def choice(*choices: str) -> Check:
    """One of a few words."""

    def check(place: Place, key: str, value: Any) -> str:
        word = text(place, key, value)
        if word not in choices:
            raise place.error(key, f"{word[:40]!r} is not one of {', '.join(choices)}", close(word, choices))
        return word

    return check


def number(low: float, high: float, unit: str, *, whole: bool = False) -> Check:
    """A number between two bounds, both allowed."""

    def check(place: Place, key: str, value: Any) -> float:
        wanted = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            found = repr(value) if isinstance(value, float) else kind(value)
            raise place.error(
                key, f"must be {wanted} of {unit}, not {found}", f"for example {key} = {high:.7g}"
            )
        if not low <= value <= high:
            raise place.error(key, f"must be from {low:g} to {high:.7g} {unit}, not {value}", "")
        return value if whole else float(value)

    return check


def route(place: Place, key: str, value: Any) -> str:
    """A path the gateway does not answer itself."""
    path = text(place, key, value)
    names = [found[1] for found in _PARAMETER.finditer(path)]
    if not _ROUTE.fullmatch(path) or len(set(names)) < len(names):
        raise place.error(
            key, f"{path[:80]!r} cannot be a path", 'write it as in "/qa", "/songs/{id}" or "/files/{path+}"'
        )
    if path.split("/")[1] in RESERVED_ROUTES:
        raise place.error(key, f"{path[:80]!r} is a path of the server itself", "choose another path")
    return path


def task(place: Place, key: str, value: Any) -> str:
    """A Hugging Face pipeline tag, or another name of one, that there is a task for."""
    word = text(place, key, value)
    try:
        tasks.canonical(word)
    except InvalidInput as error:
        raise place.error(key, f"there is no task {word[:40]!r}", close(word, tasks.names())) from error
    return word


def switch(place: Place, key: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise place.error(key, f"must be true or false, not {kind(value)}", f"write {key} = true")
    return value


def environment(place: Place, key: str, value: Any) -> dict[str, str]:
    """Variable names and strings; the values are never part of a message."""
    inner = place.inside(key)
    for variable, content in table(place, key, value).items():
        if not _VARIABLE.fullmatch(variable):
            raise inner.error(repr(variable), "cannot be the name of an environment variable")
        if variable in _SETTABLE:
            continue
        if variable in _RESERVED_VARIABLES or variable.startswith(_RESERVED_PREFIXES):
            raise inner.error(variable, "is set by the runtime", "choose another name")
        if not isinstance(content, str) or "\0" in content:
            raise inner.error(variable, f"must be a string, not {kind(content)}", "put the value in quotes")
    return dict(value)


def keys(place: Place, given: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The checked values of a table, in which every key must be known."""
    for key in given:
        if key not in checks:
            raise place.error(repr(key)[1:-1], "is not a setting", close(key, checks))
    return {key: checks[key](place, key, value) for key, value in given.items()}


def destination(place: Place, key: str, value: Any) -> str:
    """Where the record of an asynchronous invocation goes."""
    where = text(place, key, value)
    scheme, _, rest = where.partition(":")
    if scheme == "endpoint" and NAME.fullmatch(rest):
        return where
    if scheme in ("http", "https") and _URL.fullmatch(where):
        return where
    if scheme == "file" and rest and not rest.startswith("//"):
        return where
    raise place.error(
        key, f"{where[:80]!r} is not a destination", "endpoint:NAME, an http:// or https:// URL, or file:PATH"
    )


def asynchronous(place: Place, key: str, value: Any) -> Asynchronous:
    """The table of what becomes of Event invocations."""
    return Asynchronous(**keys(place.inside(key), table(place, key, value), _ASYNCHRONOUS))


def front(place: Place, key: str, value: Any) -> Front:
    """The table of how HTTP reaches an endpoint."""
    inner = place.inside(key)
    chosen = Front(**keys(inner, table(place, key, value), _FRONT))
    if chosen.auth == "key" and chosen.kind != "rest":
        raise inner.error(
            "auth", "API keys are a part of REST APIs only", 'write kind = "rest", or auth = "iam"'
        )
    if chosen.stream and chosen.kind == "http":
        raise inner.error("stream", "an HTTP API cannot stream", 'write kind = "rest" or kind = "url"')
    return chosen


_ASYNCHRONOUS: dict[str, Check] = {
    "retries": number(0, 2, "retries", whole=True),
    "max_age": number(60, 21600, "seconds"),
    "backoff": number(0, 3600, "seconds"),
    "on_success": destination,
    "on_failure": destination,
    "dead_letter": destination,
}
_FRONT: dict[str, Check] = {
    "kind": choice("rest", "http", "url"),
    "auth": choice("none", "iam", "key"),
    "stream": switch,
}
ENDPOINT: dict[str, Check] = {
    "model": text,
    "script": text,
    "task": task,
    "quantize": choice(*PRECISIONS),
    "memory": number(128, 10240, "MB", whole=True),
    "timeout": number(0.1, 900, "seconds"),
    "concurrency": number(0, 1000, "workers", whole=True),
    "provisioned": number(0, 1000, "workers", whole=True),
    "snap_start": switch,
    "asynchronous": asynchronous,
    "front": front,
    "route": route,
    "package": choice("image", "zip", "auto"),
    "env": environment,
    "allow_pickle": switch,
    "trust_remote_code": switch,
}
RECORDS: dict[str, Check] = {
    "store": choice(*STORES),
    "max_age_days": number(0.01, 3650, "days"),
    "max_mb": number(1, 1_000_000, "MB"),
}
