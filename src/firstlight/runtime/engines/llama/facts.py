"""What is known of the libllama of this installation, for people to read."""

from __future__ import annotations

from firstlight.runtime.engines.llama import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def installed() -> dict[str, Any]:
    """The libllama that would run a model here; it is loaded.

    Returns:
        ``version`` of llama.cpp, ``path``, ``origin`` (``folder``, ``cache`` or ``wheel``), ``variant`` (the kind of
        CPU that its kernels were chosen for; empty where it has one kind only), and ``features``, the instructions
        that those kernels use.

    Raises:
        MissingExtra: there is none.
        EngineError: there is one that cannot be used.
    """
    loaded = library.loaded()
    version: bytes = loaded.version() or b""
    system: bytes = loaded.print_system_info() or b""
    return {
        "version": version.decode("ascii", "replace"),
        "path": loaded.found.path,
        "origin": loaded.found.origin,
        "variant": loaded.variant,
        "features": features(system.decode("ascii", "replace")),
    }


def features(system: str) -> list[str]:
    """The names that are 1 in a line such as ``CPU : SSE3 = 1 | AVX = 0 | ``."""
    pairs = (item.rpartition(":")[2].partition("=") for item in system.split("|"))
    return [name.strip() for name, _, value in pairs if value.strip() == "1"]
