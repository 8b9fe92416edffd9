"""The HTTP parser of the Runtime API's client, against whole, torn and broken bytes."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import http_wire
from firstlight.runtime.http_wire import Connection, WireError

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12).map(
    lambda name: f"x-{name}"
)
VALUES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]), max_size=20
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=4)
BODIES = st.binary(max_size=300)


class Torn:
    """A socket whose bytes come in pieces, and then end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def recv(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:size], self.pieces[0][size:]
        self.pieces[:1] = [rest] if rest else []
        return piece

    def close(self) -> None:
        self.pieces = []


def connection(*pieces: bytes) -> Connection:
    """A connection on which these bytes come."""
    made = Connection("unused:1")
    made._sock = Torn(list(pieces))
    return made


def torn(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def head(status: int, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name.title()}:  {value} \r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Some Reason\r\n{lines}\r\n".encode()


def whole(status: int, fields: dict[str, str], body: bytes) -> bytes:
    return head(status, {**fields, "content-length": str(len(body))}) + body


def chunked(
    status: int, fields: dict[str, str], body: bytes, sizes: list[int], trailers: dict[str, str]
) -> bytes:
    sent, rest = head(status, {**fields, "transfer-encoding": "chunked"}), body
    for size in [*sizes, len(body)]:
        piece, rest = rest[:size], rest[size:]
        if piece:
            sent += b"%X;ext=1\r\n%s\r\n" % (len(piece), piece)
    lines = "".join(f"{name}: {value}\r\n" for name, value in trailers.items())
    return sent + f"0\r\n{lines}\r\n".encode()


CUTS = st.lists(st.integers(0, 2000), max_size=12)
STATUS = st.sampled_from([200, 202, 400, 403, 413, 500])


@given(STATUS, FIELDS, BODIES, STATUS, FIELDS, BODIES, st.lists(st.integers(1, 90), max_size=5), FIELDS, CUTS)
def test_answers_are_read_however_they_are_torn(
    status: int,
    fields: dict[str, str],
    body: bytes,
    status_2: int,
    fields_2: dict[str, str],
    body_2: bytes,
    sizes: list[int],
    trailers: dict[str, str],
    cuts: list[int],
) -> None:
    sent = whole(status, fields, body) + b"HTTP/1.1 100 Continue\r\n\r\n"
    sent += chunked(status_2, fields_2, body_2, sizes, trailers)
    here = connection(*torn(sent, cuts))
    first = here.receive()
    assert (first.status, first.body) == (status, body)
    assert {name: first.headers[name] for name in fields} == fields
    second = here.receive()
    assert (second.status, second.body) == (status_2, body_2)
    assert {name: second.headers[name] for name in {**fields_2, **trailers}} == {**fields_2, **trailers}
    with pytest.raises(WireError) as caught:
        here.receive()
    assert caught.value.unanswered


@given(st.binary(max_size=400), CUTS)
def test_garbage_is_a_wire_error(data: bytes, cuts: list[int]) -> None:
    with pytest.raises(WireError):
        connection(*torn(data, cuts)).receive()


@given(FIELDS, BODIES, st.lists(st.integers(1, 50), max_size=4), st.data(), CUTS)
def test_damaged_answers_end_in_an_answer_or_a_wire_error(
    fields: dict[str, str], body: bytes, sizes: list[int], data: st.DataObject, cuts: list[int]
) -> None:
    good = data.draw(st.sampled_from([whole(200, fields, body), chunked(200, fields, body, sizes, fields)]))
    place = data.draw(st.integers(0, len(good) - 1))
    junk = data.draw(st.binary(max_size=6))
    bad = good[:place] + junk + good[place + data.draw(st.integers(0, 6)) :]
    here = connection(*torn(bad, cuts))
    try:
        answer = here.receive()
    except WireError:
        assert not here.is_open, "a connection on which HTTP broke is of no more use"
    else:
        assert 100 <= answer.status <= 999
        assert isinstance(answer.body, bytes)


@given(BODIES.filter(len), st.integers(0, 400))
def test_an_answer_that_ends_early_is_not_taken_for_whole(body: bytes, cut: int) -> None:
    for good in (whole(200, {}, body), chunked(200, {}, body, [7], {})):
        with pytest.raises(WireError):
            connection(good[: cut % len(good)]).receive()


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 ٢٠٠ OK\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * (http_wire.HEAD_LIMIT + 70_000),
    ],
)
def test_what_is_not_http_is_refused(sent: bytes) -> None:
    with pytest.raises(WireError) as caught:
        connection(sent).receive()
    assert not caught.value.unanswered


def test_bodies_without_a_length() -> None:
    here = connection(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the", b" end")
    assert here.receive().body == b""
    answer = here.receive()
    assert (answer.body, here.is_open) == (b"to the end", False)


@pytest.mark.parametrize("line", ["HTTP/1.1 200 OK\r\nConnection: Close\r\n", "HTTP/1.0 200 OK\r\n"])
def test_a_server_that_closes_is_believed(line: str) -> None:
    here = connection(f"{line}Content-Length: 2\r\n\r\nok".encode())
    assert here.receive().body == b"ok"
    assert not here.is_open


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_large_requests_are_sent_whole(server: socket.socket) -> None:
    here = Connection(f"127.0.0.1:{server.getsockname()[1]}")
    here.open()
    there, _ = server.accept()
    body = b"z" * 3_000_000
    received = []

    def read() -> None:
        with there:
            count = 0
            while count < len(body) + 4:
                received.append(there.recv(1 << 20))
                count += len(received[-1])

    thread = threading.Thread(target=read)
    thread.start()
    here.send(b"head", body)
    thread.join(20)
    here.close()
    assert b"".join(received) == b"head" + body


def test_waiting_ends_with_the_first_byte_or_the_time(server: socket.socket) -> None:
    here = Connection(f"127.0.0.1:{server.getsockname()[1]}")
    here.open()
    there, _ = server.accept()
    with there:
        assert not here.wait(0.001)
        there.sendall(whole(200, {}, b"now"))
        assert here.wait(20)
        assert here.receive().body == b"now"
    assert here.wait(20), "the end of a connection ends the wait"
    with pytest.raises(WireError):
        here.receive()


def test_nobody_listens(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"[::1]:{port}", f"unix:{tmp_path}/no.sock"):
        with pytest.raises(WireError, match="no Runtime API at") as caught:
            Connection(address).open()
        assert caught.value.unanswered


def test_whether_the_other_side_has_hung_up() -> None:
    ours, theirs = socket.socketpair()
    made = Connection("unused:1")
    assert made.ended()
    made._sock = ours
    assert not made.ended()
    theirs.sendall(b"HTTP/1.1 204 None\r\n\r\n")
    assert not made.ended()
    assert made.receive().status == 204
    theirs.close()
    assert made.ended()
    made.close()
    assert made.ended()
