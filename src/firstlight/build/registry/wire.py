"""HTTP to registries: connections that are kept, TLS, proxies; nothing here knows what a registry is.

Only the standard library is used, as a connection has to be had in hand: an answer may come before a body was sent.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

CONNECT_S, ANSWER_S, END_S = 20.0, 120.0, 600.0
"""How long a connection, a byte of an answer, and one to PUT may take: some registries copy a whole layer by then."""

_MOST = 16 << 20
"""Bytes of an answer that is not a layer: manifests have at most 4 MiB in any registry."""
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")

FAILURES = (OSError, http.client.HTTPException)
"""What a connection that fails raises."""


class Body(Protocol):
    """What is sent with a request; it may have to be sent again."""

    @property
    def size(self) -> int:
        """Bytes."""

    def pieces(self) -> Iterator[bytes]:
        """The bytes, from the first one on."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """A body that is in memory."""

    content: bytes = b""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def pieces(self) -> Iterator[bytes]:
        """The bytes in one piece."""
        yield self.content


class Answer:
    """An answer; its connection is kept for the next request once it was read whole.

    Args:
        url: that was asked.
        response: its body is still to be read.
        connection: it comes over.
        wire: takes the connection back.
    """

    def __init__(
        self, url: str, response: http.client.HTTPResponse, connection: http.client.HTTPConnection, wire: Wire
    ) -> None:
        self.url = url
        self.status = response.status
        self.headers = response.headers
        self._response, self._connection, self._wire = response, connection, wire
        self._content: bytes | None = None

    def read(self) -> bytes:
        """The body of a small answer, the same each time; the connection is given back.

        Raises:
            http.client.HTTPException, OSError: it did not come whole, or is far too large.
        """
        if self._content is not None:
            return self._content
        try:
            body = self._response.read(_MOST + 1)
            if len(body) > _MOST:
                raise http.client.HTTPException(f"the answer has more than {_MOST} bytes")
            if self._response.length:  # read(n) does not tell that the rest is missing
                raise http.client.IncompleteRead(body, self._response.length)
        except BaseException:
            self._connection.close()
            raise
        self.close()
        self._content = body
        return body

    def drop(self) -> bytes:
        """The body where it does not matter; empty where it did not come."""
        try:
            return self.read()
        except FAILURES:
            return b""

    def pieces(self, size: int = 256 << 10) -> Iterator[bytes]:
        """The body of a large answer as it comes in."""
        try:
            while piece := self._response.read1(size):
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back where it can be used again."""
        response = self._response
        whole = response.length == 0 or (response.length is None and response.isclosed())
        if whole and not response.will_close:
            response.close()
            self._wire.keep(urlsplit(self.url), self._connection)
        else:
            self._connection.close()


class Wire:
    """Connections to any host, used by several threads.

    Args:
        environment: says which proxies and certificates are used.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> Answer:
        """Send a request and return what comes back, whatever its status.

        Raises:
            OSError, http.client.HTTPException: the connection failed.
        """
        place = urlsplit(url)
        kept = self._take(place)
        if kept is not None:
            try:
                return self._send(kept, method, place, headers, body)
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                # It was closed while it was idle: a new one says what is the matter. Of a stream some may have arrived.
                if body is not None and not isinstance(body, Bytes):
                    raise
        return self._send(self._connect(place), method, place, headers, body)

    def close(self) -> None:
        """End all connections that are not in use."""
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def keep(self, place: SplitResult, connection: http.client.HTTPConnection) -> None:
        """Take a connection back."""
        with self._lock:
            self._idle.setdefault((place.scheme, place.netloc), []).append(connection)

    def _take(self, place: SplitResult) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get((place.scheme, place.netloc))
            return idle.pop() if idle else None

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        place: SplitResult,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> Answer:
        try:
            connection.sock.settimeout(END_S if method == "PUT" else ANSWER_S)
            self._request(connection, method, place, headers, body)
            return Answer(place.geturl(), connection.getresponse(), connection, self)
        except BaseException:
            connection.close()
            raise

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        place: SplitResult,
        headers: Mapping[str, str],
        body: Body | None,
    ) -> None:
        target = f"{place.path or '/'}{f'?{place.query}' if place.query else ''}"
        through = place.scheme == "http" and self._proxy(place) is not None
        connection.putrequest(
            method,
            f"http://{place.netloc}{target}" if through else target,
            skip_host=through,
            skip_accept_encoding=True,
        )
        for name, value in {**self._extra(place, through), **headers}.items():
            connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(body.size if body else 0))
        connection.endheaders()
        try:
            for piece in body.pieces() if body else ():
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            # The other side may have answered before it had all, such as 401 or 413; where not, reading fails too.
            pass

    def _extra(self, place: SplitResult, through: bool) -> dict[str, str]:
        extra = {"User-Agent": "firstlight", "Accept-Encoding": "identity"}
        proxy = self._proxy(place)
        if through and proxy is not None:
            extra["Host"] = place.netloc
            extra.update(_proxy_authorization(proxy))
        return extra

    def _connect(self, place: SplitResult) -> http.client.HTTPConnection:
        host, port = place.hostname or "", place.port or (443 if place.scheme == "https" else 80)
        proxy = self._proxy(place)
        near = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        connection: http.client.HTTPConnection
        if place.scheme == "https":
            connection = http.client.HTTPSConnection(*near, timeout=CONNECT_S, context=self._trust)
            if proxy:
                connection.set_tunnel(host, port, _proxy_authorization(proxy))
        else:
            connection = http.client.HTTPConnection(*near, timeout=CONNECT_S)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _proxy(self, place: SplitResult) -> SplitResult | None:
        """The proxy for a host, as the usual variables say; what is on this machine has none."""
        lower = {name.lower(): value for name, value in self._environment.items() if value}
        said = lower.get(f"{place.scheme}_proxy") or lower.get("all_proxy")
        if not said or is_here(place.hostname or "") or _bypassed(place, lower.get("no_proxy", "")):
            return None
        return urlsplit(said if "://" in said else f"http://{said}")

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for name in _BUNDLES:
            if (file := self._environment.get(name)) and Path(file).is_file():
                context.load_verify_locations(file)
        return context


def is_here(host: str) -> bool:
    """Whether a host is this machine; a name that only begins like an address of it is not."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _bypassed(place: SplitResult, without: str) -> bool:
    host = place.hostname or ""
    for entry in (part.strip().lower() for part in without.split(",")):
        bare = entry.lstrip("*").lstrip(".")
        if entry == "*" or (bare and bare in (host, place.netloc)) or (bare and host.endswith(f".{bare}")):
            return True
    return False


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    said = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}
