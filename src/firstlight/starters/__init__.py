"""The endpoints that come with the package: bundles that work offline, each with a model card beside it."""

from __future__ import annotations

from pathlib import Path

from firstlight.runtime.errors import EndpointNotFound

_HERE = Path(__file__).parent
_FIRST = ("sentiment", "qa", "lyrics", "embeddings")
"""What a newcomer meets first; the very first one also answers where a protocol names no endpoint."""


def names() -> list[str]:
    """Names of the starters, in the order in which they are shown."""
    found = {manifest.parent.name for manifest in _HERE.glob("*/bundle.json")}
    return [*(name for name in _FIRST if name in found), *sorted(found.difference(_FIRST))]


def path(name: str) -> Path:
    """The bundle folder of a starter.

    Raises:
        EndpointNotFound: there is no starter of that name.
    """
    if name not in names():
        raise EndpointNotFound(f"there is no starter named {name!r}", f"starters: {', '.join(names())}")
    return _HERE / name
