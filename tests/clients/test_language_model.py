"""The example of a language model, as its README calls it: streamed, by the openai client, and cut by deadlines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from serving import Server

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "language-model"
BEGUN = "Once upon a time"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("examples") / "language-model"))


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Server]:
    with Server(project) as running:
        yield running


def asked(server: Server, **parameters: Any) -> dict[str, Any]:
    body = {"inputs": BEGUN, "parameters": {"details": True, "return_full_text": False} | parameters}
    answer = httpx.post(f"{server.url}/stories", json=body, timeout=60).raise_for_status().json()
    return answer[0]


def test_an_answer_is_streamed_as_curl_reads_it(server: Server) -> None:
    body = {"inputs": BEGUN, "stream": True, "parameters": {"max_new_tokens": 20}}
    with httpx.stream("POST", f"{server.url}/stories", json=body, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:{")]
    assert len(events) >= 20
    assert "".join(event["token"]["text"] for event in events) == events[-1]["generated_text"]


def test_the_openai_client_streams_the_same_words(server: Server) -> None:
    client = OpenAI(base_url=f"{server.url}/v1", api_key="none")
    parts = client.completions.create(
        model="stories", prompt=BEGUN, max_tokens=30, temperature=0, stream=True
    )
    text = "".join(part.choices[0].text for part in parts)
    assert text == asked(server, max_new_tokens=30, do_sample=False)["generated_text"]


def test_the_same_in_a_terminal_without_a_server(server: Server, project: Path) -> None:
    words = ["run", "stories", "--stream", f"inputs={BEGUN}", "parameters.max_new_tokens=20"]
    words.append("parameters.do_sample=false")
    done = subprocess.run(
        [sys.executable, "-m", "firstlight", *words], cwd=project, capture_output=True, text=True, check=True
    )
    assert asked(server, max_new_tokens=20, do_sample=False)["generated_text"] in done.stdout


@pytest.mark.parametrize(
    "wishes",
    [
        {"do_sample": False},
        {"temperature": 0.8, "seed": 7},
        {"do_sample": False, "repetition_penalty": 1.2},
    ],
    ids=str,
)
def test_what_deadlines_cut_goes_on_to_the_same_answer(server: Server, wishes: dict[str, Any]) -> None:
    wishes = wishes | {"max_new_tokens": 150}
    whole = asked(server, **wishes)
    parts, cuts, more = [], 0, {}
    for _ in range(200):
        # However slow the machine is, an answer has its time: what is too little grows from call to call.
        part = asked(server, **wishes, **more, max_time=0.02 * (1 + cuts))
        parts.append(part["generated_text"])
        details = part["details"]
        if not details.get("deadline"):
            break
        assert details["finish_reason"] == "length"
        more, cuts = {"continuation": details["continuation"]}, cuts + 1
    assert cuts >= 2
    assert "".join(parts) == whole["generated_text"]
    assert details["finish_reason"] == whole["details"]["finish_reason"]
