"""The Runtime API's server half, spoken to with bytes on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.invoke.connection import Connection, listen_tcp, listen_unix
from firstlight.invoke.runtime_api import Phase, RuntimeApi
from firstlight.invoke.runtime_messages import Answer, header
from firstlight.invoke.types import RESPONSE_LIMIT

WAIT = 10.0


class Sink:
    def __init__(self, heard: list[Any]) -> None:
        self.heard = heard

    def feed(self, data: bytes) -> None:
        self.heard.append(("chunk", data))

    def end(self, answer: Answer) -> None:
        self.heard.append(("end", answer))


class Listener:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.changed = asyncio.Event()

    def _note(self, *what: Any) -> None:
        self.heard.append(what)
        self.changed.set()

    def on_next(self, notes: bytes) -> None:
        self._note("next", notes)

    def on_response(self, answer: Answer) -> None:
        self._note("response", answer)

    def on_error(self, answer: Answer) -> None:
        self._note("error", answer)

    def on_oversize(self) -> None:
        self._note("oversize")

    def on_stream(self, content_type: str, connection: Connection) -> Sink:
        self._note("stream", content_type)
        return Sink(self.heard)

    def on_init_error(self, answer: Answer) -> None:
        self._note("init error", answer)

    def on_lost(self) -> None:
        self._note("lost")

    async def wait_for(self, kind: str) -> Any:
        async with asyncio.timeout(WAIT):
            while not any(heard[0] == kind for heard in self.heard):
                self.changed.clear()
                await self.changed.wait()
        return next(heard for heard in self.heard if heard[0] == kind)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"{method} /2018-06-01/runtime/{path} HTTP/1.1", "Host: x"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(WAIT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines if line)
            body = await self.reader.readexactly(int(headers.get("Content-Length", 0)))
        return int(status.split()[1]), headers, body

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        self.send(method, path, body, **headers)
        status, _, content = await self.answer()
        return status, json.loads(content) if content else None


class Talk:
    """A Runtime API on a socket, who listens, and a client."""

    def __init__(self, api: RuntimeApi, listener: Listener, client: Client, path: Path) -> None:
        self.api, self.listener, self.client, self.path = api, listener, client, path

    async def give(self, payload: bytes = b"{}", request_id: str = "id-1", **headers: str) -> dict[str, str]:
        """Let the client ask, hand it an invocation and return the headers it got."""
        self.client.send("GET", "invocation/next")
        await self.listener.wait_for("next")
        self.api.send(payload, request_id, {name.encode(): value for name, value in headers.items()})
        _, got, body = await self.client.answer()
        assert body == payload
        return got


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    listener = Listener()
    api = RuntimeApi(listener)
    server = await listen_unix(api, tmp_path / "s")
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    yield Talk(api, listener, Client(reader, writer), tmp_path / "s")
    writer.close()
    api.close()
    server.close()
    await writer.wait_closed()


async def test_an_invocation_and_its_answer(talk: Talk) -> None:
    headers = await talk.give(b'{"a": 1}', "id-1", Lambda_Runtime_Deadline_Ms="5")
    assert headers["Lambda-Runtime-Aws-Request-Id"] == "id-1"
    assert headers["Lambda-Runtime-Invocation-Id"]
    assert headers["Content-Type"] == "application/json"
    echo = {"Lambda_Runtime_Invocation_Id": headers["Lambda-Runtime-Invocation-Id"]}
    status, body = await talk.client.ask(
        "POST", "invocation/id-1/response", b"[2]", Content_Type="text/x", Firstlight_Notes="{}", **echo
    )
    assert (status, body) == (202, {"status": "OK"})
    assert talk.listener.heard[-1] == ("response", Answer(b"[2]", "text/x", "", b"{}"))
    assert talk.api.phase is Phase.ANSWERED


async def test_answer_and_next_question_in_one_write(talk: Talk) -> None:
    await talk.give()
    talk.client.send("POST", "invocation/id-1/response", b"1")
    talk.client.send("GET", "invocation/next")
    await talk.listener.wait_for("response")
    while [heard[0] for heard in talk.listener.heard] != ["next", "response", "next"]:
        await asyncio.sleep(0)
    talk.api.send(b"2", "id-2", {})
    assert (await talk.client.answer())[0] == 202
    assert (await talk.client.answer())[2] == b"2"


async def test_what_is_refused_is_said_at_once_to_who_has_asked_already(talk: Talk) -> None:
    await talk.give()
    talk.client.send("POST", "invocation/id-9/response", b"1")
    talk.client.send("GET", "invocation/next")
    assert (await talk.client.answer())[0] == 400
    assert (await talk.client.answer())[0] == 403


async def test_a_function_error(talk: Talk) -> None:
    await talk.give()
    status, _ = await talk.client.ask(
        "POST",
        "invocation/id-1/error",
        b'{"errorMessage":"x"}',
        Lambda_Runtime_Function_Error_Type="Function.X",
    )
    assert status == 202
    kind, answer = talk.listener.heard[-1]
    assert (kind, answer.body, answer.error_type) == ("error", b'{"errorMessage":"x"}', "Function.X")


async def test_an_answer_to_another_request(talk: Talk) -> None:
    await talk.give()
    for path, headers in (
        ("invocation/id-2/response", {}),
        ("invocation/id-2/error", {}),
        ("invocation/id-1/response", {"Lambda_Runtime_Invocation_Id": "other"}),
    ):
        status, body = await talk.client.ask("POST", path, b"1", **headers)
        assert (status, body["errorType"]) == (400, "InvalidRequestID")
    assert talk.api.phase is Phase.RUNNING


async def test_what_is_out_of_turn(talk: Talk) -> None:
    assert (await talk.client.ask("POST", "invocation/id-1/response", b"1"))[0] == 400
    await talk.give()
    for method, path in (("GET", "invocation/next"), ("POST", "init/error")):
        status, body = await talk.client.ask(method, path)
        assert (status, body["errorType"]) == (403, "InvalidStateTransition")
    assert (await talk.client.ask("POST", "invocation/id-1/response", b"1"))[0] == 202
    status, body = await talk.client.ask("POST", "invocation/id-1/response", b"1")
    assert (status, body["errorType"]) == (403, "InvalidStateTransition")


async def test_an_init_error(talk: Talk) -> None:
    status, _ = await talk.client.ask(
        "POST", "init/error", b"{}", Lambda_Runtime_Function_Error_Type="Runtime.X"
    )
    assert status == 202
    assert talk.listener.heard[-1][0] == "init error"
    assert (await talk.client.ask("GET", "invocation/next"))[0] == 403


async def test_restore(talk: Talk) -> None:
    assert (await talk.client.ask("GET", "restore/next"))[0] == 200
    assert (await talk.client.ask("POST", "restore/error", b"{}"))[0] == 202


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "nowhere", 404), ("GET", "", 404), ("POST", "invocation/next", 405), ("PUT", "invocation/1/response", 405),
    ("GET", "init/error", 405),
])  # fmt: skip
async def test_other_paths_and_methods(talk: Talk, method: str, path: str, status: int) -> None:
    assert (await talk.client.ask(method, path))[0] == status


@pytest.mark.parametrize("size", [RESPONSE_LIMIT, RESPONSE_LIMIT + 1])
async def test_the_size_of_an_answer(talk: Talk, size: int) -> None:
    await talk.give()
    talk.client.send("POST", "invocation/id-1/response", b"x" * size)
    status, _, body = await talk.client.answer()
    if size == RESPONSE_LIMIT:
        assert status == 202
        assert len(talk.listener.heard[-1][1].body) == size
    else:
        assert (status, json.loads(body)["errorType"]) == (413, "RequestEntityTooLarge")
        assert talk.listener.heard[-1] == ("oversize",)


async def test_expect_100_continue(talk: Talk) -> None:
    await talk.give()
    talk.client.writer.write(
        b"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert (await talk.client.answer())[0] == 100
    talk.client.writer.write(b"1")
    assert (await talk.client.answer())[0] == 202


STREAM = (
    "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    "Lambda-Runtime-Function-Response-Mode: {mode}\r\nContent-Type: text/plain\r\n"
    "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body, Firstlight-Notes\r\n\r\n"
)


@pytest.mark.parametrize("error", [None, b'{"errorMessage":"x"}'])
async def test_a_streamed_answer_and_its_trailers(talk: Talk, error: bytes | None) -> None:
    await talk.give()
    writer = talk.client.writer
    writer.write(STREAM.format(mode="streaming").encode() + b"3\r\none\r\n")
    assert await talk.listener.wait_for("stream") == ("stream", "text/plain")
    trailers = b"Firstlight-Notes: {}\r\n"
    if error is not None:
        trailers += b"Lambda-Runtime-Function-Error-Type: Function.X\r\n"
        trailers += b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(error) + b"\r\n"
    writer.write(b"3\r\ntwo\r\n0\r\n" + trailers + b"\r\n")
    assert (await talk.client.answer())[0] == 202
    *chunks, end = talk.listener.heard[2:]
    assert b"".join(data for _, data in chunks) == b"onetwo"
    expected = Answer(error or b"", "application/json", "Function.X" if error else "", b"{}")
    assert end == ("end", expected)
    assert talk.api.phase is Phase.ANSWERED


async def test_an_unknown_response_mode(talk: Talk) -> None:
    await talk.give()
    talk.client.writer.write(STREAM.format(mode="other").encode() + b"3\r\none\r\n0\r\n\r\n")
    status, _, body = await talk.client.answer()
    assert (status, json.loads(body)["errorType"]) == (400, "InvalidFunctionResponseMode")
    assert talk.api.phase is Phase.RUNNING


async def test_a_waiting_worker_that_hangs_up(talk: Talk) -> None:
    talk.client.send("GET", "invocation/next")
    await talk.listener.wait_for("next")
    talk.client.writer.close()
    await talk.listener.wait_for("lost")
    with pytest.raises(ConnectionError):
        talk.api.send(b"1", "id-1", {})


@pytest.mark.parametrize(
    "noise", [b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 300_000]
)
async def test_noise_is_hung_up_on(talk: Talk, noise: bytes) -> None:
    talk.client.writer.write(noise)
    async with asyncio.timeout(WAIT):
        assert await talk.client.reader.read() == b""
    assert talk.listener.heard == []


async def test_tcp(tmp_path: Path) -> None:
    listener = Listener()
    api = RuntimeApi(listener)
    server, address = await listen_tcp(api)
    host, port = address.split(":")
    assert host == "127.0.0.1"
    reader, writer = await asyncio.open_connection(host, int(port))
    client = Client(reader, writer)
    client.send("GET", "invocation/next")
    await listener.wait_for("next")
    api.send(b"7", "id-1", {})
    assert (await client.answer())[2] == b"7"
    writer.close()
    await writer.wait_closed()
    server.close()


@given(st.text())
def test_nothing_ends_a_header_early(text: str) -> None:
    assert not set(header(text)) & {10, 13, 0}


@given(st.lists(st.binary(max_size=200), max_size=10))
async def test_any_bytes_from_a_worker_never_raise(pieces: list[bytes]) -> None:
    class Quiet(Listener):
        def __init__(self) -> None:
            self.heard = []

        def _note(self, *what: Any) -> None:
            self.heard.append(what)

    connection = Connection(RuntimeApi(Quiet()))
    for piece in (b"POST /2018-06-01/runtime/invocation/", *pieces):
        connection.data_received(piece)
