"""A retry joins the invocation that runs: the function ran once, and the client got its answer."""

from __future__ import annotations

import http.client
import io
import json
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clients.conforming import client_of
from firstlight.gateway.lambda_api.eventstream import messages
from serving import Server

PATH = "/2015-03-31/functions/echo/invocations"
STREAM = "/2021-11-15/functions/echo/response-streaming-invocations"


def counting(folder: Path, seconds: float = 2.0, do: str = "count") -> tuple[Path, bytes]:
    """A file in which the handler leaves a mark for every time it ran, and the event that makes it."""
    file = folder / uuid.uuid4().hex
    file.touch()
    return file, json.dumps({"do": do, "file": str(file), "seconds": seconds}).encode()


def leave(server: Server, path: str, headers: dict[str, str], event: bytes) -> None:
    """Send a request and hang up at once."""
    where = urlsplit(server.url)
    lines = {"Host": where.netloc, "Content-Length": str(len(event)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((where.hostname, where.port or 80)) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + event)


def begun(file: Path) -> None:
    """Wait until the handler has begun."""
    while not file.read_text():
        pass


def curl(server: Server, path: str, headers: dict[str, str], event: bytes) -> bytes:
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = ["curl", "-sS", "--max-time", "30", *words, "--data-binary", "@-", server.url + path]
    return subprocess.run(command, input=event, capture_output=True, check=True).stdout


def test_boto3_whose_patience_is_shorter_than_the_function(conforming_server: Server, tmp_path: Path) -> None:
    """Its default retries: four more attempts after a read timeout."""
    curl(conforming_server, PATH, {}, b"{}")  # a cold start may take all of its patience
    file, event = counting(tmp_path, 2.5)
    client = client_of(conforming_server.url, read_timeout=1, retries=None)
    attempts: list[Any] = []
    client.meta.events.register("before-send.lambda.Invoke", lambda **sent: attempts.append(sent))
    reply = client.invoke(FunctionName="echo", Payload=event)
    with reply["Payload"] as body:
        assert body.read() == b"1"
    client.close()
    assert len(attempts) > 1
    assert reply["ResponseMetadata"]["RetryAttempts"] == len(attempts) - 1
    assert file.read_text() == "x"


def test_a_connection_that_breaks_and_a_retry_by_curl(conforming_server: Server, tmp_path: Path) -> None:
    for name in ("amz-sdk-invocation-id", "Idempotency-Key"):
        file, event = counting(tmp_path, 1.0)
        headers = {name: uuid.uuid4().hex}
        leave(conforming_server, PATH, headers, event)
        begun(file)
        assert curl(conforming_server, PATH, headers, event) == b"1"
        assert curl(conforming_server, PATH, headers, event) == b"1"
        assert file.read_text() == "x"
        assert curl(conforming_server, PATH, {name: uuid.uuid4().hex}, event) == b"2"


def test_a_key_is_the_requests_and_not_the_connections(conforming_server: Server, tmp_path: Path) -> None:
    file, event = counting(tmp_path, 0.0)
    connection = http.client.HTTPConnection(urlsplit(conforming_server.url).netloc)
    answers = []
    for headers in ({"Idempotency-Key": uuid.uuid4().hex}, {}, {}):
        connection.request("POST", PATH, event, headers)
        answers.append(connection.getresponse().read())
    connection.close()
    assert answers == [b"1", b"2", b"3"]
    assert file.read_text() == "xxx"


def test_another_payload_is_another_invocation(conforming_server: Server, tmp_path: Path) -> None:
    file, event = counting(tmp_path, 0.0)
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    assert curl(conforming_server, PATH, headers, event) == b"1"
    assert curl(conforming_server, PATH, headers, event + b" ") == b"2"
    assert file.read_text() == "xx"


def test_other_wires(conforming_server: Server, tmp_path: Path) -> None:
    for path in ("/models/echo", "/endpoints/echo/invocations"):
        file, event = counting(tmp_path, 1.0)
        headers = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/json"}
        event = json.dumps({**json.loads(event), "inputs": ""}).encode()
        leave(conforming_server, path, headers, event)
        begun(file)
        assert curl(conforming_server, path, headers, event) == b"1"
        assert file.read_text() == "x"


def test_a_retry_of_an_answer_that_streams(conforming_server: Server, tmp_path: Path) -> None:
    """Whole, it joins to the end; as a stream only before the first byte, as it has one reader."""
    file, event = counting(tmp_path, 1.0, "slowly")
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    leave(conforming_server, PATH, headers, event)
    begun(file)
    assert curl(conforming_server, PATH, headers, event) == b"first last"
    assert file.read_text() == "x"


def test_a_retry_of_a_stream_before_its_first_byte(conforming_server: Server, tmp_path: Path) -> None:
    file, event = counting(tmp_path, 1.0, "slowly")
    headers = {"amz-sdk-invocation-id": uuid.uuid4().hex}
    leave(conforming_server, STREAM, headers, event)
    begun(file)
    answer = curl(conforming_server, STREAM, headers, event)
    told = [payload for _, payload in messages(io.BytesIO(answer).read)]
    assert told == [b"first ", b"last", b"{}"]
    assert file.read_text() == "x"
    curl(conforming_server, STREAM, headers, event)
    assert file.read_text() == "xx"


def test_an_event_is_queued_once(conforming_server: Server, tmp_path: Path) -> None:
    file, event = counting(tmp_path, 0.0)
    headers = {"amz-sdk-invocation-id": uuid.uuid4().hex, "X-Amz-Invocation-Type": "Event"}
    leave(conforming_server, PATH, headers, event)
    curl(conforming_server, PATH, headers, event)
    begun(file)
    after, last = counting(tmp_path, 0.0)
    assert curl(conforming_server, PATH, {"X-Amz-Invocation-Type": "Event"}, last) == b""
    begun(after)
    assert file.read_text() == "x"
