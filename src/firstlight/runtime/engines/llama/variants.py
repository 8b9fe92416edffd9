"""Kernels for the CPU at hand, where a libllama comes with libraries for several kinds of CPU.

ggml would open each of them to ask how well it fits; here the best are tried first, and ggml refuses those that need
instructions this CPU has not. Opening one instead of thirteen saves 8 ms, and 100 ms where they are not in memory yet.
"""

from __future__ import annotations

import os
from _ctypes import dlsym

from firstlight.runtime.engines.library import Address, Function, Size, Text
from firstlight.runtime.errors import EngineError

_PREFIX = "libggml-cpu-"
# By falling score of ggml's own rating (ggml-cpu/arch/x86/cpu-feats.cpp); those of other architectures carry a version.
_ORDER = (
    "sapphirerapids", "zen4", "cooperlake", "icelake", "cascadelake", "cannonlake", "skylakex", "alderlake",
    "haswell", "piledriver", "ivybridge", "sandybridge", "sse42", "x64",
)  # fmt: skip


def load(handle: int, folder: str) -> str:
    """Load the kernels that fit this CPU best, unless the library has its own.

    Args:
        handle: of the loaded libllama.
        folder: where the libraries for the kinds of CPU lie.

    Returns:
        The name of the kind; empty where the library has its own kernels.

    Raises:
        EngineError: none of them runs here.
        OSError: the library lacks a function that any of its version has.
    """
    count = Function(dlsym(handle, "ggml_backend_dev_count"))
    count.restype, count.argtypes = Size, ()
    if count():
        return ""
    opened = Function(dlsym(handle, "ggml_backend_load"))
    opened.restype, opened.argtypes = Address, (Text,)
    for name in ordered(os.listdir(folder)):  # noqa: PTH208
        if opened(os.fsencode(f"{folder}/{name}")):
            return name[len(_PREFIX) :].partition(".so")[0].partition(".dylib")[0]
    raise EngineError(
        f"none of the libraries {_PREFIX}* in {folder} runs on this CPU", "see docs/engines/llama.md"
    )


def ordered(names: list[str]) -> list[str]:
    """The libraries of kernels among the names of files, those for the newest CPUs first."""
    found = [name for name in names if name.startswith(_PREFIX)]
    return sorted(sorted(found, reverse=True), key=lambda name: _rank(name[len(_PREFIX) :].split(".")[0]))


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else -1
