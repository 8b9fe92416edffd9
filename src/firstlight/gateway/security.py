"""Who may talk to the server: Host and Origin checks, the bearer token, and the headers that keep pages safe.

A server on a laptop is reached by every web page its user opens. Two checks keep those out: the Host header has to be
a name of this server (a page of another name that resolves to 127.0.0.1 is refused: DNS rebinding), and a request
that a browser says came from another site is refused (Origin, Fetch Metadata). Where the server listens on an address
that is not loopback, a token is asked for: as ``Authorization: Bearer``, as the access key id of a SigV4 signature
(all that AWS SDKs can send), or once as ``?token=`` in a browser, which then keeps a cookie made from it.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstlight.gateway.asgi import RESPOND, Answer, Call, Explain
from firstlight.runtime.errors import FirstlightError, Forbidden, Unauthorized

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
COOKIE = "firstlight"
OPEN_PATHS = frozenset({"/livez", "/readyz", "/ping"})
"""Answered without a token: they say nothing but that the server runs. So are the files below ``/assets/``."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every answer."""
PAGE_HEADERS = (
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with that, browsers send "Origin: null" with a form, and the form is refused.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)
"""On pages besides, unless an answer brings its own."""

_HOSTS_KEPT = 64
"""Host headers, ports included, that need not be taken apart again."""
_PAGE_TYPES = (b"text/html", b"image/svg")
_SIGV4 = re.compile(r"AWS4-HMAC-SHA256\s+.*?Credential=([^/,\s]+)/")


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: what is guarded.
        explain: makes the answer to a refused request, in the shape of the protocol it came by.
        token: what has to be sent; None asks for nothing, and then only loopback addresses are served.
        hosts: names, without a port, that may stand in the Host header; ``*`` allows all and needs a token.
        anyone: no token is asked for although others reach the server; somebody else stands before it.
        opens: whether what is at a path asks itself who comes, so that the token is not needed there.
    """

    def __init__(
        self,
        app: ASGIApp,
        explain: Explain,
        token: str | None = None,
        hosts: Iterable[str] = LOOPBACK_HOSTS,
        opens: Callable[[str], bool] = lambda _path: False,
        *,
        anyone: bool = False,
    ) -> None:
        self.app = app
        self.opens = opens
        self.explain = explain
        self.token = token.encode() if token else None
        names = {name.lower() for name in hosts}
        self.anyone = anyone and token is None
        self.hosts = (
            None
            if "*" in names and (token or anyone)
            else frozenset(names - {"*"}) | frozenset(LOOPBACK_HOSTS)
        )
        self._hosts_seen: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = with_headers(message["headers"])
            await send(message)

        respond = scope.get(RESPOND)
        if respond is not None:
            scope[RESPOND] = lambda status, headers, body: respond(status, with_headers(headers), body)
        call = Call(scope, receive)
        try:
            login = self._check(call)
        except FirstlightError as error:
            await self.explain(error, call).send(guarded_send)
            return
        if login is not None:
            await login.send(guarded_send)
            return
        await self.app(scope, receive, guarded_send)

    def _check(self, call: Call) -> Answer | None:
        """Raise for a request that is refused; the answer to a browser that logs in; else None."""
        host = call.header(b"host")
        if (
            self.hosts is not None
            and host not in self._hosts_seen
            and not (self._is_ours(host) or _is_function_url(call, host))
        ):
            raise Forbidden(
                f"this server is not called {host[:100]!r}",
                "use localhost, or start it with the name allowed",
            )
        _refuse_other_sites(call, host)
        if self.token is None:
            server = call.scope.get("server")
            reached = server is not None and server[1] is not None and not _loopback(server[0])
            if reached and not self.anyone:
                raise Unauthorized("this address needs a token and the server was started without one")
            return None
        path = call.scope["path"]
        if path in OPEN_PATHS or path.startswith("/assets/"):
            return None
        return self._authorize(call, self.token)

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server; those that do are remembered, as there are few."""
        if self.hosts is not None and _host_name(host) not in self.hosts:
            return False
        if len(self._hosts_seen) < _HOSTS_KEPT:
            self._hosts_seen.add(host)
        return True

    def _authorize(self, call: Call, token: bytes) -> Answer | None:
        scheme, _, value = call.header(b"authorization").partition(" ")
        if scheme.lower() == "bearer" and _same(value.strip(), token):
            return None
        signed = _SIGV4.match(call.header(b"authorization"))
        if signed and _same(signed[1], token):
            return None
        if _same(_cookie(call), cookie_value(token)):
            return None
        if call.scope["method"] == "GET":
            fields = parse_qsl(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            if any(name == "token" and _same(value, token) for name, value in fields):
                return _logged_in(
                    call.scope["path"], [field for field in fields if field[0] != "token"], token
                )
        if self.opens(call.scope["path"]):
            return None
        raise Unauthorized(
            "this server asks for its token",
            "send Authorization: Bearer TOKEN, or open /?token=TOKEN once in a browser",
        )


def cookie_value(token: bytes) -> bytes:
    """What the cookie holds: made from the token, so that a cookie that leaks is not the token."""
    return hmac.new(token, b"firstlight page login", hashlib.sha256).hexdigest().encode()


def _logged_in(path: str, fields: list[tuple[str, str]], token: bytes) -> Answer:
    """The cookie, and a page that goes on to the same address without the token in it.

    A redirect would not do: after a click in a chat window it still counts as that site's request, and browsers send
    no Strict cookie with it. A refresh is the page's own.
    """
    query = f"?{urlencode(fields)}" if fields else ""
    # Two slashes at the start would be another server's address.
    location = html.escape(quote("/" + path.lstrip("/\\")) + query)
    cookie = f"{COOKIE}={cookie_value(token).decode()}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"set-cookie", cookie.encode()),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
    ]
    page = f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={location}">'
    page += f'<title>firstlight</title><a href="{location}">Continue</a>'
    return Answer(200, page.encode(), headers)


def _same(sent: str | bytes, wanted: bytes) -> bool:
    sent = sent.encode("utf-8", "surrogateescape") if isinstance(sent, str) else sent
    return hmac.compare_digest(sent, wanted)


def _cookie(call: Call) -> str:
    for part in call.header(b"cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _host_name(host: str) -> str:
    """The Host header without its port, in lower case; IPv6 addresses keep their brackets."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].rstrip(".")


def _is_function_url(call: Call, host: str) -> bool:
    """Whether the Host header is ``NAME.lambda-url.localhost``; the path is then below that endpoint's Function URL.

    Nobody else can have a name below ``localhost`` (RFC 6761), so this opens nothing to DNS rebinding.
    """
    name, found, rest = host.partition(".lambda-url.localhost")
    if not found or not name or "/" in name or (rest and not rest.startswith(":")):
        return False
    call.scope["path"] = f"/lambda-url/{name}{call.scope['path']}"
    return True


def _refuse_other_sites(call: Call, host: str) -> None:
    """Raise for what a browser sends on behalf of another site's page. Tools other than browsers send no Origin."""
    origin = call.headers.get(b"origin")
    method = call.scope["method"]
    if origin is not None:
        if origin.decode("latin-1").partition("://")[2].lower() != host.lower():
            raise Forbidden(
                f"a page of {origin.decode('latin-1')[:100]!r} may not use this server",
                "open the server's own page",
            )
    elif method not in ("GET", "HEAD") and call.headers.get(b"sec-fetch-site") in (
        b"cross-site",
        b"same-site",
    ):
        raise Forbidden("a page of another site may not use this server", "open the server's own page")


@lru_cache(maxsize=64)
def _loopback(address: str) -> bool:
    """Whether only this machine can have come in by the address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in LOOPBACK_HOSTS


def with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that keep pages safe."""
    merged = [*headers, *HEADERS]
    for name, value in merged:
        if name == b"content-type" and value.startswith(_PAGE_TYPES):
            names = {name for name, _ in merged}
            return [*merged, *(header for header in PAGE_HEADERS if header[0] not in names)]
    return merged
