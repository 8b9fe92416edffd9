"""Bytes that no client sends, on the socket itself: the server refuses them and goes on."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

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
