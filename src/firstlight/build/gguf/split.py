"""GGUF files in several parts, as llama.cpp splits large ones: ``name-00001-of-00003.gguf`` and so on."""

from __future__ import annotations

import re
from pathlib import Path

from firstlight.runtime.errors import ConversionError

_PART = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\.gguf)", re.DOTALL)
_MOST = 1000


def names(file: str) -> list[str]:
    """The names of all parts, the first of them first; one name where a file is not split."""
    found = _PART.fullmatch(file)
    if found is None or not 1 <= int(found[4]) <= _MOST:
        return [file]
    return [f"{found[1]}{number:05}{found[3]}{found[4]}{found[5]}" for number in range(1, int(found[4]) + 1)]


def parts(file: Path) -> list[Path]:
    """All parts of the model a file belongs to.

    Raises:
        ConversionError: some are missing.
    """
    found = [file.with_name(name) for name in names(file.name)]
    missing = [part.name for part in found if not part.is_file()]
    if missing:
        hint = "put all of them into one folder"
        raise ConversionError(f"{file} is one of {len(found)} parts; {missing[0]} is missing beside it", hint)
    return found


def stem(file: Path) -> str:
    """The name of a file without its ending, and without its number among several parts."""
    found = _PART.fullmatch(file.name)
    return found[1][:-1] if found else file.stem
