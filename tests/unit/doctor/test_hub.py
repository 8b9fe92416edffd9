"""Checks of the hub, against one that is made up."""

from __future__ import annotations

import email.utils
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examined import Making, only
from firstlight.doctor import hub
from firstlight.doctor.types import OK, PROBLEM, WARNING


class Hub(BaseHTTPRequestHandler):
    """Knows one token."""

    ahead_s = 0

    def do_GET(self) -> None:
        if self.path == "/api/whoami-v2":
            known = self.headers["Authorization"] == "Bearer good"
            self._answer(200 if known else 401, {"name": "ann"} if known else {"error": "x"})
        else:
            self._answer(500 if "broken" in self.path else 200, [])

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Date", email.utils.formatdate(time.time() + self.ahead_s, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        served = threading.Thread(target=server.serve_forever, args=(0.01,))
        served.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        served.join()


def test_a_hub_that_answers(subject: Making, address: str) -> None:
    found = only(hub.reachable(subject(env={"HF_ENDPOINT": f"{address}/"})))
    assert (found.level, found.what) == (OK, f"{address} answers")
    assert only(hub.reachable(subject(env={"HF_ENDPOINT": f"{address}/broken"}))).level == OK


@pytest.mark.parametrize(("ahead", "says"), [(-3600, "60 minutes ahead"), (7200, "120 minutes behind")])
def test_a_clock_that_is_wrong(
    subject: Making, address: str, monkeypatch: pytest.MonkeyPatch, ahead: int, says: str
) -> None:
    monkeypatch.setattr(Hub, "ahead_s", ahead)
    _, found = hub.reachable(subject(env={"HF_ENDPOINT": address}))
    assert found.level == PROBLEM
    assert says in found.what


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "file:///etc/passwd", "nonsense"])
def test_a_hub_that_does_not(subject: Making, address: str, endpoint: str) -> None:
    found = only(hub.reachable(subject(env={"HF_ENDPOINT": endpoint})))
    assert found.level == PROBLEM
    assert "cannot be reached" in found.what


def test_offline(subject: Making) -> None:
    assert only(hub.reachable(subject(env={"HF_HUB_OFFLINE": "1"}))).level == WARNING


def test_tokens(subject: Making, address: str) -> None:
    here = {"HF_ENDPOINT": address}
    assert only(hub.token(subject(env=here))).level == OK
    found = only(hub.token(subject(env={**here, "HF_TOKEN": "good\n"})))
    assert (found.level, found.what) == (OK, "HF_TOKEN is that of ann")
    found = only(hub.token(subject(env={**here, "HF_TOKEN": "stale"})))
    assert (found.level, found.what) == (PROBLEM, "the hub refuses HF_TOKEN (HTTP 401)")
    found = only(hub.token(subject(env={"HF_ENDPOINT": "http://127.0.0.1:1", "HF_TOKEN": "good"})))
    assert found.level == WARNING
    assert "good" not in found.what
