"""Versions, aliases and the settings of functions, as AWS Lambda has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from firstlight.invoke.types import LATEST, WorkerSpec


@dataclass(frozen=True, slots=True)
class Version:
    """What an endpoint was when it was published; never changed afterwards.

    Args:
        number: counts from 1; a number is not used again.
        spec: how to start its workers; its files are copies, or lie in a cache under their content's hash.
        code_sha256: base64 of the SHA-256 that names its content, as in Lambda's CodeSha256.
        created: seconds since the epoch.
        snap_start: its workers start from a snapshot of one that is initialised.
    """

    endpoint: str
    number: int
    spec: WorkerSpec
    code_sha256: str
    created: float
    description: str = ""
    snap_start: bool = False
    revision_id: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that points at a version, or at two with a weight.

    Args:
        version: ``1``, ``2``, ... or ``$LATEST`` (which no weights may go with).
        weights: at most one other version and the share of invocations it gets, 0 to 1.
    """

    endpoint: str
    name: str
    version: str
    weights: Mapping[str, float] = field(default_factory=dict)
    description: str = ""
    revision_id: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an invocation goes.

    Args:
        version: ``$LATEST`` or a version's number.
        qualifier: what the caller asked for: a version, or the alias that led to it.
    """

    endpoint: str
    version: str = LATEST
    qualifier: str = LATEST
