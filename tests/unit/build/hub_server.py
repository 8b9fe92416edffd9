"""A small Hugging Face hub on a local port: the parts of its HTTP protocol that a download uses.

HEAD and GET of ``/{repo}/resolve/{revision}/{file}`` answer with ``ETag``, ``X-Repo-Commit`` and, for large files, a
redirect with ``X-Linked-Size`` and ``X-Linked-Etag``; ``/api/models/{repo}/tree/{revision}`` lists files. Errors carry
``X-Error-Code`` (https://huggingface.co/docs/hub/api; huggingface_hub, ``utils/_http.py``).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """What the server has, and what it was asked.

    Attributes:
        stores: where large files are, under another host's name, as the hub's own are.
        files: content by ``owner/name/file``; files of 1000 bytes and more are behind a redirect.
        private: repository -> the token that may read it.
        gated: repositories nobody was let into.
        drops: cut the next download of a large file after that many bytes; 0 is never.
        commit: what every revision points to; empty where the server is no hub.
        broken: answer everything with this status; 0 is not.
        asked: method, path and Range of each request.
    """

    url: str = ""
    stores: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    private: dict[str, str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    drops: int = 0
    commit: str = COMMIT
    broken: int = 0
    asked: list[tuple[str, str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, only_head: bytes | None) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path).strip("/")
        hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if hub.broken:
            return self._say(hub.broken, {})
        parts = path.split("/")
        if parts[0] == "large":
            return self._large(path.removeprefix("large/"))
        if parts[:2] == ["api", "models"]:
            repository = "/".join(parts[2:4])
            names = [
                name.removeprefix(f"{repository}/") for name in hub.files if name.startswith(f"{repository}/")
            ]
            listed = [{"type": "file", "path": name, "size": 1, "oid": "0"} for name in names]
            return self._say(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())
        repository, revision, file = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        if refusal := self._refused(repository, revision, file):
            status, code = refusal
            return self._say(status, {"X-Error-Code": code, "X-Error-Message": code})
        content = hub.files[f"{repository}/{file}"]
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"'} | ({"X-Repo-Commit": hub.commit} if hub.commit else {})
        if len(content) < 1000:
            return self._say(200, headers, content)
        linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{etag}"'}
        return self._say(302, headers | linked | {"Location": f"{hub.stores}/large/{repository}/{file}"})

    def _refused(self, repository: str, revision: str, file: str) -> tuple[int, str] | None:
        hub, token = self.hub, self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository in hub.gated:
            return 403, "GatedRepo"
        if hub.private.get(repository, token) != token or not any(
            n.startswith(f"{repository}/") for n in hub.files
        ):
            return 401, "RepoNotFound"
        if revision not in ("main", COMMIT, "v1"):
            return 404, "RevisionNotFound"
        return None if f"{repository}/{file}" in hub.files else (404, "EntryNotFound")

    def _large(self, name: str) -> None:
        content, start = self.hub.files[name], 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.command == "GET" and self.hub.drops:
            kept, self.hub.drops = self.hub.drops, 0
            self._say(200, headers | {"Content-Length": str(len(content))}, content[:kept])
            self.close_connection = True
            return
        self._say(206 if start else 200, headers, content[start:])

    def _say(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Nothing on stderr."""


@contextmanager
def running() -> Iterator[Hub]:
    """A hub on a free port of 127.0.0.1 for as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.stores = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
