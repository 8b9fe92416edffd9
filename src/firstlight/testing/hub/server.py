"""The server: HTTP/1.1 on a local port, every byte counted, faults on demand."""

from __future__ import annotations

import select
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from firstlight.testing.hub.answers import Answer, Refused, as_json
from firstlight.testing.hub.content import Store
from firstlight.testing.hub.faults import Fault, Faults
from firstlight.testing.hub.log import Log, Request
from firstlight.testing.hub.routes import Asked, Routes

_PIECE = 64 << 10
_LOOK_S = 0.05


class Hub:
    """A hub that is running; see the package's docstring.

    Attributes:
        url: for HF_ENDPOINT.
        stores: where the content of files in LFS is: the same server under another host name.
        folder: the repositories.
        faults: what is to go wrong.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder, self.faults, self._log = folder, Faults(), Log()
        self._kept = Path(tempfile.mkdtemp(prefix="firstlight-hub-"))
        self._routes = Routes(folder, Store(self._kept), self._log, self.faults)
        kind = type("Handler", (_Handler,), {"hub": self})
        try:
            self._server = _Server((host, port), kind)
        except OSError:
            shutil.rmtree(self._kept)
            raise
        self.closing = threading.Event()
        port = self._server.server_address[1]
        self.url = f"http://{host}:{port}"
        self.stores = self._routes.stores = f"http://localhost:{port}" if host == "127.0.0.1" else self.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def requests(self) -> list[Request]:
        """All of them, the last one last."""
        return self._log.requests

    def sent(self, file: str) -> int:
        """Bytes of content that were sent of ``owner/name/path``."""
        return sum(request.sent for request in self.fetched(file))

    def fetched(self, file: str) -> list[Request]:
        """The requests that carried content of ``owner/name/path``."""
        return [request for request in self.requests if request.content and request.file == file]

    def forget(self) -> None:
        """Empty the log."""
        self.requests.clear()

    def wait(self, condition: Callable[[], bool], timeout_s: float = 30) -> None:
        """Until a condition holds, looked at after each request and each piece that is sent.

        Raises:
            TimeoutError: it did not come to hold.
        """
        self._log.wait(condition, timeout_s)

    def commit(self, repository: str, revision: str = "main") -> str:
        """The id of a commit.

        Raises:
            KeyError: there is no such repository or revision.
        """
        found = self._routes.repositories.get(repository)
        commit = found and found.at(revision)
        if not commit:
            raise KeyError(f"{repository}@{revision}")
        return commit.id

    def answer(self, asked: Asked, raw_path: str) -> tuple[Answer, Fault | None]:
        """The answer to a request, and the fault that is to hit it."""
        self._log.add(asked.request)
        try:
            answer = self._routes.answer(asked, raw_path)
        except (ValueError, TypeError) as error:  # a hub.json that is wrong
            answer = as_json({"error": str(error)}, 500)
        carries = answer.content and asked.request.method == "GET"
        asked.request.content = carries
        subjects = (asked.request.path, *((asked.request.file,) if carries else ()))
        fault = None if asked.request.path.startswith("/_hub/") else self.faults.take(*subjects)
        if fault is not None and fault.status:
            wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            answer, asked.request.content = Refused(fault.status, "on purpose", **wait).answer, False
        asked.request.status = answer.status
        return answer, fault

    def count(self, request: Request, sent: int) -> None:
        """So many bytes more have gone out."""
        self._log.count(request, sent)

    def close(self) -> None:
        """End all connections and the server; what it kept is removed."""
        self.closing.set()
        self.faults.clear()
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()
        shutil.rmtree(self._kept, ignore_errors=True)


@contextmanager
def local_hub(folder: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[Hub]:
    """A hub of the repositories in a folder, for as long as the block lasts.

    Args:
        folder: holds ``owner/name/...``; made where it is not there.
        host, port: where it listens; 0 is any free port.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hub = Hub(folder, host, port)
    try:
        yield hub
    finally:
        hub.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], kind: Any) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, kind)

    def process_request(self, request: Any, client_address: Any) -> None:
        # What a killed reader was sent but never read would be counted: as little as may be is on its way.
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._lock:
            for request in self._open:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def _act(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            self.command, unquote(path), query, headers.get("host", ""),
            headers.get("authorization", "").removeprefix("Bearer ").strip(), headers.get("range", ""),
            headers.get("user-agent", ""),
        )  # fmt: skip
        body = self.rfile.read(int(headers.get("content-length") or 0))
        answer, fault = self.hub.answer(Asked(request, headers, body), path)
        source = _Source(answer, fault.content if fault else None)
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(source.length)} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and answer.status != 304:
            try:
                self._send(source, request, fault)
            except OSError:
                self.close_connection = True

    do_GET = do_HEAD = do_POST = do_DELETE = _act  # noqa: N815 - the names are the library's

    def _send(self, source: _Source, request: Request, fault: Fault | None) -> None:
        end = source.length if fault is None or fault.after is None else min(fault.after, source.length)
        rate = fault.bytes_per_second if fault else None
        most = min(_PIECE, max(1, rate // 20)) if rate else _PIECE
        hold = fault.hold if fault and fault.hold is not None else -1
        out = 0
        with source.opened() as read:
            while out < end:
                if hold == out and fault is not None and not self._held(fault):
                    break
                stop = min(out + most, end, hold if hold > out else end)
                out += self._piece(read(stop - out), request)
                if rate and self.hub.closing.wait((stop - out or most) / rate):
                    break
        if out < source.length:
            self._end(fault)

    def _piece(self, piece: bytes, request: Request) -> int:
        view = memoryview(piece)
        while view:
            sent = self.connection.send(view)
            self.hub.count(request, sent)
            view = view[sent:]
        return len(piece)

    def _held(self, fault: Fault) -> bool:
        """Wait; False where the other side is gone meanwhile."""
        while not fault.released.wait(_LOOK_S):
            if self.hub.closing.is_set():
                return False
            readable = select.select([self.connection], [], [], 0)[0]
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return False
        return True

    def _end(self, fault: Fault | None) -> None:
        self.close_connection = True
        if fault is not None and fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Nothing on stderr."""


class _Source:
    """The bytes of an answer: of a file, or in memory."""

    def __init__(self, answer: Answer, instead: bytes | None) -> None:
        self._answer = answer
        self._bytes = answer.body if answer.place is None else None
        if instead is not None:
            end = answer.start + answer.length if answer.status == 206 else None
            self._bytes = instead[answer.start : end]
        self.length = answer.length if self._bytes is None else len(self._bytes)

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], bytes]]:
        """What reads on from where it stopped."""
        if self._bytes is not None:
            view, at = self._bytes, 0

            def read(count: int) -> bytes:
                nonlocal at
                at += count
                return view[at - count : at]

            yield read
            return
        assert self._answer.place is not None  # noqa: S101 - it is what there is where there are no bytes
        with self._answer.place.open("rb") as file:
            file.seek(self._answer.start)
            yield file.read
