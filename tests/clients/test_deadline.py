"""The wall that long answers ran into is gone: they stop in time, and the next request goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import Server

SAID = "déjà vu, said the parrot"
SLOW = """
name = "slow"
[endpoints.parrot]
model = "parrot"
timeout = 1.0
env = { FIRSTLIGHT_ECHO_DELAY_MS = "60" }
route = "/parrot"
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    write_parrot(folder)
    (folder / "firstlight.toml").write_text(SLOW)
    with Server(folder) as running:
        yield running


def write_parrot(folder: Path) -> None:
    bundle = {"schema": 1, "name": "parrot", "task": "text-generation", "engine": "echo", "files": {}}
    (folder / "parrot").mkdir()
    (folder / "parrot" / "bundle.json").write_text(json.dumps(bundle))


def asked(server: Server, path: str, continuation: str | None) -> dict[str, Any]:
    parameters: dict[str, Any] = {"return_full_text": False, "details": True, "max_new_tokens": 100}
    if continuation:
        parameters["continuation"] = continuation
    body = {"inputs": SAID, "parameters": parameters}
    answer = httpx.post(server.url + path, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found[0] if isinstance(found, list) else found


@pytest.mark.parametrize("path", ["/models/parrot", "/parrot", "/2015-03-31/functions/parrot/invocations"])
def test_answers_put_together_are_one_long_answer(slow: Server, path: str) -> None:
    said, continuation, calls = "", None, 0
    while True:
        answer = asked(slow, path, continuation)
        calls += 1
        said += answer["generated_text"]
        details = answer["details"]
        if not details.get("deadline"):
            break
        assert details["finish_reason"] == "length"
        continuation = details["continuation"]
    assert said == SAID
    assert details["finish_reason"] == "eos_token"
    assert calls > 1


def test_the_openai_route_says_it_too(slow: Server) -> None:
    body = {"model": "parrot", "prompt": SAID, "max_tokens": 100}
    answer = httpx.post(f"{slow.url}/v1/completions", json=body, timeout=60).raise_for_status().json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert SAID.startswith(answer["choices"][0]["text"])
    cut = {**answer, **answer["choices"][0]}
    assert cut["deadline"] is True
    assert cut["continuation"]
