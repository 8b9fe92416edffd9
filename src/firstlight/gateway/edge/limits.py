"""What a client may send, how long it may take over it, and how many of them there may be."""

from __future__ import annotations

import sys
from dataclasses import dataclass

_MOST = 2048
_SPARE = 4
"""One in so many open files may be a client's connection: workers, records and logs need theirs."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of every connection; times in seconds, sizes in bytes.

    Args:
        head_s: from the first byte of a request (or from the connection, for the first one) to the end of its head.
        body_s: without a byte of a body that is not complete.
        write_s: without a byte of an answer being taken by its client.
        idle_s: between two requests.
        linger_s: after a refusal, for a client that sends on before it reads.
        probe_s: after a client has closed its sending side, until it is first asked whether it is still there.
        look_s: between two looks at all of it.
        url: of the target of a request.
        head: of all header fields.
        fields: how many header fields.
        at_once: a body that is announced to have no more than this is read before the request is looked at.
        linger: thrown away after a refusal.
        unread: of answers that their clients do not take, all connections together.
        queued: requests that were sent before the answer to an earlier one came.
        connections: clients at a time; None leaves it to the number of files this process may open.
    """

    head_s: float = 10.0
    body_s: float = 30.0
    write_s: float = 120.0
    idle_s: float = 75.0
    linger_s: float = 5.0
    probe_s: float = 0.25
    look_s: float = 0.25
    url: int = 16 * 1024
    head: int = 64 * 1024
    fields: int = 128
    at_once: int = 64 * 1024
    linger: int = 32 * 1024 * 1024
    unread: int = 128 * 1024 * 1024
    queued: int = 64
    connections: int | None = None

    def most(self) -> int:
        """How many connections there may be now."""
        return _affordable() if self.connections is None else self.connections


def _affordable() -> int:
    if sys.platform == "win32":
        return _MOST // _SPARE
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(16, min(_MOST, soft * (_SPARE - 1) // _SPARE))
