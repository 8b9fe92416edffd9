"""The state as one program has it: read without waiting, changed under locks, told to those who depend on it.

What is known is a value that a change replaces as a whole. A change is made under two locks, of this program's threads
and between programs, on what the file says then; it is on disk when it is over.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firstlight.invoke.types import WorkerSpec
from firstlight.project.types import Asynchronous
from firstlight.versions import rules
from firstlight.versions.errors import VersionError
from firstlight.versions.file import Stamp, StateFile
from firstlight.versions.state import Function, State

_Value = TypeVar("_Value")
_NOTHING = Function()


@dataclass(slots=True)
class Change:
    """A function as it was when its change began, and what becomes of it."""

    function: Function


class Ledger:
    """The functions of a project, as they are written down.

    Args:
        folder: where ``functions.json`` is.
        specs: how the project's endpoints are started now.
        asynchronous: what the project says of their Event invocations.

    Attributes:
        problem: why the state cannot be read; then changes are refused.
    """

    def __init__(
        self,
        folder: Path,
        specs: Callable[[], Mapping[str, WorkerSpec]],
        asynchronous: Callable[[], Mapping[str, Asynchronous]],
    ) -> None:
        self._file = StateFile(folder)
        self._specs = specs
        self._asynchronous = asynchronous
        self._callbacks: list[Callable[[], None]] = []
        self._changing = threading.RLock()
        self._state: State = {}
        self._stamp: Stamp = None
        self.problem: VersionError | None = None
        self._read()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call this after every change, another program's too, on the thread that made it or found it."""
        self._callbacks.append(callback)

    def _function(self, endpoint: str) -> Function:
        return self._fresh().get(endpoint, _NOTHING)

    def _known(self, endpoint: str) -> Function:
        """What is known of an endpoint of the project.

        Raises:
            EndpointNotFound: it has none of that name.
        """
        if endpoint not in self._specs():
            raise rules.not_found(endpoint)
        return self._function(endpoint)

    def _fresh(self) -> State:
        """The state, read again where another program has written it."""
        if self._file.stamp() != self._stamp and self._changing.acquire(blocking=False):
            try:
                changed = self._read()
            finally:
                self._changing.release()
            if changed:
                self._tell()
        return self._state

    def _read(self) -> bool:
        """Take what the file says; whether it is something else than before.

        Nothing is raised: where the file is garbage, ``problem`` says so and what was known before is still served.
        """
        stamp = self._file.stamp()
        if stamp is not None and stamp == self._stamp:
            return False
        before = self._state
        try:
            self._state, self.problem = self._file.read(), None
        except VersionError as error:
            self.problem = error
        self._stamp = stamp
        return self._state != before

    @contextlib.contextmanager
    def _change(self, endpoint: str) -> Iterator[Change]:
        """Change what is known of an endpoint; it is written when the block ends without an error.

        Raises:
            EndpointNotFound: the project has none of that name.
            VersionError: the state cannot be read or written.
        """
        self._known(endpoint)
        with self._changing, self._file.locked():
            found = self._read()
            if self.problem is not None:
                raise self.problem
            function = self._state.get(endpoint, _NOTHING)
            change = Change(function)
            yield change
            changed = change.function != function
            if changed:
                state = {**self._state, endpoint: change.function}
                self._file.write(state)
                self._state, self._stamp = state, self._file.stamp()
        if changed or found:
            self._tell()

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()


def without(there: Mapping[str, _Value], name: str) -> dict[str, _Value]:
    """A mapping less one of its keys."""
    return {key: value for key, value in there.items() if key != name}
