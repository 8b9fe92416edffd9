"""What a hub was asked, and how much it sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """One request and its answer.

    Attributes:
        method, path, query: as they were sent, the path without its percent signs.
        host: the name it was sent to, with the port.
        token: of the Authorization header; empty where there is none.
        range: the Range header.
        agent: the User-Agent header.
        file: ``owner/name/path`` where it is about a file, else empty.
        status: of the answer.
        sent: bytes of the answer's body that went out so far.
        content: whether these bytes are the file's.
    """

    method: str
    path: str
    query: str = ""
    host: str = ""
    token: str = ""
    range: str = ""
    agent: str = ""
    file: str = ""
    status: int = 0
    sent: int = 0
    content: bool = False

    def as_json(self) -> dict[str, Any]:
        """All of it but the token."""
        return {name: value for name, value in vars(self).items() if name != "token"}


@dataclass
class Log:
    """All requests, in the order they came in."""

    requests: list[Request] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, request: Request) -> None:
        """A request that has just come in."""
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def count(self, request: Request, sent: int) -> None:
        """So many bytes more have gone out."""
        with self.changed:
            request.sent += sent
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until the condition holds, which is looked at after each change.

        Raises:
            TimeoutError: it did not come to hold.
        """
        with self.changed:
            if not self.changed.wait_for(condition, timeout_s):
                raise TimeoutError(f"not within {timeout_s} s; the last requests: {self.requests[-3:]}")
