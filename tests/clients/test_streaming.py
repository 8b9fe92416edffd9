"""Tokens on their way to real clients: each arrives when it is generated, and none is made for a client that left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import GenerationError, ValidationError

from clients.talking import LONG, Ending, metric, until
from clients.test_boto3 import client_of
from serving import Server

HELLO = "Hellö, world"
ENDLESS = {"inputs": LONG, "parameters": {"max_new_tokens": 4000}, "stream": True}


def busy(server: Server) -> bool:
    return metric(server, "firstlight_in_flight", endpoint="slow") == 1


def hub(server: Server, name: str) -> InferenceClient:
    return InferenceClient(f"{server.url}/models/{name}", token="none", timeout=60)


@pytest.fixture
def aws(talkative: Server) -> Iterator[Any]:
    made = client_of(talkative.url)
    yield made
    made.close()


class TestHuggingFace:
    def test_text(self, talkative: Server) -> None:
        client = hub(talkative, "parrot")
        assert client.text_generation(HELLO) == HELLO
        assert client.text_generation(HELLO, return_full_text=True) == HELLO + HELLO
        assert client.text_generation(HELLO, max_new_tokens=4) == "Hell"
        assert "".join(client.text_generation(HELLO, stream=True)) == HELLO

    def test_details(self, talkative: Server) -> None:
        answer = hub(talkative, "parrot").text_generation(HELLO, details=True, max_new_tokens=3)
        assert answer.generated_text == "Hel"
        assert (answer.details.finish_reason, answer.details.generated_tokens) == ("length", 3)
        assert [token.text for token in answer.details.tokens] == ["H", "e", "l"]

    def test_a_stream_with_details(self, talkative: Server) -> None:
        client = hub(talkative, "parrot")
        said = list(client.text_generation("abc", details=True, stream=True, top_n_tokens=1))
        assert "".join(event.token.text for event in said if not event.token.special) == "abc"
        assert [event.generated_text for event in said[:-1]] == [None] * (len(said) - 1)
        assert said[-1].generated_text == "abc"
        assert said[-1].details.finish_reason == "eos_token"
        assert said[-1].details.input_length >= 3
        assert (said[0].token.text, said[0].token.logprob) == ("a", 0.0)

    def test_a_chat(self, talkative: Server) -> None:
        messages = [{"role": "user", "content": HELLO}]
        for client in (
            hub(talkative, "parrot"),
            InferenceClient(base_url=f"{talkative.url}/models/parrot/v1"),
        ):
            answer = client.chat_completion(messages)
            assert answer.choices[0].message.content == HELLO
            assert answer.usage.completion_tokens >= 13
            stream = client.chat_completion(messages, stream=True)
            said = [chunk.choices[0].delta.content or "" for chunk in stream]
            assert "".join(said) == HELLO
            assert len(said) > 12

    def test_what_goes_wrong(self, talkative: Server) -> None:
        client = hub(talkative, "small")
        for stream in (True, False):
            with pytest.raises(ValidationError, match="the prompt has"):
                list(client.text_generation("x" * 100, stream=stream))
        stream = client.text_generation("abc\x15def", stream=True)
        assert [next(stream) for _ in "abc"] == list("abc")
        with pytest.raises(GenerationError, match="fail here"):
            next(stream)


class TestInvokeWithResponseStream:
    def stream(self, client: Any, event: Any, name: str = "slow") -> Any:
        reply = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event))
        return reply["EventStream"]

    def test_pieces_arrive_when_they_are_made(self, aws: Any) -> None:
        began = time.monotonic()
        arrived, data = [], b""
        for message in self.stream(aws, {"inputs": HELLO * 3, "stream": True}):
            if "PayloadChunk" in message:
                arrived.append(time.monotonic() - began)
                data += message["PayloadChunk"]["Payload"]
        events = [json.loads(line.removeprefix("data:")) for line in data.decode().strip().split("\n\n")]
        assert events[-1]["generated_text"] == HELLO * 3
        assert len(arrived) > len(HELLO * 3)
        # Nothing is kept back until the end: half of the answer had come when much of the time was still to pass.
        assert arrived[0] < arrived[len(arrived) // 2] < arrived[-1]
        assert arrived[-1] - arrived[len(arrived) // 2] > (arrived[-1] - arrived[0]) / 10

    def test_the_first_piece_is_there_while_the_others_are_made(self, aws: Any, talkative: Server) -> None:
        ended = Ending(talkative, "slow")
        stream = self.stream(aws, ENDLESS)
        first = next(iter(stream))["PayloadChunk"]["Payload"]
        assert first.startswith(b'data:{"index":')
        assert busy(talkative)
        stream.close()
        assert 1 <= ended.wait(cancelled=1) < len(LONG) / 2

    def test_a_failure_in_the_middle(self, aws: Any) -> None:
        said, end = b"", {}
        for message in self.stream(aws, {"inputs": "abc\x15def", "stream": True}, "parrot"):
            said += message.get("PayloadChunk", {}).get("Payload", b"")
            end = message.get("InvokeComplete", end)
        assert said.count(b"data:") == 3
        assert end["ErrorCode"] == "Unhandled"
        assert json.loads(end["ErrorDetails"])["errorType"] == "EngineError"

    def test_an_http_event_has_a_prelude(self, aws: Any) -> None:
        event = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "POST"}}}
        event["body"] = json.dumps({"inputs": "abc", "stream": True})
        pieces = [
            message["PayloadChunk"]["Payload"]
            for message in self.stream(aws, event, "parrot")
            if "PayloadChunk" in message
        ]
        prelude, _, first = pieces[0].partition(bytes(8))
        assert json.loads(prelude)["headers"]["content-type"] == "text/event-stream"
        assert (first + b"".join(pieces[1:])).count(b"data:") >= 4


class TestRoutes:
    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            ({"inputs": "abc", "stream": True}, {}),
            ({"inputs": "abc"}, {"Accept": "text/event-stream"}),
        ],
    )
    @pytest.mark.parametrize("path", ["/parrot", "/models/parrot"])
    def test_a_route_streams(
        self, talkative: Server, path: str, body: dict[str, Any], headers: dict[str, str]
    ) -> None:
        with httpx.stream("POST", talkative.url + path, json=body, headers=headers, timeout=60) as response:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream"
            lines = [line for line in response.iter_lines() if line]
        assert "".join(json.loads(line[5:])["token"]["text"] for line in lines[:3]) == "abc"
        assert json.loads(lines[-1][5:])["details"]["finish_reason"] == "eos_token"

    @pytest.mark.parametrize("path", ["/slow", "/models/slow"])
    def test_a_reader_that_leaves_a_route(self, talkative: Server, path: str) -> None:
        ended = Ending(talkative, "slow")
        with httpx.stream("POST", talkative.url + path, json=ENDLESS, timeout=60) as response:
            pieces = response.iter_bytes()
            next(pieces)
            assert busy(talkative)
        assert 1 <= ended.wait(cancelled=1) < len(LONG) / 2

    @pytest.mark.parametrize("path", ["/slow", "/models/slow", "/v1/completions"])
    def test_curl_is_killed(self, talkative: Server, path: str) -> None:
        ended = Ending(talkative, "slow")
        body = {"model": "slow", "prompt": LONG, "max_tokens": 4000, "stream": True}
        asked = json.dumps(body if path.startswith("/v1") else ENDLESS)
        command = ["curl", "--silent", "--no-buffer", talkative.url + path, "-d", asked]
        command += ["-H", "Content-Type: application/json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            assert curl.stdout is not None
            assert curl.stdout.readline().startswith(b"data:")
            curl.kill()
        tokens = ended.wait(cancelled=1)
        assert 1 <= tokens < len(LONG) / 2
        answer = talkative.ask("POST", "/models/slow", {"inputs": "next"})
        assert json.loads(answer[2]) == [{"generated_text": "next"}]
        assert ended.wait(cancelled=1, ok=1) < len(LONG) / 2

    def test_a_whole_answer_ends_with_its_client(self, talkative: Server) -> None:
        ended = Ending(talkative, "slow")
        asked = json.dumps({**ENDLESS, "stream": False})
        command = ["curl", "--silent", f"{talkative.url}/models/slow", "-d", asked]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
            until(lambda: busy(talkative))
            curl.kill()
        assert ended.wait(cancelled=1) < len(LONG) / 2

    def test_what_was_ended_is_recorded(self, talkative: Server) -> None:
        ended = Ending(talkative, "slow")
        with httpx.stream("POST", f"{talkative.url}/models/slow", json=ENDLESS, timeout=60) as response:
            pieces = response.iter_bytes()
            next(pieces)
        ended.wait(cancelled=1)
        command = [sys.executable, "-m", "firstlight", "logs", "--json", "--status", "cancelled"]
        env = {**os.environ, "FIRSTLIGHT_DATA_DIR": str(talkative.folder / "data")}
        logs = subprocess.run(
            command, cwd=talkative.folder, env=env, capture_output=True, text=True, check=True
        )
        records = [json.loads(line) for line in logs.stdout.splitlines()]
        (record,) = [found for found in records if found["request_id"] == response.headers["x-request-id"]]
        assert (record["endpoint"], record["status"], record["error_type"]) == ("slow", "cancelled", None)
        assert record["duration_ms"] > 0
        assert record["response_bytes"] > 0
