"""How word gets to a file or a URL, and how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from firstlight.jobs import posting, signing
from firstlight.jobs.posting import Poster, Undelivered
from firstlight.runtime.errors import JobError
from listening import Listener


def test_lines_are_appended_whole_by_many_at_once(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "lines"
    line = b"x" * 200_000
    threads = [threading.Thread(target=posting.append, args=(file, line)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_bytes() == (line + b"\n") * 8


def test_a_torn_line_is_ended_first(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b'{"a":1}\n{"b"')
    posting.append(file, b'{"c":3}')
    assert file.read_bytes() == b'{"a":1}\n{"b"\n{"c":3}\n'


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(Undelivered, match="cannot be written"):
        posting.append(tmp_path, b"{}")


def test_a_post_arrives_and_its_answer_is_bounded() -> None:
    with Listener() as listener:
        listener.answers = [(200, b"x" * 1_000_000)]
        assert Poster().post(f"{listener.url}/hook?a=1", b'{"a":1}', {"x-one": "two"}) == 200
    assert listener.seen[0].path == "/hook?a=1"
    assert listener.seen[0].headers["x-one"] == "two"
    assert listener.seen[0].headers["content-type"] == "application/json"
    assert listener.seen[0].body == b'{"a":1}'


def test_one_who_answers_a_byte_at_a_time_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not over.wait(0.02):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Undelivered):
            Poster(0.05).post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        over.set()
        thread.join(20)


def test_nobody_is_waited_for_at_the_end() -> None:
    poster = Poster(60)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        failures: list[Undelivered] = []

        def post() -> None:
            try:
                poster.post(url, b"{}", {})
            except Undelivered as error:
                failures.append(error)

        thread = threading.Thread(target=post)
        thread.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            poster.close()
            thread.join(20)
    assert len(failures) == 1


def test_a_redirect_is_not_followed() -> None:
    with Listener() as listener:
        listener.answers = [(302, b"")]
        assert Poster().post(f"{listener.url}/a", b"{}", {}) == 302
    assert [one.path for one in listener.seen] == ["/a"]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/", "http://[::1/", "https:///"],
)
def test_where_nobody_is_nothing_is_delivered(url: str) -> None:
    with pytest.raises(Undelivered):
        Poster(2).post(url, b"{}", {})


def test_a_secret_is_made_once_and_is_its_users_alone(tmp_path: Path) -> None:
    secret = signing.secret(tmp_path)
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert signing.secret(tmp_path) == secret
    assert stat.S_IMODE(os.stat(tmp_path / signing.SECRET).st_mode) == 0o600


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks reference libraries' tests.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    found = signing.headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, body)
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    again = hmac.new(raw, b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, hashlib.sha256).digest()
    assert found["webhook-signature"].removeprefix("v1,") == base64.b64encode(again).decode()


def test_a_secret_that_is_none_is_explained(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="base64"):
        signing.headers("whsec_?", "a", 0, b"")
    (tmp_path / signing.SECRET).mkdir()
    with pytest.raises(JobError, match="cannot be read"):
        signing.secret(tmp_path)
