"""Bytes that no client sends, on the socket itself: the server refuses them and goes on."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from clients.talking import LONG, metric, until
from serving import Server


def connection(server: Server) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def answer(server: Server, *pieces: bytes) -> bytes:
    """What comes back until the server closes the connection, or the client has nothing more to say."""
    received = b""
    with connection(server) as opened, contextlib.suppress(ConnectionError):
        for piece in pieces:
            opened.sendall(piece)
        opened.shutdown(socket.SHUT_WR)
        while piece := opened.recv(65536):
            received += piece
    return received


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=300)
    | st.builds(
        lambda method, path, header, body: (
            b"%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n%s" % (method, path, header, body)
        ),
        st.sampled_from([b"POST", b"GET", b"\x00"]),
        st.sampled_from([b"/models/sentiment", b"/%ff", b"/\xff", b"*", b"http://evil.example/", b"/a?\xff"]),
        st.sampled_from(
            [b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"X: \x00", b"X"]
        ),
        st.binary(max_size=30),
    )
)
def test_the_server_goes_on(server: Server, data: bytes) -> None:
    received = answer(server, data)
    assert not received.startswith(b"HTTP/1.1 500")
    assert server.ask("GET", "/livez")[0] == 200


def test_an_endless_upload_is_cut_off(server: Server) -> None:
    head = b"POST /models/sentiment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
    sent = 0
    with connection(server) as opened, contextlib.suppress(ConnectionError):
        opened.sendall(head)
        while sent < 1000:
            opened.sendall(chunk)
            sent += 1
    assert sent < 100
    assert server.ask("GET", "/livez")[0] == 200


def test_a_client_that_leaves_in_the_middle_of_its_body(server: Server) -> None:
    with connection(server) as opened:
        opened.sendall(b"POST /models/sentiment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert server.ask("POST", "/models/sentiment", {"inputs": "x"})[0] == 200


def test_a_client_that_leaves_before_its_answer(server: Server) -> None:
    with connection(server) as opened:
        opened.sendall(b"POST /models/brief HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
    assert server.ask("POST", "/models/sentiment", {"inputs": "x"})[0] == 200


STREAMS = {
    "/v1/chat/completions": {
        "model": "slow",
        "messages": [{"role": "user", "content": LONG}],
        "stream": True,
        "n": 2,
    },
    "/v1/completions": {"model": "slow", "prompt": LONG, "max_tokens": 4000, "stream": True},
    "/models/slow": {"inputs": LONG, "stream": True},
    "/models/slow/v1/completions": {"prompt": [LONG, LONG], "max_tokens": 4000, "stream": True},
    "/slow": {"inputs": LONG, "stream": True},
    "/2021-11-15/functions/slow/response-streaming-invocations": {"inputs": LONG, "stream": True},
}


def request(path: str, body: bytes) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode(),
        len(body),
        body,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(STREAMS)),
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "model",
                        "prompt",
                        "messages",
                        "inputs",
                        "stream",
                        "n",
                        "stop",
                        "max_tokens",
                        "role",
                        "content",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_garbage_where_answers_are_streamed(talkative: Server, path: str, body: bytes) -> None:
    received = answer(talkative, request(path.replace("slow", "parrot"), body))
    assert not received.startswith(b"HTTP/1.1 500")
    assert talkative.ask("GET", "/livez")[0] == 200


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(STREAMS)),
    st.integers(0, 2000),
    st.booleans(),
    st.binary(max_size=20),
    st.integers(0, 3),
)
def test_readers_that_leave_somehow_and_somewhere(
    talkative: Server, path: str, after: int, reset: bool, more: bytes, pieces: int
) -> None:
    with connection(talkative) as opened, contextlib.suppress(ConnectionError):
        opened.sendall(request(path, json.dumps(STREAMS[path]).encode()) + more)
        if pieces:
            opened.recv(after + 1)
        if reset:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_nothing_is_left_of_them(talkative: Server) -> None:
    status, _, body = talkative.ask("POST", "/models/slow", {"inputs": "next"})
    assert (status, json.loads(body)) == (200, [{"generated_text": "next"}])
    for name in ("firstlight_in_flight", "firstlight_workers_busy", "firstlight_queue_depth"):
        until(lambda name=name: not metric(talkative, name, endpoint="slow"))
    assert metric(talkative, "firstlight_workers_idle", endpoint="slow") >= 1
