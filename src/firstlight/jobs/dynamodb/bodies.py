"""Bodies that do not fit beside a job: pieces of 384 KB, which count from the moment the job names them.

What is about to be written is noted first (``BODY#<token>``), then the pieces are, then one transaction takes the note
away and changes the job. Whatever is interrupted, the job has all of a body or none of it, and a note that is left
tells the next sweep which pieces nobody named.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from firstlight.jobs.dynamodb.calls import Item, Refused, Table
from firstlight.jobs.dynamodb.schema import BODY, CHUNK, NEXT, PK, SK, TTL, WHAT, WHEN, id_of, moment
from firstlight.jobs.dynamodb.wire import key, update, value
from firstlight.jobs.fields import BODIES

INLINE_BYTES = 4096
"""Bodies of a job up to this together are kept in its item: each write of it is charged by its size."""
CHUNK_BYTES = 384 << 10
"""An item holds 400 KB with its keys."""
_ABANDONED_S = 3600
"""Nobody takes that long to write a body."""


def at(name: str) -> str:
    """The attribute that says where a body is when it is not in the item: ``<token>:<first piece>:<pieces>``."""
    return f"{name}_at"


def is_large(parts: Mapping[str, bytes]) -> bool:
    """Whether bodies of a job do not all fit into its item."""
    return sum(map(len, parts.values())) > INLINE_BYTES


@dataclass(slots=True)
class Kept:
    """Bodies that were written and wait to be named.

    Args:
        attributes: what the item that names them gets; ``gone`` is what it must not have any more.
        note: the key of the note, None where everything is in the item.
        pieces: the keys of what was written beside it.
    """

    attributes: dict[str, bytes | str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    note: Item | None = None
    pieces: list[Item] = field(default_factory=list)


class Bodies:
    """Writes and reads bodies of jobs.

    Args:
        clock: the time by which abandoned pieces are told, seconds since the epoch.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def write(
        self, job_id: str, parts: Mapping[str, bytes], *, inline: int = INLINE_BYTES, ttl: int | None = None
    ) -> Kept:
        """Keep bodies so that one write of an item can name them (``commit``).

        Args:
            parts: by name; an empty one is to be forgotten.
            inline: bytes that may go into the item, all bodies together.
            ttl: when DynamoDB may delete them; None while that is not known.
        """
        kept = Kept()
        large: dict[str, bytes] = {}
        for name, body in sorted(parts.items(), key=lambda part: len(part[1])):
            inline -= len(body)
            if not body:
                kept.gone += [name, at(name)]
            elif inline >= 0:
                kept.attributes[name] = body
                kept.gone.append(at(name))
            else:
                large[name] = body
                kept.gone.append(name)
        if large:
            self._write_pieces(job_id, large, kept, ttl)
        return kept

    def commit(self, kept: Kept, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Write the item that names the bodies.

        Args:
            kind: ``Put`` or ``Update``, with its ``arguments``.

        Returns:
            DynamoDB's answer; empty where it took a transaction.

        Raises:
            Refused: its condition does not hold; the bodies are gone.
        """
        operation = {"Put": "put_item", "Update": "update_item"}[kind]
        if kept.note is None:
            return self._table.call(operation, **arguments)
        known = {name: content for name, content in arguments.items() if name != "ReturnValues"}
        ours = "attribute_exists(pk) AND attribute_not_exists(taken)"
        try:
            self._table.transact((kind, known), ("Delete", {"Key": kept.note, "ConditionExpression": ours}))
        except Refused:
            # After another error nobody knows whether it was written: the note, if it is left, will tell a sweep.
            if self._named(kept, arguments):
                return {}  # by an earlier try whose answer was lost
            self._table.write_all(deletes=kept.pieces)
            self._table.write_all(deletes=[kept.note])
            raise
        return {}

    def read(self, item: Item, names: tuple[str, ...]) -> dict[str, bytes] | None:
        """The bodies of an item by name; None where a piece is missing: the item was changed or deleted."""
        found = {name: bytes(item[name]["B"]) for name in names if name in item}
        places = {name: _pieces(item, name) for name in names if at(name) in item}
        wanted = [place for pieces in places.values() for place in pieces]
        if not wanted:
            return found
        pieces = self._table.get_all(wanted)
        if len(pieces) < len(wanted):
            return None
        content = iter(bytes(piece["body"]["B"]) for piece in pieces)
        for name, keys in places.items():
            found[name] = b"".join(next(content) for _ in keys)
        return found

    def forget(self, before: Item, kept: Kept) -> None:
        """Delete the pieces that an item named before it was changed, and does not name any more."""
        changed = [
            name for name in BODIES if at(name) in before and at(name) in (*kept.gone, *kept.attributes)
        ]
        self._table.write_all(deletes=[piece for name in changed for piece in _pieces(before, name)])

    def sweep(self, now: float) -> None:
        """Delete the pieces whose writer is gone."""
        old = {":what": value(BODY), ":when": value(moment(now - _ABANDONED_S))}
        found = self._table.query(
            IndexName=NEXT,
            KeyConditionExpression="#what = :what AND #when < :when",
            ExpressionAttributeNames={"#what": WHAT, "#when": WHEN},
            ExpressionAttributeValues=old,
        )
        for stale in list(found):
            note = self._table.get({PK: stale[PK], SK: stale[SK]})
            if note is None:
                continue
            token = note[SK]["S"].removeprefix(BODY)
            pieces = _keys(id_of(note[PK]["S"]), token, 0, int(note["pieces"]["N"]))
            place = {PK: note[PK], SK: note[SK]}
            try:  # from here on the writer, should it live, is refused
                self._table.call("update_item", Key=place, **update({"taken": 1}))
            except Refused:
                continue
            self._table.write_all(deletes=pieces)
            self._table.write_all(deletes=[place])

    def _named(self, kept: Kept, arguments: Mapping[str, Any]) -> bool:
        """Whether the item has the bodies that it was to have."""
        place = arguments.get("Key") or {name: arguments["Item"][name] for name in (PK, SK)}
        item = self._table.get(place) or {}
        return all(item.get(name) == value(content) for name, content in kept.attributes.items())

    def _write_pieces(self, job_id: str, large: Mapping[str, bytes], kept: Kept, ttl: int | None) -> None:
        token = secrets.token_hex(8)
        puts: list[Item] = []
        for name, body in large.items():
            cut = [body[start : start + CHUNK_BYTES] for start in range(0, len(body), CHUNK_BYTES)]
            kept.attributes[at(name)] = f"{token}:{len(puts)}:{len(cut)}"
            keys = _keys(job_id, token, len(puts), len(cut))
            expiry = {} if ttl is None else {TTL: value(ttl)}
            puts += [{**place, "body": value(part), **expiry} for place, part in zip(keys, cut, strict=True)]
        note: dict[str, str | int] = {WHAT: BODY, WHEN: moment(self._clock()), "pieces": len(puts)}
        kept.note = key(job_id, BODY + token)
        self._table.call(
            "put_item", Item=kept.note | {name: value(content) for name, content in note.items()}
        )
        kept.pieces = [{PK: put[PK], SK: put[SK]} for put in puts]
        self._table.write_all(puts)


def _pieces(item: Item, name: str) -> list[Item]:
    token, first, count = item[at(name)]["S"].split(":")
    return _keys(id_of(item[PK]["S"]), token, int(first), int(count))


def _keys(job_id: str, token: str, first: int, count: int) -> list[Item]:
    return [key(job_id, f"{CHUNK}{token}#{number:04d}") for number in range(first, first + count)]
