"""Stands between a command and AWS, counts what is asked, and ends the command at a chosen question."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_HOP = {"connection", "transfer-encoding", "content-length", "host"}
SECONDS = 120


class Stopping:
    """A port that leads to an emulator.

    Attributes:
        moment: ``(operation, count)``: the command ends at the count-th question of that name, before it is passed on
            (``when="before"``) or once it was answered (``"after"``).
    """

    def __init__(self, to: str) -> None:
        self.to = urlsplit(to)
        self.moment: tuple[str, int] | None = None
        self.when, self.number = "after", signal.SIGKILL
        self.seen: dict[str, int] = {}
        self.process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def asked(self, operation: str) -> bool:
        """Count a question; whether it is the moment."""
        with self._lock:
            self.seen[operation] = self.seen.get(operation, 0) + 1
            return self.moment == (operation, self.seen[operation])

    def run(self, words: list[str], env: dict[str, str], folder: Any) -> tuple[int, str, str]:
        """Run a command to its end or to the moment."""
        self.seen.clear()
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            env={**env, "AWS_ENDPOINT_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err

    def stop(self) -> None:
        """End the command."""
        if self.process is not None:
            os.kill(self.process.pid, self.number)
            if self.number == signal.SIGKILL:
                self.process.wait(SECONDS)


@contextmanager
def stopping(to: str) -> Iterator[Stopping]:
    """A port that leads to an emulator, and ends the command that asks."""
    made = Stopping(to)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()


def named(method: str, path: str, headers: Any, body: bytes) -> str:
    """What a request asks for: ``CreateChangeSet``, ``PutObject``, ``Invoke``, ``DeleteTable``; else its method."""
    if target := headers.get("X-Amz-Target"):
        return str(target).rpartition(".")[2]
    if b"Action=" in body[:2000]:
        return parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
    if path.endswith("/invocations"):
        return "Invoke"
    if ".zip" in path or ".json" in path:
        return {"PUT": "PutObject", "HEAD": "HeadObject"}.get(method, method)
    return method


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, once it was counted."""

    protocol_version = "HTTP/1.1"
    owner: Stopping

    def log_message(self, *words: Any) -> None: ...

    def pass_on(self) -> None:
        body = self._body()
        moment = self.owner.asked(named(self.command, self.path, self.headers, body))
        if moment and self.owner.when == "before":
            self.owner.stop()
            self.close_connection = True
            return
        status, headers, answer = self._answer(body)
        if moment:
            self.owner.stop()
        try:
            self._say(status, headers, answer)
        except OSError:
            self.close_connection = True  # the command is gone

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = pass_on

    def _say(self, status: int, headers: list[tuple[str, str]], answer: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers:
            if key.lower() not in _HOP:
                self.send_header(key, value)
        length = dict(headers).get("Content-Length", "0") if self.command == "HEAD" else str(len(answer))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(answer)

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def _answer(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        to = self.owner.to
        connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=SECONDS)
        kept = {key: value for key, value in self.headers.items() if key.lower() not in (*_HOP, "expect")}
        connection.request(self.command, self.path, body, {**kept, "Host": to.netloc})
        response = connection.getresponse()
        found = response.status, response.getheaders(), response.read()
        connection.close()
        return found
