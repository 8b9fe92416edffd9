r"""``.env`` beside the project file: variables of the workers that are nobody else's business.

One ``NAME=value`` a line, ``export`` before it allowed; ``#`` begins a comment. A value in single quotes is taken as
it is, one in double quotes knows ``\n``, ``\t``, ``\"`` and ``\\``. Nothing is looked up inside values: what is
written is what a worker gets. The values are never part of a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from firstlight.project import checks
from firstlight.project.checks import Place
from firstlight.runtime.errors import ProjectError

FILE = ".env"
_LINE = re.compile(r"(?:export\s+)?(?P<name>[^\s=]+)\s*=\s*(?P<value>.*)", re.DOTALL)
_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def read(folder: Path) -> dict[str, str]:
    """The variables of the file in a folder; none where there is no file.

    Raises:
        ProjectError: naming file and line of the first mistake.
    """
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{FILE} cannot be read", "it has to be a file of UTF-8 text") from error
    found: dict[str, str] = {}
    for number, name, value in _assignments(text):
        found.update(checks.environment(Place(f"{FILE} line {number}"), "", {name: value}))
    return found


def _assignments(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ProjectError(f"{FILE} line {number}: is not NAME=value", "comments begin with #")
        yield number, found["name"], _value(found["value"], number)


def _value(written: str, number: int) -> str:
    if not written.startswith(("'", '"')):
        return re.split(r"\s#", written, maxsplit=1)[0].rstrip() if not written.startswith("#") else ""
    quoted = (_SINGLE if written[0] == "'" else _DOUBLE).fullmatch(written)
    if quoted is None:
        raise ProjectError(f"{FILE} line {number}: the quotes do not match", "close them on the same line")
    if written[0] == "'":
        return quoted["text"]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted["text"])
