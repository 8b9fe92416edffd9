"""An HTTP server on this machine that notes what it is sent and answers what it is told to."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    path: str
    headers: dict[str, str]
    body: bytes


class Listener:
    """Answers the statuses and bodies in ``answers`` in turn, the last one from then on."""

    def __init__(self) -> None:
        self.seen: list[Sent] = []
        self.answers: list[tuple[int, bytes]] = [(200, b"")]
        self._came = threading.Condition()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = listener._take(Sent(self.path, headers, body))
                self.send_response(status)
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                try:
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()

    def wait(self, count: int) -> list[Sent]:
        """What was sent, once there are so many."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.seen) >= count, PATIENCE):
                raise TimeoutError(f"{len(self.seen)} of {count} came")
            return list(self.seen)

    def _take(self, sent: Sent) -> tuple[int, bytes]:
        with self._came:
            self.seen.append(sent)
            self._came.notify_all()
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
