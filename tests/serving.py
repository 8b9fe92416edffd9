"""A server as its user starts it: ``firstlight serve`` in a project's folder, on a free port."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 60.0

PROJECT = """
name = "clients"
[endpoints.sentiment]
model = "starter:sentiment"
[endpoints.qa]
model = "starter:qa"
route = "/qa"
[endpoints.embeddings]
model = "starter:embeddings"
[endpoints.brief]
script = "inference/brief.py"
timeout = 1
[endpoints.streamer]
script = "inference/streamer.py"
route = "/stream"
"""

ECHO = '''
"""Answers what it was sent, and fails in the ways a handler can."""
import os
import sys


def handler(event, context):
    what = event.get("do")
    print("echo was asked to", what)
    if what == "raise":
        raise ValueError("boom")
    if what == "exit":
        os._exit(3)
    if what == "stream":
        return (piece.encode() for piece in ("first ", "light"))
    if what == "large":
        return "x" * 7_000_000
    return {"event": event, "arn": context.invoked_function_arn, "context": custom(context)}


def custom(context):
    found = context.client_context
    return getattr(found, "custom", None) if found else None
'''

BRIEF = """
import threading


def handler(event, context):
    threading.Event().wait(30)
"""

STREAMER = """
def handler(event, context):
    pieces = (text for text in ("first ", "light"))
    return {"statusCode": 202, "headers": {"content-type": "text/plain"}, "cookies": ["a=1"], "body": pieces}
"""

ROUTER = """
def handler(event, context):
    return {"statusCode": 200, "body": {"label": "POSITIVE", "score": 0.75, "text": event["text"]}}
"""


def write_project(folder: Path) -> Path:
    """A project of three starters and the scripts above."""
    (folder / "inference").mkdir(parents=True)
    (folder / "firstlight.toml").write_text(PROJECT)
    for name, text in {"echo": ECHO, "brief": BRIEF, "router": ROUTER, "streamer": STREAMER}.items():
        (folder / "inference" / f"{name}.py").write_text(text)
    return folder


class Server:
    """A running server.

    Args:
        folder: the project's.
        options: more words for ``firstlight serve``.
        program: how Python is told to run ``firstlight``.
    """

    def __init__(self, folder: Path, *options: str, program: tuple[str, ...] = ("-m", "firstlight")) -> None:
        command = [sys.executable, *program, "serve", "--port", "0", "--json", *options]
        env = {**os.environ, "FIRSTLIGHT_DATA_DIR": str(folder / "data")}
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.folder = folder
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.facts = self._announced()
        self.url: str = self.facts["url"]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of one request."""
        payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        try:
            connection.request(method, path, payload, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def _announced(self) -> dict[str, Any]:
        stdout = self.process.stdout
        line = stdout.readline() if stdout else ""
        if not line:
            self.process.wait(PATIENCE)
            raise RuntimeError("the server did not start: " + "".join(self.log))
        facts: dict[str, Any] = json.loads(line)
        return facts

    def _read(self) -> None:
        if self.process.stderr is not None:
            self.log.extend(self.process.stderr)
