"""What goes wrong on purpose: which requests are hit, how often, and how."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        on: a pattern (``*``, ``?``) of ``owner/name/path`` for the requests that carry the content of files, or of a
            path that begins with ``/`` for any request.
        times: how many requests it hits; None is all.
        status: answer with this status instead.
        retry_after: seconds, for the header of that name; sent with ``status``.
        after: end the connection when so many bytes of the answer are out.
        reset: end it with a reset (RST) and not in good order.
        hold: stop sending when so many bytes are out, until ``release`` or until the other side is gone.
        bytes_per_second: send at this rate.
        content: send these bytes instead; the headers still are of the right ones.
    """

    on: str
    times: int | None = 1
    status: int = 0
    retry_after: int | None = None
    after: int | None = None
    reset: bool = False
    hold: int | None = None
    bytes_per_second: int | None = None
    content: bytes | None = None
    released: threading.Event = field(default_factory=threading.Event, repr=False)

    def release(self) -> None:
        """Send on what is held."""
        self.released.set()


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []

    def add(self, on: str, **more: Any) -> Fault:
        """A fault; the arguments are its attributes."""
        fault = Fault(on, **more)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Nothing goes wrong any more; what is held is sent on."""
        with self._lock:
            for fault in self._waiting:
                fault.release()
            self._waiting.clear()

    def take(self, *subjects: str) -> Fault | None:
        """The first fault that hits one of the subjects of a request; it is used up by as much."""
        with self._lock:
            for fault in self._waiting:
                if fault.times == 0 or not any(fnmatchcase(subject, fault.on) for subject in subjects):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


NAMES = frozenset(each.name for each in fields(Fault)) - {"released"}


def of_json(entry: object, prefix: str = "") -> dict[str, Any]:
    """The arguments of ``Faults.add`` from a JSON object.

    Args:
        entry: what a fault has, by name; ``content`` as text.
        prefix: goes before a pattern that is no path.

    Raises:
        ValueError: it is no fault.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("on"), str) or set(entry) - NAMES:
        raise ValueError(f"a fault has 'on' and some of {', '.join(sorted(NAMES - {'on'}))}, not {entry!r}")
    found = dict(entry)
    if not found["on"].startswith("/"):
        found["on"] = prefix + found["on"]
    if isinstance(found.get("content"), str):
        found["content"] = found["content"].encode()
    return found
