"""curl with its defaults: no content type is set, bodies of over 1 MB wait for ``100 Continue``."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from serving import Server


def curl(*words: str) -> tuple[int, str]:
    """Status and body."""
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        "--write-out",
        "\n%{http_code}",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_the_hugging_face_route(server: Server) -> None:
    status, body = curl(f"{server.url}/models/sentiment", "-d", '{"inputs": "what a lovely day"}')
    assert status == 200
    assert json.loads(body)[0][0]["label"] == "POSITIVE"


def test_the_invoke_route(server: Server) -> None:
    status, body = curl(f"{server.url}/2015-03-31/functions/echo/invocations", "-d", '{"a": "ä"}')
    assert status == 200
    assert json.loads(body)["event"] == {"a": "ä"}


def test_a_route_of_the_project(server: Server) -> None:
    asked = {"inputs": {"question": "Who found it?", "context": "It was found by Clara."}}
    words = ["-H", "Content-Type: application/json", "-d", json.dumps(asked)]
    status, body = curl(f"{server.url}/qa", *words)
    assert status == 200
    assert json.loads(body)["answer"] == "Clara"


def test_a_route_says_what_is_wrong_with_the_inputs(server: Server) -> None:
    words = ["-H", "Content-Type: application/json", "-d", '{"inputs": {"question": "Who?"}}']
    status, body = curl(f"{server.url}/qa", *words)
    assert status == 400
    assert "context" in body


def test_a_route_streams(server: Server) -> None:
    status, body = curl(f"{server.url}/stream", "--no-buffer", "--include")
    head, _, text = body.partition("\n\n")
    assert (status, text) == (202, "first light")
    assert "set-cookie: a=1" in head
    assert "transfer-encoding: chunked" in head


def test_the_router_of_seed_001(server: Server) -> None:
    status, page = curl(f"{server.url}/go")
    assert status == 200
    assert "<form" in page
    asked = {"text": "hello", "functionARN": "arn:aws:lambda:us-east-1:123456789012:function:router"}
    status, body = curl(f"{server.url}/go", "-d", json.dumps(asked))
    assert status == 200
    assert json.loads(body) == {
        "message": "Invocation successful",
        "responseFromLambda": {
            "statusCode": 200,
            "body": {"label": "POSITIVE", "score": 0.75, "text": "hello"},
        },
    }


def test_a_script_by_the_hugging_face_route(server: Server) -> None:
    status, body = curl(f"{server.url}/models/router", "-d", '{"inputs": "hello"}')
    assert (status, json.loads(body)["text"]) == (200, "hello")


@pytest.mark.parametrize(
    "path", ["/models/sentiment", "/2015-03-31/functions/echo/invocations", "/qa", "/go"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_seven_megabytes_are_refused_on_every_wire(
    server: Server, path: str, chunked: bool, tmp_path: Path
) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b'{"inputs": "' + b"x" * 7_000_000 + b'"}')
    words = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    status, body = curl(f"{server.url}{path}", *words, "-X", "POST", "--data-binary", f"@{large}")
    assert status == 413
    assert json.loads(body)
    assert curl(f"{server.url}/livez")[0] == 200


def test_many_requests_on_one_connection(server: Server) -> None:
    urls = [
        word
        for _ in range(20)
        for word in ("--next", "-s", "-d", '{"inputs": "x"}', f"{server.url}/models/sentiment")
    ]
    done = subprocess.run(["curl", "-s", "-v", *urls[1:]], capture_output=True, text=True, check=True)
    assert done.stdout.count('"label"') == 40
    assert done.stderr.count("Connected to") == 1


def test_metrics_and_health(server: Server) -> None:
    curl(f"{server.url}/models/sentiment", "-d", '{"inputs": "x"}')
    status, text = curl(f"{server.url}/metrics")
    assert status == 200
    assert 'firstlight_invocations_total{endpoint="sentiment",status="ok"}' in text
    states = (
        json.loads(curl(f"{server.url}/health")[1])["endpoints"]["sentiment"]["status"] for _ in range(100)
    )
    assert "READY" in states  # a worker that has just answered may be busy for another moment


def test_a_token_is_asked_for(guarded: Server) -> None:
    url = f"{guarded.url}/models/sentiment"
    assert curl(url, "-d", '{"inputs": "x"}')[0] == 401
    assert curl(url, "-d", '{"inputs": "x"}', "-H", "Authorization: Bearer s3cret")[0] == 200
