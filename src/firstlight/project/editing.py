"""Changes to the text of firstlight.toml that keep everything else in it: comments, order, spelling, line ends.

Every change is read back before it is returned: it says what was asked for, and nothing else has another value.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from firstlight.runtime.errors import ProjectError

Settings = Mapping[str, str | int | float | bool]

_HEADER = re.compile(r"[ \t]*\[")
_OURS = re.compile(r"[ \t]*\[[ \t]*[\"']?endpoints[\"']?[ \t]*\.")
_ENDPOINTS = "endpoints"


def begun(name: str) -> str:
    """The text of a new project file.

    Args:
        name: of the project.
    """
    return f"name = {_written(name)}\n"


def with_endpoint(text: str, name: str, settings: Settings, dropped: Collection[str] = ()) -> str:
    """The text of a project file with an endpoint in it.

    Args:
        text: of the file; line ends may be of either kind.
        name: the endpoint's, a valid one. One that is there keeps the settings that are not named here.
        settings: key -> value, none of them a table.
        dropped: keys that one which is there loses.

    Raises:
        ProjectError: the text is not TOML, or is written in a way that cannot be changed without harm.
    """
    former = _read(text)
    wanted = _wanted(former, name, settings, dropped)
    if _spelt(wanted) == _spelt(former):
        return text
    there = isinstance(former.get(_ENDPOINTS), dict) and name in former[_ENDPOINTS]
    changes = _changed(text, name, settings, dropped) if there else _added(text, name, settings)
    for changed in changes:
        if _says(changed, wanted):
            return changed
    lines = "; ".join(f"{key} = {_written(value)}" for key, value in settings.items())
    hint = f"write it by hand, under [{_ENDPOINTS}.{name}]: {lines}"
    raise ProjectError(
        f"firstlight.toml is written in a way that cannot be changed safely for {name!r}", hint
    )


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProjectError(f"firstlight.toml is not valid TOML: {error}", "correct it first") from error


def _wanted(
    former: dict[str, Any], name: str, settings: Settings, dropped: Collection[str]
) -> dict[str, Any]:
    wanted = copy.deepcopy(former)
    endpoints = wanted.setdefault(_ENDPOINTS, {})
    if not isinstance(endpoints, dict) or not isinstance(endpoints.get(name, {}), dict):
        raise ProjectError(
            f"firstlight.toml: [{_ENDPOINTS}] must hold tables", f"write [{_ENDPOINTS}.{name}]"
        )
    kept = {key: value for key, value in endpoints.get(name, {}).items() if key not in dropped}
    endpoints[name] = {**kept, **settings}
    return wanted


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        # As text, because NaN is not equal to itself and 1 is equal to true.
        return bool(_spelt(tomllib.loads(text)) == _spelt(wanted))
    except (tomllib.TOMLDecodeError, RecursionError):
        return False


def _spelt(value: Any) -> Any:
    """A value in a form that compares by type and without regard to the order of tables."""
    if isinstance(value, dict):
        return {key: _spelt(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_spelt(inner) for inner in value]
    return type(value).__name__, repr(value)


def _added(text: str, name: str, settings: Settings) -> Iterator[str]:
    """The text with a new table: behind the last endpoint, else at the end, else as tomlkit puts it in."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{_ENDPOINTS}.{name}]", *(f"{key} = {_written(value)}" for key, value in settings.items())]
    place = _behind_the_last(text)
    if place is not None:
        before = text[:place]
        yield before + _gap(before, end) + end.join(lines) + end * 2 + text[place:].lstrip("\r\n")
    ending = end if not text or text.endswith("\n") else ""
    yield text + _gap(text, end) + end.join(lines) + ending
    yield from _changed(text, name, settings, ())


def _gap(before: str, end: str) -> str:
    """What makes one empty line of the end of a text."""
    if not before.strip("\r\n"):
        return ""
    newlines = len(before) - len(before.rstrip("\r\n"))
    return end * max(0, 2 - before[len(before) - newlines :].count("\n"))


def _behind_the_last(text: str) -> int | None:
    """Where the last table of an endpoint ends, before the comment that belongs to the next; None at the file's end."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    ours = [number for number, line in enumerate(lines) if _OURS.match(line)]
    if not ours:
        return None
    following = next(
        (number for number in range(ours[-1] + 1, len(lines)) if _HEADER.match(lines[number])), None
    )
    if following is None:
        return None
    while following and lines[following - 1].lstrip().startswith("#"):
        following -= 1
    while following and not lines[following - 1].strip():
        following -= 1
    return len("".join(lines[:following]))


def _changed(text: str, name: str, settings: Settings, dropped: Collection[str]) -> Iterator[str]:
    """The text with the values of one table set by tomlkit."""
    from tomlkit.exceptions import TOMLKitError

    changed = text
    try:
        # Parsed anew for each key: tomlkit loses count of dotted keys when one of them is taken out.
        for key in dropped:
            changed = _set(changed, name, key, None)
        for key, value in settings.items():
            changed = _set(changed, name, key, value)
    except (TOMLKitError, LookupError, TypeError, ValueError, AttributeError):
        return  # a file tomlkit cannot keep as it is: explained by the caller
    if "\r\n" in text and not re.search(r"(?<!\r)\n", text):
        changed = re.sub(r"(?<!\r)\n", "\r\n", changed)
    yield changed


def _set(text: str, name: str, key: str, value: str | float | bool | None) -> str:
    """The text with one key of an endpoint set, or taken out where the value is None."""
    import tomlkit

    document = tomlkit.parse(text)
    endpoints: Any = document[_ENDPOINTS]
    if name not in endpoints:
        endpoints[name] = tomlkit.inline_table()
    if value is not None:
        endpoints[name][key] = value
    elif key in endpoints[name]:
        del endpoints[name][key]
    return tomlkit.dumps(document)


def _written(value: str | float | bool) -> str:
    import tomlkit

    return str(tomlkit.item(value).as_string())
