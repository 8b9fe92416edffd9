"""A registry in the test's own process that fails when it is told to; what it was asked is written down."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from small_images import INDEX, MANIFEST, digest

Instead = tuple[int, dict[str, str], bytes]


@dataclass
class State:
    """What a registry has, and what it is told to do.

    Attributes:
        user: ``name:password``; empty for everybody.
        bearer: tokens are asked for, which ``/token`` gives to ``user``.
        refresh: an identity token that is exchanged for tokens.
        instead: (method, pattern of the path) -> answers given instead of the right ones, in turn.
        cut: bytes of bodies of PATCH after which the connection is cut, in turn.
        short: bytes of blobs after which a download is cut, in turn.
        most: bytes of a body; longer ones are answered 413.
        taken: status of a PATCH that was taken.
        own_scope: is named in challenges instead of the repository's.
        elsewhere: address that blobs are at; they are redirected there.
        asked: (method, path, headers), in order.
    """

    user: str = ""
    bearer: bool = False
    refresh: str = ""
    seconds: int = 300
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    instead: dict[tuple[str, str], list[Instead]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    short: list[int] = field(default_factory=list)
    elsewhere: str = ""
    most: int = 1 << 40
    taken: int = 202
    own_scope: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def count(self, method: str, pattern: str = "") -> int:
        """How often something was asked for."""
        return sum(
            1 for asked, path, _ in self.asked if re.fullmatch(method, asked) and re.search(pattern, path)
        )


class SmallRegistry:
    """The registry, running."""

    def __init__(self) -> None:
        self.state = State()
        self._server = _Quiet(("127.0.0.1", 0), type("Bound", (_Answers,), {"state": self.state}))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """The other side went away, which tests mean to happen."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def _handle(self) -> None:
        state = self.state
        state.asked.append((self.command, self.path, dict(self.headers)))
        place = urlsplit(self.path)
        if place.path == "/token":
            return self._token()
        for (method, pattern), answers in state.instead.items():
            if answers and method == self.command and re.search(pattern, self.path):
                self._body()
                status, headers, content = answers.pop(0)
                return self._say(status, headers, content)
        if not self._is_let_in():
            self._body()
            challenge = 'Basic realm="here"'
            if state.bearer:
                name = "/".join(place.path.split("/")[2:4])
                challenge = (
                    f'Bearer realm="http://{self.headers["Host"]}/token",service="small",'
                    f'scope="{state.own_scope or f"repository:{name}:pull"}"'
                )
            return self._say(401, {"WWW-Authenticate": challenge}, _error("UNAUTHORIZED", "who is there?"))
        return self._distribution(place.path, parse_qs(place.query))

    def _is_let_in(self) -> bool:
        if not self.state.user and not self.state.bearer:
            return True
        sent = self.headers.get("Authorization", "")
        basic = f"Basic {base64.b64encode(self.state.user.encode()).decode()}"
        return sent == (
            f"Bearer token-{self.state.count('(GET|POST)', '^/token')}" if self.state.bearer else basic
        )

    def _token(self) -> None:
        basic = f"Basic {base64.b64encode(self.state.user.encode()).decode()}"
        form = parse_qs(self._body().decode())
        exchanged = self.command == "POST" and form.get("refresh_token") == [self.state.refresh]
        if self.state.user and not exchanged and self.headers.get("Authorization") != basic:
            return self._say(401, {}, b"{}")
        token = {
            "token": f"token-{self.state.count('(GET|POST)', '^/token')}",
            "expires_in": self.state.seconds,
        }
        return self._say(200, {}, json.dumps(token).encode())

    def _distribution(self, path: str, query: dict[str, list[str]]) -> None:
        if found := re.fullmatch(r"/v2/(.+)/manifests/(.+)", path):
            return self._manifest(found[2])
        if found := re.fullmatch(r"/v2/(.+)/blobs/uploads/(.*)", path):
            return self._upload(found[1], found[2], query)
        if found := re.fullmatch(r"/v2/(.+)/blobs/(.+)", path):
            return self._blob(found[2])
        return self._say(200 if path == "/v2/" else 404, {}, b"{}")

    def _manifest(self, named: str) -> None:
        state = self.state
        if self.command == "PUT":
            content = self._body()
            state.manifests[named] = state.manifests[digest(content)] = content
            return self._say(201, {"Docker-Content-Digest": digest(content)})
        if named not in state.manifests:
            return self._say(404, {}, _error("MANIFEST_UNKNOWN", "no such manifest"))
        content = state.manifests[named]
        kind = INDEX if b'"manifests"' in content else MANIFEST
        return self._say(200, {"Docker-Content-Digest": digest(content), "Content-Type": kind}, content)

    def _blob(self, named: str) -> None:
        content = self.state.blobs.get(named)
        if content is None:
            return self._say(404, {}, _error("BLOB_UNKNOWN", "no such blob"))
        if self.state.elsewhere and self.command == "GET":
            return self._say(307, {"Location": f"{self.state.elsewhere}/v2/a/blobs/{named}"})
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        headers, status = {}, 200
        if start and self.command == "GET":
            headers["Content-Range"] = f"bytes {start[1]}-{len(content) - 1}/{len(content)}"
            content, status = content[int(start[1]) :], 206
        if self.command == "GET" and self.state.short:
            return self._cut_short(status, headers, content, self.state.short.pop(0))
        return self._say(status, headers, content)

    def _cut_short(self, status: int, headers: dict[str, str], content: bytes, many: int) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:many])
        self._hang_up()

    def _upload(self, name: str, named: str, query: dict[str, list[str]]) -> None:
        state = self.state
        if self.command == "POST":
            if "mount" in query and query["mount"][0] in state.blobs:
                return self._say(201, {"Docker-Content-Digest": query["mount"][0]})
            named = f"u{state.count('POST')}-{threading.get_ident()}"
            state.uploads[named] = bytearray()
            return self._far(202, name, named)
        if named not in state.uploads:
            self._body()
            return self._say(404, {}, _error("BLOB_UPLOAD_UNKNOWN", "no such upload"))
        if self.command == "GET":
            return self._far(204, name, named)
        if int(self.headers.get("Content-Length", 0)) > state.most:
            self._body()
            return self._say(413, {}, b"too large")
        if self.command == "PATCH":
            for piece in self._pieces():
                state.uploads[named] += piece
            return None if self.close_connection else self._far(state.taken, name, named)
        content = bytes(state.uploads[named]) + self._body()
        if digest(content) != query["digest"][0]:
            return self._say(400, {}, _error("DIGEST_INVALID", "another digest"))
        state.blobs[digest(content)] = content
        del state.uploads[named]
        return self._say(201, {"Docker-Content-Digest": digest(content)})

    def _far(self, status: int, name: str, named: str) -> None:
        far = max(len(self.state.uploads[named]) - 1, 0)
        self._say(status, {"Location": f"/v2/{name}/blobs/uploads/{named}?state=x", "Range": f"0-{far}"})

    def _pieces(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", 0))
        most = self.state.cut.pop(0) if self.state.cut else left
        while left:
            piece = self.rfile.read(min(left, most, 4096))
            left, most = left - len(piece), most - len(piece)
            yield piece
            if not most and left:
                self._hang_up()
                return

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _say(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
