"""What the environment says about the hub at the moment; the library itself looks only when it is first imported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from firstlight.build.hub.names import ENDPOINT

_YES = ("1", "ON", "YES", "TRUE")
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the hub is and what may be done.

    Attributes:
        endpoint: its address, without a slash at the end.
        cache: the folder of its cache.
        offline: nothing may be asked.
        timeout_s: how long to wait for the next bytes.
        links: whether the cache's snapshots are symbolic links.
    """

    endpoint: str
    cache: Path
    offline: bool
    timeout_s: float
    links: bool


def now() -> Settings:
    """What holds now.

    https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    return Settings(
        endpoint=os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT,
        cache=_cache(),
        offline=_is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"),
        timeout_s=_seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
        links=not _is_set("HF_HUB_DISABLE_SYMLINKS"),
    )


def own_cache() -> Path:
    """Where what is found out about repositories is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firstlight"


def _cache() -> Path:
    place = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not place:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        place = f"{os.environ.get('HF_HOME') or f'{base}/huggingface'}/hub"
    return Path(os.path.expandvars(place)).expanduser().absolute()


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").upper() in _YES


def _seconds(name: str) -> float:
    try:
        return float(os.environ.get(name) or _TIMEOUT_S)
    except ValueError:
        return _TIMEOUT_S
