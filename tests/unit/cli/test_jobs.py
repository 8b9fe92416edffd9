"""``firstlight jobs`` against a server that says what it is told to say, and sometimes hangs up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from firstlight.cli import jobs


class Pretended:
    """A server with one job: its events come over several connections.

    Attributes:
        connections: for each connection, the events it sends before it ends.
        asked: (method, path, Last-Event-ID) of the requests.
    """

    def __init__(self, *connections: list[tuple[int, str, dict[str, Any]]]) -> None:
        self.connections = list(connections)
        self.asked: list[tuple[str, str, str | None]] = []
        self.documents: dict[str, Any] = {"/v1/jobs/j": {"id": "j", "status": "processing"}}
        self.result: tuple[int, dict[str, str], bytes] = (200, {"content-location": "x"}, b'{"a": 1}')
        here = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                here.answer(self)

            do_POST = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.asked.append((request.command, request.path, request.headers.get("Last-Event-ID")))
        if path.endswith("/stream"):
            events = self.connections.pop(0) if self.connections else None
            self.send(request, 200 if events is not None else 204, {}, self.text(events or []))
        elif path.endswith("/result"):
            self.send(request, *self.result)
        else:
            found = self.documents.get(path)
            error = {"error": "there is no job", "hint": "none"}
            self.send(request, 200 if found else 404, {}, json.dumps(found or error).encode())

    def text(self, events: list[tuple[int, str, dict[str, Any]]]) -> bytes:
        said = [f"id: {number}\nevent: {kind}\ndata: {json.dumps(told)}\n\n" for number, kind, told in events]
        return ("retry: 1000\n\n: still there\n\n" + "".join(said)).encode()

    def send(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if status != 204:
            request.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(jobs, "_AGAIN_S", 0.001)
    made: list[Pretended] = []

    def make(*connections: Any) -> Pretended:
        made.append(Pretended(*connections))
        return made[-1]

    yield make
    for one in made:
        one.close()


DONE = (5, "completed", {"status": "succeeded", "error": None})


def test_a_connection_that_is_lost_is_taken_up(cli: Any, pretended: Any) -> None:
    server = pretended(
        [(1, "start", {"attempt": 1}), (2, "output", {"text": "a "})],
        [(3, "output", {"text": "lämp"}), (4, "log", {"text": "a line\n"}), DONE],
    )
    done = cli("jobs", "watch", "j", "--url", server.url)
    assert (done.code, done.out) == (0, "a lämp\n")
    assert "a line" in done.err
    assert [after for _, path, after in server.asked if path.endswith("stream")] == ["0", "2"]


def test_a_job_that_was_over_already_and_one_that_is_begun_again(cli: Any, pretended: Any) -> None:
    server = pretended([(1, "start", {"attempt": 2})])
    server.documents["/v1/jobs/j"] = {"id": "j", "status": "failed", "error": "bo\x1bom"}
    done = cli("jobs", "watch", "j", "--url", server.url)
    assert (done.code, done.out) == (1, "")
    assert "begun again, attempt 2" in done.err
    assert "failed: bo\\x1bom" in done.err


def test_every_event_as_a_line(cli: Any, pretended: Any) -> None:
    server = pretended([(1, "start", {"attempt": 1}), DONE])
    done = cli("jobs", "watch", "j", "--json", "--url", server.url)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["event"] for line in lines] == ["start", "completed"]


def test_an_answer_that_was_not_put_out_in_pieces_is_shown_at_the_end(cli: Any, pretended: Any) -> None:
    done = cli("jobs", "watch", "j", "--url", pretended([DONE]).url)
    assert json.loads(done.out) == {"a": 1}


def test_a_server_that_stays_away(cli: Any, pretended: Any) -> None:
    server = pretended()
    server.close()
    done = cli("jobs", "watch", "j", "--timeout", "0", "--url", server.url)
    assert (done.code, "no server answers" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        ((200, {"content-location": "x"}, b"\x00\xff"), 0, ""),
        ((200, {"content-location": "x", "x-amz-function-error": "Unhandled"}, b"{}"), 1, ""),
        ((500, {"content-location": "x"}, b"{}"), 1, ""),
        ((202, {}, b"{}"), 1, "not done yet"),
        ((409, {}, b'{"error": "it was canceled", "hint": "ask again"}'), 1, "it was canceled"),
    ],
)
def test_results(cli: Any, pretended: Any, result: Any, code: int, said: str) -> None:
    server = pretended()
    server.result = result
    done = cli("jobs", "result", "j", "--json", "--url", server.url)
    assert done.code == code
    assert said in done.err


def test_no_job_and_a_list(cli: Any, pretended: Any) -> None:
    server = pretended()
    known = {"attempts": 1, "created_at": "2026-11-21T20:00:00.000Z", "error": "a\nb", "status": "failed"}
    server.documents["/v1/jobs"] = {"jobs": [{"id": "j", "endpoint": "x", **known}]}
    assert "there is no job" in cli("jobs", "get", "nobody", "--url", server.url).err
    done = cli("jobs", "--status", "failed", "--url", server.url)
    assert done.out.splitlines()[1].split() == ["j", "x", "failed", "1", "2026-11-21", "20:00:00", "a", "b"]
    assert server.asked[-1][1] == "/v1/jobs?status=failed&limit=20"
    assert cli("jobs", "list", "--status", "wrong").code == 2


def test_invoke_does_not_wait_and_show_at_once(cli: Any) -> None:
    assert cli("invoke", "x", "--async", "--stream", "a=b").code == 2
