"""Where libllama is: in a folder that was named, in the cache, or inside an installed wheel."""

from __future__ import annotations

import os
import sys

from firstlight.runtime.errors import EngineError, MissingExtra

VARIABLE = "FIRSTLIGHT_LLAMA"
"""Environment variable with the folder of a libllama to use in place of any other."""

WHEEL = "xllamacpp"
_WHEEL_LIBRARY = (
    "xllamacpp.abi3.so"  # holds all of llama.cpp and shows its C functions; the package is not imported
)
_INSTALL = f"pip install {WHEEL}"
_SUFFIXES = (".so", ".dylib")


class Found:
    """A libllama.

    Attributes:
        origin: ``folder`` (``FIRSTLIGHT_LLAMA``), ``cache``, or ``wheel``.
        folder: where it lies; the libraries for the kinds of CPU lie beside it, unless it is one file.
        path: the library itself.
    """

    def __init__(self, origin: str, folder: str, path: str) -> None:
        self.origin = origin
        self.folder = folder
        self.path = path


def find() -> Found:
    """The libllama of this installation; one with libraries for many kinds of CPU before the wheel's.

    Raises:
        EngineError: ``FIRSTLIGHT_LLAMA`` is set and there is none.
        MissingExtra: there is none at all.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = _library(named)
        if path is None:
            raise EngineError(
                f"{VARIABLE} is {named}, where there is no libllama",
                f"name the folder it is in, or: {_INSTALL}",
            )
        return Found("folder", os.path.dirname(path), path)  # noqa: PTH120
    return _cached() or _installed() or _missing()


def cache() -> str:
    """The folder in which libraries of engines are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or f"{os.path.expanduser('~')}/.cache"  # noqa: PTH111
    return f"{base}/firstlight/engines"


def _library(folder: str) -> str | None:
    """The libllama in a folder, whatever version its name carries."""
    for name in _names(folder):
        stem, dot, _ = name.partition(".")
        if stem == "libllama" and dot and name.endswith(_SUFFIXES):
            return f"{os.path.abspath(folder)}/{name}"  # noqa: PTH100
    return None


def _cached() -> Found | None:
    root = cache()
    for name in sorted(
        (name for name in _names(root) if name.startswith("llama-")), key=_version, reverse=True
    ):
        path = _library(f"{root}/{name}")
        if path is not None:
            return Found("cache", f"{root}/{name}", path)
    return None


def _installed() -> Found | None:
    for entry in sys.path:
        folder = f"{entry or '.'}/{WHEEL}"
        path = f"{folder}/{_WHEEL_LIBRARY}"
        if os.path.isfile(path):  # noqa: PTH113
            return Found("wheel", folder, path)
    return None


def _missing() -> Found:
    raise MissingExtra("the engine llama needs libllama, which is not installed", _INSTALL)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []


def _version(name: str) -> tuple[tuple[int, str], ...]:
    """``llama-3.22.1`` in an order in which 3.22 comes after 3.9."""
    parts = name.partition("-")[2].replace("-", ".").split(".")
    return (*((int(part), "") if part.isdigit() else (-1, part) for part in parts), (0, ""))
