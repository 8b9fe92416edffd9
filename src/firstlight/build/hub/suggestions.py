"""What the user may have meant: names and revisions that are there and look alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from difflib import SequenceMatcher

from firstlight.build.hub import wire
from firstlight.build.hub.settings import Settings

_MOST = 100
_ALIKE = 0.7
_PRIVATE = "check the name; where it is private, set HF_TOKEN to a token that may read it"
_MAIN = "leave it out for main"


def for_name(repository: str, settings: Settings) -> str:
    """A hint for a repository that is not shown: the names that look most like it, by the hub's search."""
    names: set[str] = set()
    with suppress(Exception):  # a mirror may have no search
        for found in _searched(repository, settings):
            names |= found
            if alike(repository, names):
                break
    near = alike(repository, names)
    return f"did you mean {' or '.join(near)}? otherwise {_PRIVATE}" if near else _PRIVATE


def for_revision(repository: str, settings: Settings) -> str:
    """A hint for a revision that is not there: those that are."""
    with suppress(Exception):
        refs = wire.api(settings).list_repo_refs(repository)
        known = [each.name for each in (*refs.branches, *refs.tags)]
        if known != ["main"]:
            return f"{_MAIN}; it has {', '.join(known[:20])}"
    return _MAIN


def alike(name: str, others: set[str]) -> list[str]:
    """The three names most like one, of those that are like it at all."""
    rated = sorted(((_likeness(name, other), other) for other in others - {name}), reverse=True)
    return [other for likeness, other in rated[:3] if likeness >= _ALIKE]


def _likeness(one: str, other: str) -> float:
    """Of whole names; or of the part after the owner, where that is (nearly) the same."""
    pairs = ((one, other), (one.partition("/")[2], other.partition("/")[2]))
    whole, last = (SequenceMatcher(None, left.lower(), right.lower()).ratio() for left, right in pairs)
    return max(whole, last * 0.95)


def _searched(repository: str, settings: Settings) -> Iterator[set[str]]:
    """What the hub finds, likely searches first; it looks for names that contain the text, so a typo finds nothing."""
    owner, _, name = repository.partition("/")
    api = wire.api(settings)
    words = sorted({name, *re.split(r"[-_.]", name)} - {""}, key=len, reverse=True)
    for search in (
        {"search": name},
        {"author": owner},
        *({"search": word} for word in words[1:4] if len(word) > 2),
    ):
        yield {model.id for model in api.list_models(limit=_MOST, **search)}
