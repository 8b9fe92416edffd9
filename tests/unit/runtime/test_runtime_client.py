"""An answer and the next question in one write, towards the local pool."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from firstlight.runtime.runtime_client import RuntimeApiError, RuntimeClient

EVENT = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\nContent-Length: 1\r\n\r\n%d"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

Script = list[list[tuple[str, bytes]]]


class Pool:
    """Reads what it is told to expect, connection by connection, and says what it is told to say."""

    def __init__(self, path: Path, script: Script) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(4)
        self._thread = threading.Thread(target=self._play, args=(script,))
        self._thread.start()

    def _play(self, script: Script) -> None:
        for talk in script:
            with self._listening.accept()[0] as opened:
                for expected, said in talk:
                    received = b""
                    while expected.encode() not in received:
                        received += opened.recv(65536)
                    self.heard.append(received)
                    opened.sendall(said)

    def close(self) -> None:
        self._thread.join()
        self._listening.close()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Callable[[Script], tuple[Pool, RuntimeClient]]]:
    opened: list[Pool] = []
    clients: list[RuntimeClient] = []

    def make(script: Script) -> tuple[Pool, RuntimeClient]:
        opened.append(Pool(tmp_path / "api", script))
        clients.append(RuntimeClient(f"unix:{tmp_path / 'api'}"))
        return opened[0], clients[0]

    yield make
    for each in (*clients, *opened):
        with closing(each.connection if isinstance(each, RuntimeClient) else each):
            pass


Made = Callable[[Script], tuple[Pool, RuntimeClient]]


def test_both_leave_in_one_write_and_both_answers_come_in_one(pool: Made) -> None:
    last = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-2\r\nContent-Length: 1\r\n\r\n2"
    script = [[("next", EVENT % (1, 1)), ("invocation/next", ACCEPTED + last)]]
    made, client = pool(script)
    client.ask("notes")
    invocation = client.next()
    assert client.respond_and_ask(invocation, b"answer", "text/plain\r\nx: y", "said")
    client.ask("not sent: it went with the answer")
    assert client.next().request_id == "id-2"
    assert made.heard[1].startswith(b"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n")
    assert b"Content-Type: text/plain  x: y\r\n" in made.heard[1]
    assert b"Firstlight-Notes: said\r\n" in made.heard[1]
    assert b"\r\n\r\nanswerGET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n" in made.heard[1]


def test_an_answer_that_nobody_took_leaves_its_notes_with_the_next_question(pool: Made) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    made, client = pool(
        [
            [("next", EVENT % (1, 1)), ("invocation/next", b"")],
            [("response", refused), ("next", EVENT % (2, 2))],
        ]
    )
    client.ask()
    client.respond_and_ask(client.next(), b"answer", "text/plain", "said")
    assert client.next().request_id == "id-2"
    assert b"Firstlight-Notes: said" in made.heard[3]


@pytest.mark.parametrize("hangs_up_first", [True, False])
def test_a_pool_that_hangs_up_before_it_reads_is_answered_again(pool: Made, hangs_up_first: bool) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    first: list[tuple[str, bytes]] = [("next", EVENT % (1, 1))]
    made, client = pool([first, [("response", refused), ("next", EVENT % (2, 2))]])
    client.ask()
    invocation = client.next()
    while hangs_up_first and not client.connection.ended():
        pass
    if not client.respond_and_ask(invocation, b"answer", "text/plain", "said"):
        assert client.respond(invocation, b"answer", "text/plain", "said") == 403
    client.ask("said")
    client.connection.wait(0.01)
    assert client.next().request_id == "id-2"
    assert b"Firstlight-Notes: said" in made.heard[2]


def test_a_pool_that_has_gone_ends_the_worker(pool: Made) -> None:
    made, client = pool([[("next", EVENT % (1, 1)), ("invocation/next", b"")]])
    client.ask()
    client.respond_and_ask(client.next(), b"answer", "text/plain", "said")
    made.close()
    with pytest.raises(ConnectionError):
        client.next()


def test_a_pool_that_cannot_go_on_ends_the_worker(pool: Made) -> None:
    broken = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    _, client = pool([[("next", EVENT % (1, 1)), ("invocation/next", broken)]])
    client.ask()
    client.respond_and_ask(client.next(), b"answer", "text/plain", "said")
    with pytest.raises(RuntimeApiError):
        client.next()


def test_long_answers_and_other_servers_are_asked_one_after_the_other(pool: Made) -> None:
    _, client = pool([[("next", EVENT % (1, 1))]])
    client.ask()
    invocation = client.next()
    assert not client.respond_and_ask(invocation, b"x" * 20_000, "text/plain", "")
    assert not RuntimeClient("127.0.0.1:1").respond_and_ask(invocation, b"x", "text/plain", "")
