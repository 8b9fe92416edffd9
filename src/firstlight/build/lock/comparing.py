"""What is different between two entries of a lock, and between an entry and what the project asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from firstlight.build.lock.types import Lock
from firstlight.build.lock.writing import named
from firstlight.build.types import Made, SourceFile, Wish
from firstlight.project import Endpoint

_WORDS = ("model", "revision", "licence", "task", "engine", "precision", "converter")
_SHOWN = 12
"""Digits of a hash or commit that are shown."""


def wish_of(endpoint: Endpoint) -> Wish:
    """What the project file asks for, of a model endpoint."""
    allowed = endpoint.allow_pickle, endpoint.trust_remote_code
    return Wish(endpoint.model or "", endpoint.task, endpoint.quantize, *allowed)


def asked(wish: Wish) -> dict[str, str]:
    """What a wish names beside the model, as ``Made.asked`` has it."""
    words = {"task": wish.task, "precision": wish.precision}
    return {key: word for key, word in words.items() if word is not None}


def for_endpoint(lock: Lock, endpoint: Endpoint, stage: str | None = None) -> Made | None:
    """The entry of a model endpoint; None where there is none, or the project file asks for something else by now.

    Args:
        stage: its entries come before those of the plain project; without one those of every stage come after them.
    """
    plain = [lock.endpoints.get(endpoint.name)]
    others = [entries.get(endpoint.name) for name, entries in sorted(lock.stages.items()) if not stage]
    own = [lock.stages.get(stage, {}).get(endpoint.name)] if stage else []
    wish = wish_of(endpoint)
    entries = (made for made in (*own, *plain, *others) if made is not None)
    return next((made for made in entries if not unasked(made, wish)), None)


def unasked(made: Made, wish: Wish) -> list[str]:
    """How a wish differs from the one an entry was made for, a sentence each; empty where it stands for it.

    A task or precision that the lock does not know to have been asked for may be named where it is the one it has.
    """
    found = []
    if named(wish.model) != named(made.model):
        found.append(f"model: {named(made.model)} in the lock, {named(wish.model)} in firstlight.toml")
    now = asked(wish)
    has = {"task": made.task, "precision": made.precision}
    for key, setting in (("task", "task"), ("precision", "quantize")):
        before, after = made.asked.get(key), now.get(key)
        if before != after and (before is not None or after != has[key]):
            found.append(
                f"{setting}: {before or 'left open'} in the lock, {after or 'left open'} in firstlight.toml"
            )
    for key in ("allow_pickle", "trust_remote_code"):
        if getattr(made, key) and not getattr(wish, key):
            found.append(f"{key}: needed by what is in the lock, not allowed in firstlight.toml")
    return found


def differences(old: Made, new: Made) -> list[str]:
    """What is not the same in two entries, a sentence each; empty where they are equal."""
    found = []
    for key in _WORDS:
        before, after = getattr(old, key), getattr(new, key)
        if key == "model":
            before, after = named(before), named(after)
        if before != after:
            found.append(f"{key}: {_shown(before)} -> {_shown(after)}")
    for key in ("allow_pickle", "trust_remote_code"):
        if getattr(old, key) != getattr(new, key):
            found.append(f"{key}: {'no longer needed' if getattr(old, key) else 'needed now'}")
    found += _files(old.files, new.files)
    found += tools(old, new)
    if old.digest != new.digest:
        found.append(f"bundle: {_shown(old.digest)} -> {_shown(new.digest)}")
    return found


def tools(old: Made, new: Made) -> list[str]:
    """Tools whose versions are not the same."""
    return [f"tool {line}" for line in _pairs(old.tools, new.tools)]


def _files(old: Iterable[SourceFile], new: Iterable[SourceFile]) -> list[str]:
    before, after = ({file.path: file for file in files} for files in (old, new))
    found = []
    for path in sorted({*before, *after}):
        was, now = before.get(path), after.get(path)
        if was == now:
            continue
        if was is None and now is not None:
            found.append(f"file {path}: added, {now.size:,} bytes")
        elif now is None and was is not None:
            found.append(f"file {path}: removed, {was.size:,} bytes")
        elif was is not None and now is not None:
            sizes = f"{was.size:,} -> {now.size:,} bytes" if was.size != now.size else f"{was.size:,} bytes"
            found.append(f"file {path}: changed, {sizes}")
    return found


def _pairs(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return [f"{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}" for name in names]


def _shown(value: str | None) -> str:
    if value is None:
        return "none"
    return value[:_SHOWN] if len(value) in (40, 64) and not value.strip("0123456789abcdef") else value
