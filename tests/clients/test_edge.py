"""Clients that are slow, rude or half gone, on bare sockets against a real server whose limits are small."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from serving import Server, write_project

PROGRAM = """
import sys
from functools import partial
from firstlight.gateway.edge import server
server.Limits = partial(server.Limits, head_s=0.5, body_s=0.5, idle_s=30, look_s=0.05, linger_s=1, connections=200)
from firstlight.cli import main
sys.argv[0] = "firstlight"
main()
"""
INVOKE = "/2015-03-31/functions/echo/invocations"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits half a second for a head or a body, and takes 200 clients."""
    with Server(write_project(tmp_path_factory.mktemp("edge")), program=("-c", PROGRAM)) as running:
        yield running


def connect(server: Server) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def said(path: str, body: bytes = b"{}", *headers: str, method: str = "POST") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode()
        + body
    )


def answer(opened: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer, which says its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = opened.recv(65536)
        assert piece, received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += opened.recv(65536)
    return int(head.split()[1]), head, body


def rest(opened: socket.socket) -> bytes:
    received = b""
    while piece := opened.recv(65536):
        received += piece
    return received


@pytest.mark.parametrize("path", [INVOKE, "/models/sentiment", "/endpoints/embeddings/invocations"])
def test_a_client_that_closes_its_sending_side_is_answered(small: Server, path: str) -> None:
    with connect(small) as opened:
        opened.sendall(said(path, b'{"inputs": "x"}'))
        opened.shutdown(socket.SHUT_WR)
        received = rest(opened)
    assert b"HTTP/1.1 200 OK" in received
    assert b"connection: close" in received


def test_it_is_answered_when_that_takes_a_while(small: Server) -> None:
    with connect(small) as opened:
        opened.sendall(said(INVOKE.replace("echo", "brief")))  # fails after one second
        opened.shutdown(socket.SHUT_WR)
        received = rest(opened)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"Sandbox.Timedout" in received


def test_many_requests_in_one_packet(small: Server) -> None:
    with connect(small) as opened:
        opened.sendall(b"".join(said(INVOKE, json.dumps({"n": number}).encode()) for number in range(20)))
        stream = opened.makefile("rb")
        for number in range(20):
            while (line := stream.readline()) != b"\r\n":
                if line.startswith(b"content-length: "):
                    length = int(line[16:])
            assert json.loads(stream.read(length))["event"] == {"n": number}


@pytest.mark.parametrize(
    "begun", [b"POST /models/sentiment HTTP/1.1\r\nHost: loc", said("/models/sentiment", b"{" * 100)[:-50]]
)
def test_a_request_that_never_ends_is_ended(small: Server, begun: bytes) -> None:
    with connect(small) as opened:
        opened.sendall(begun)
        assert rest(opened).startswith(b"HTTP/1.1 408 Request Timeout")


@pytest.mark.parametrize(("flood", "status"), [
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x-%d: y\r\n" % 1 * 500 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nx: " + b"y" * 1_000_000, 431),
    (b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\r\n\r\n", 400),
])  # fmt: skip
def test_floods_are_refused_in_words(small: Server, flood: bytes, status: int) -> None:
    with connect(small) as opened:
        opened.sendall(flood)
        assert rest(opened).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("DELETE", "/models/sentiment", "POST"), ("POST", "/livez", "GET, HEAD"), ("PUT", "/go", "GET, HEAD, POST"),
    ("GET", "/predict", "POST"), ("DELETE", "/", "GET, HEAD, POST"),
])  # fmt: skip
def test_another_method_than_a_path_has(small: Server, method: str, path: str, allowed: str) -> None:
    status, headers, _ = small.ask(method, path)
    assert (status, headers.get("allow")) == (405, allowed)
    assert small.ask(method, "/nowhere")[0] == 404


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(small: Server) -> None:
    with connect(small) as opened:
        head, _, _ = said(INVOKE, b"x" * 7_000_000, "Expect: 100-continue").partition(b"\r\n\r\n")
        opened.sendall(head + b"\r\n\r\n")
        assert answer(opened)[0] == 413
        opened.sendall(b"x" * 7_000_000 + said(INVOKE))
        assert answer(opened)[0] == 200
    with connect(small) as opened:
        opened.sendall(said(INVOKE, b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 2"))
        assert opened.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        opened.sendall(b"{}")
        assert answer(opened)[0] == 200


def resident_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 100000000"])
def test_a_hundred_megabytes_are_refused_in_little_memory(small: Server, framing: str) -> None:
    before = resident_mb(small.process.pid)
    block = b"x" * 1_000_000 if "Length" in framing else b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
    with connect(small) as opened:
        opened.sendall(f"POST {INVOKE} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        with pytest.raises(ConnectionError):
            opened.sendall(block * 100)
    assert resident_mb(small.process.pid) - before < 40


def test_two_thousand_who_never_finish_keep_nobody_out(small: Server) -> None:
    with ExitStack() as stack:
        for number in range(2000):
            slow = stack.enter_context(connect(small))
            slow.sendall(b"POST /models/sentiment HTTP/1.1\r\nHost: localhost\r\nX: ")
            if number % 200 == 199:
                assert small.ask("POST", INVOKE, {"n": number})[0] == 200
        assert small.ask("POST", INVOKE, {})[0] == 200


def test_idle_clients_make_room(small: Server) -> None:
    with ExitStack() as stack:
        for _ in range(300):
            idle = stack.enter_context(connect(small))
            idle.sendall(said("/livez", b"", method="GET"))
            assert answer(idle)[0] == 200
        assert small.ask("GET", "/livez")[0] == 200
