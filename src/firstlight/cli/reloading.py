"""When to read the project again: something that belongs to it was saved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

_IGNORED = {"__pycache__", "node_modules", "build", "dist"}
_IGNORED_ENDINGS = (".pyc", ".swp", ".tmp", "~")


def belongs(root: Path, path: str) -> bool:
    """Whether a changed path may change what is served: hidden files, caches and editors' files do not."""
    try:
        parts = Path(path).relative_to(root).parts
    except ValueError:
        return False
    if any(part.startswith(".") or part in _IGNORED for part in parts):
        return False
    return not path.endswith(_IGNORED_ENDINGS)


async def changes(root: Path) -> AsyncIterator[set[str]]:
    """The paths under ``root`` that changed, a set for every burst of changes.

    The first set comes soon and may be empty: what was saved before the watcher was ready is nobody's news.
    """
    import watchfiles

    root = root.resolve()
    first = True
    async for found in watchfiles.awatch(
        root,
        watch_filter=lambda _, path: belongs(root, path),
        debounce=400,
        step=50,
        rust_timeout=1000,
        yield_on_timeout=True,
    ):
        if found or first:
            first = False
            yield {path for _, path in found}
