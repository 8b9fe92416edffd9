"""The head of a request, as it arrives, and what ASGI is told of it."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools

from firstlight.gateway.edge.limits import Limits

LONG_URL = (414, "the address of the request is too long")
MANY_FIELDS = (431, "the request has too many header fields")
LARGE_HEAD = (431, "the header fields of the request are too large")
BAD_URL = (400, "the address of the request is none")
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class Head:
    """The head that a connection is reading, or has read last.

    Args:
        limits: how large it may be.

    Attributes:
        refused: status and reason, once it can no longer be taken.
        at_once: whether the body is short, or there is none, so that it is read first.
        expects: whether the client waits for "100 Continue".
    """

    __slots__ = ("_limits", "_room", "_url", "at_once", "expects", "fields", "refused")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.begin()

    def begin(self) -> None:
        """A new one."""
        self._url = b""
        self._room = self._limits.head
        self.fields: list[tuple[bytes, bytes]] = []
        self.refused: tuple[int, str] | None = None
        self.at_once = True
        self.expects = False

    def add_url(self, piece: bytes) -> None:
        """A part of the request's target."""
        if len(self._url) + len(piece) > self._limits.url:
            self.refused = LONG_URL
        else:
            self._url += piece

    def add(self, name: bytes, value: bytes) -> None:
        """A header field."""
        name = name.lower()
        self._room -= len(name) + len(value)
        if self._room < 0 or len(self.fields) >= self._limits.fields:
            self.refused = self.refused or (LARGE_HEAD if self._room < 0 else MANY_FIELDS)
            return
        self.fields.append((name, value))
        if name == b"content-length":
            self.at_once = self.at_once and len(value) < 18 and int(value) <= self._limits.at_once
        elif name == b"transfer-encoding":
            self.at_once = False
        elif name == b"expect" and value.lower() == b"100-continue":
            self.at_once, self.expects = False, True

    def waiting(self, size: int) -> None:
        """It is not complete, with so many bytes received."""
        if size > self._limits.url and not self._url:
            self.refused = self.refused or LONG_URL
        elif size > self._limits.url + self._limits.head:
            self.refused = self.refused or LARGE_HEAD

    def scope(self, parser: Any, about: dict[str, Any], state: dict[str, Any]) -> dict[str, Any] | None:
        """ASGI's scope of the complete head; None where it is refused.

        Args:
            parser: knows method and version.
            about: what is true of the whole connection.
            state: what the application shares with its requests.
        """
        if self.refused is not None:
            return None
        raw, _, query = self._url.partition(b"?")
        if not raw.startswith(b"/") or b"#" in self._url:
            try:
                parsed = httptools.parse_url(self._url)
            except httptools.HttpParserInvalidURLError:
                self.refused = BAD_URL
                return None
            raw, query = parsed.path or b"/", parsed.query or b""
        path = raw.decode("latin-1")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": parser.get_http_version(),
            **about,
            "headers": self.fields,
            "state": dict(state),
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw,
            "query_string": query,
        }


def addresses(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """What of ASGI's scope is the same for every request of a connection."""
    server, client = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return {
        "server": (str(server[0]), int(server[1])) if isinstance(server, tuple) else None,
        "client": (str(client[0]), int(client[1])) if isinstance(client, tuple) else None,
        "scheme": "http",
        "root_path": "",
    }
