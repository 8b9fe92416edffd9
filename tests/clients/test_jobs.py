"""Answers that are fetched later, by real clients of a real server."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from huggingface_hub import InferenceClient

from clients import talking
from clients.talking import LONG, Ending, until
from clients.test_boto3 import client_of
from serving import PATIENCE, Server

DOCS = Path(__file__).resolve().parents[2] / "docs"
MORE = """
[endpoints.sentiment]
model = "starter:sentiment"
[endpoints.loop]
script = "inference/loop.py"
timeout = 120
[endpoints.count]
script = "inference/count.py"
[endpoints.pieces]
script = "inference/pieces.py"
timeout = 120
route = "/pieces"
"""
LOOP = """
import os

def handler(event, context):
    with open(event["file"], "w") as file:
        file.write(str(os.getpid()))
    while True:
        pass
"""
COUNT = """
import time

def handler(event, context):
    with open(event["file"], "a") as file:
        file.write("x")
    time.sleep(0.2)
    return {"done": True}
"""
PIECES = """
import json
import os
import time

def handler(event, context):
    http = "requestContext" in event
    event = json.loads(event["body"]) if http else event

    def pieces():
        for number in range(event["number"]):
            yield f"{number} ".encode()
            while number == 2 and not os.path.exists(event["gate"]):
                time.sleep(0.01)

    return {"statusCode": 201, "headers": {"content-type": "text/plain"}, "body": pieces()} if http else pieces()
"""


def write_project(folder: Path) -> Path:
    talking.write_project(folder)
    (folder / "inference").mkdir()
    for name, text in {"loop": LOOP, "count": COUNT, "pieces": PIECES}.items():
        (folder / "inference" / f"{name}.py").write_text(text)
    with (folder / "firstlight.toml").open("a") as file:
        file.write(MORE)
    return folder


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(write_project(tmp_path_factory.mktemp("jobs"))) as running:
        yield running


def put(server: Server, name: str, body: Any, **headers: str) -> dict[str, Any]:
    status, _, raw = server.ask("PUT", f"/v1/jobs/{name}", body, headers)
    assert status in (200, 202), raw
    return json.loads(raw)


def job(server: Server, name: str, query: str = "") -> dict[str, Any]:
    return json.loads(server.ask("GET", f"/v1/jobs/{name}{query}")[2])


class Events:
    """A connection to the events of a job."""

    def __init__(self, server: Server, name: str, after: int = 0) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
        headers = {"Last-Event-ID": str(after)} if after else {}
        self.connection.request("GET", f"/v1/jobs/{name}/stream", headers=headers)
        self.response = self.connection.getresponse()

    def __iter__(self) -> Iterator[tuple[int, str, Any]]:
        fields: dict[str, str] = {}
        for raw in self.response:
            key, _, value = raw.decode().rstrip("\n").partition(": ")
            if key:
                fields[key] = value
            elif "data" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                fields = {}

    def close(self) -> None:
        self.connection.close()


def text_of(events: list[tuple[int, str, Any]]) -> str:
    return "".join(told["text"] for _, kind, told in events if kind == "output")


def curl(*words: str) -> str:
    command = ["curl", "--silent", "--show-error", "--max-time", "60", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_examples_of_the_page(later: Server) -> None:
    page = (DOCS / "jobs.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = example.partition("\n")
            said = curl(*shlex.split(line.replace("http://127.0.0.1:8400", later.url))[1:]).replace("\r", "")
            pattern = ".*".join(re.escape(part) for part in printed.strip().split("..."))
            assert re.search(pattern, said, re.DOTALL), f"{line}\n{said}"


def test_the_openai_client(later: Server) -> None:
    with openai.OpenAI(base_url=f"{later.url}/v1", api_key="none", max_retries=0) as client:
        asked: Any = {"model": "parrot", "messages": [{"role": "user", "content": "hello there"}]}
        waits = {"Prefer": "respond-async, wait=60"}
        answer = client.chat.completions.create(**asked, extra_headers=waits)
        assert answer.choices[0].message.content == "hello there"
        headers = {"Prefer": "respond-async", "Idempotency-Key": "chat-1"}
        raw = client.chat.completions.with_raw_response.create(**asked, extra_headers=headers)
        assert (raw.status_code, raw.headers["location"]) == (202, "/v1/jobs/chat-1")
        done = job(later, "chat-1", "?wait=60")
        assert done["output"]["choices"][0]["message"]["content"] == "hello there"
        with pytest.raises(openai.ConflictError):
            client.chat.completions.create(**asked, max_tokens=1, extra_headers=headers)
        vectors = client.embeddings.create(model="embeddings", input="x", extra_headers=waits)
        assert len(vectors.data[0].embedding) > 20
        streamed = client.chat.completions.create(**asked, stream=True, extra_headers=waits)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "hello there"


def test_huggingface_hub(later: Server) -> None:
    waits = {"Prefer": "respond-async, wait=60"}
    client = InferenceClient(f"{later.url}/models/sentiment", token="none", headers=waits)
    assert client.text_classification("what a lovely day")[0].label == "POSITIVE"
    client = InferenceClient(f"{later.url}/models/parrot", token="none", headers=waits)
    assert client.text_generation("a lamp", details=True, max_new_tokens=3).details.generated_tokens == 3
    assert client.text_generation("a lamp") == "a lamp"


def test_a_summary_is_told_sentence_by_sentence(later: Server) -> None:
    text = (
        "The lamp was lit. Nobody saw it. The town slept on. A ship came in at night. It brought salt. " * 3
    )
    path, body = "/models/embeddings/pipeline/summarization", {"inputs": text}
    headers = {"Prefer": "respond-async, wait=60", "Idempotency-Key": "summary-1"}
    plain = later.ask("POST", path, body)
    assert later.ask("POST", path, body, headers)[2] == plain[2]
    events = Events(later, "summary-1")
    assert text_of(list(events)) == json.loads(plain[2])[0]["summary_text"]
    events.close()


def test_an_event_invocation_is_a_job(later: Server, tmp_path: Path) -> None:
    aws = client_of(later.url)
    payload = json.dumps({"file": str(tmp_path / "runs")})
    reply = aws.invoke(FunctionName="count", InvocationType="Event", Payload=payload)
    aws.close()
    found = job(later, reply["ResponseMetadata"]["RequestId"], "?wait=60")
    assert (found["kind"], found["status"], found["output"]) == ("event", "succeeded", {"done": True})


def test_put_by_many_at_once_runs_once(later: Server, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    wish = {"endpoint": "count", "input": {"file": str(runs)}}
    found: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: found.append(put(later, "once", wish, Prefer="wait=60")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [one["output"] for one in found] == [{"done": True}] * 8
    assert runs.read_text() == "x"


def test_events_after_a_connection_that_was_lost(later: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    put(later, "follow", {"endpoint": "pieces", "input": {"number": 6, "gate": str(gate)}})
    first = Events(later, "follow")
    seen = []
    for event in first:
        seen.append(event)
        if text_of(seen) == "0 1 2 ":
            break
    first.close()
    gate.touch()
    second = Events(later, "follow", after=seen[-1][0])
    seen += list(second)
    second.close()
    assert text_of(seen) == "0 1 2 3 4 5 "
    assert [number for number, _, _ in seen] == list(range(1, len(seen) + 1))
    assert (seen[0][1], seen[-1][1], seen[-1][2]["status"]) == ("start", "completed", "succeeded")
    replayed = Events(later, "follow")
    assert list(replayed) == seen
    replayed.close()
    assert later.ask("GET", "/v1/jobs/follow/result")[2] == b'"0 1 2 3 4 5 "'


def test_the_partial_answer(later: Server) -> None:
    body = {"model": "slow", "prompt": LONG, "max_tokens": 4000}
    ended = Ending(later, "slow")
    headers = {"Prefer": "respond-async, wait=1"}
    status, _, raw = later.ask("POST", "/v1/completions", body, headers)
    told = json.loads(raw)
    assert (status, told["status"]) == (202, "processing")
    until(lambda: job(later, told["id"])["partial"])
    assert LONG.startswith(job(later, told["id"])["partial"])
    canceled = json.loads(later.ask("POST", f"/v1/jobs/{told['id']}/cancel")[2])
    assert canceled["status"] == "canceled"
    assert LONG.startswith(canceled["partial"])
    assert ended.wait(cancelled=1) < len(LONG) / 2
    status, _, raw = later.ask("GET", f"/v1/jobs/{told['id']}/result")
    assert (status, json.loads(raw)["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    "path", ["/pieces", "/rest-api/pieces/x", "/http-api/pieces/x", "/lambda-url/pieces/x"]
)
def test_a_front_of_aws_takes_jobs(later: Server, tmp_path: Path, path: str) -> None:
    gate = tmp_path / "gate"
    body = {"number": 4, "gate": str(gate)}
    status, headers, raw = later.ask(
        "POST", path, body, {"Prefer": "respond-async, wait=1", "Content-Type": "application/json"}
    )
    told = json.loads(raw)
    assert (status, told["partial"]) == (202, "0 1 2 ")
    gate.touch()
    result = f"{headers['location']}/result"
    status, headers, raw = later.ask("GET", f"{result}?wait=60")
    assert (status, headers["content-type"], raw) == (201, "text/plain", b"0 1 2 3 ")


def test_canceling_ends_a_worker_that_does_not_notice(later: Server, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    put(later, "busy", {"endpoint": "loop", "input": {"file": str(note)}})
    until(lambda: note.exists() and note.read_text())
    pid = int(note.read_text())
    assert json.loads(later.ask("POST", "/v1/jobs/busy/cancel")[2])["status"] == "canceled"

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone)


def test_a_job_outlives_its_server(tmp_path: Path) -> None:
    folder = tmp_path / "outlives"
    folder.mkdir()
    write_project(folder)
    gate = tmp_path / "gate"
    wish = {"endpoint": "pieces", "input": {"number": 4, "gate": str(gate)}}
    with Server(folder) as first:
        put(first, "survivor", wish)
        put(first, "waits", {"endpoint": "sentiment", "inputs": "what a lovely day"}, Prefer="wait=60")
        events = Events(first, "survivor")
        seen = []
        for event in events:
            seen.append(event)
            if text_of(seen) == "0 1 2 ":
                break
        events.close()
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(PATIENCE)
    gate.touch()
    with Server(folder) as second:
        again = put(second, "survivor", wish, Prefer="wait=60")
        assert (again["status"], again["output"]) == ("succeeded", "0 1 2 3 ")
        assert (again["attempts"], again["interrupted"]) == (2, 1)
        rest = Events(second, "survivor", after=seen[-1][0])
        later = list(rest)
        rest.close()
        assert later[0][0] == seen[-1][0] + 1
        anew = [kind for _, kind, _ in later].index("start")
        assert text_of(later[anew:]) == "0 1 2 3 "
        assert job(second, "waits")["status"] == "succeeded"


class Hooked:
    """Takes what webhooks bring, until it is closed."""

    def __init__(self) -> None:
        told = self.told = queue.SimpleQueue[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/told"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(PATIENCE)
        self.server.server_close()


def test_webhooks_named_by_headers_and_in_the_body(later: Server) -> None:
    hooked = Hooked()
    try:
        named = {"X-Firstlight-Webhook": hooked.url, "X-Firstlight-Webhook-Events": "completed"}
        headers = {"Prefer": "respond-async", "Idempotency-Key": "told-1", **named}
        later.ask("POST", "/models/sentiment", {"inputs": "what a lovely day"}, headers)
        told = hooked.told.get(timeout=PATIENCE)
        assert (told["id"], told["status"], told["output"][0][0]["label"]) == (
            "told-1",
            "succeeded",
            "POSITIVE",
        )
        assert told["urls"]["get"] == f"{later.url}/v1/jobs/told-1"
        wish = {"endpoint": "sentiment", "inputs": "x", "webhook": hooked.url}
        put(later, "told-2", {**wish, "webhook_events_filter": ["start", "completed"]})
        said = {hooked.told.get(timeout=PATIENCE)["status"] for _ in range(2)}
        assert said == {"processing", "succeeded"}
    finally:
        hooked.close()


def test_the_command_line(later: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()

    def firstlight(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "firstlight", *words, "--url", later.url]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, cwd=later.folder, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    job_id = firstlight(
        "invoke", "pieces", "--async", "-d", json.dumps({"number": 3, "gate": str(gate)})
    ).strip()
    assert firstlight("jobs", "watch", job_id) == "0 1 2 \n"
    assert firstlight("jobs", "result", job_id) == "0 1 2 "
    assert json.loads(firstlight("jobs", "get", job_id, "--inputs", "--json"))["input"]["number"] == 3
    lines = [json.loads(line) for line in firstlight("jobs", "watch", job_id, "--json").splitlines()]
    assert (lines[0]["event"], lines[-1]["event"]) == ("start", "completed")
    listed = json.loads(firstlight("jobs", "--endpoint", "pieces", "--json"))
    assert job_id in [one["id"] for one in listed]
    assert job_id in firstlight("jobs", "list", "--status", "succeeded")
    told = json.loads(firstlight("invoke", "sentiment", "--async", "--json", "inputs=a lovely day"))
    assert "POSITIVE" in firstlight("jobs", "watch", told["id"])
    assert firstlight("jobs", "cancel", told["id"]) == "succeeded\n"
    put(later, "fails", {"endpoint": "count", "input": {"no": "file"}}, Prefer="wait=60")
    firstlight("jobs", "watch", "fails", code=1)
    firstlight("jobs", "result", "fails", code=1)
    firstlight("jobs", "get", "nobody", code=1)


def test_a_token_is_asked_for_on_every_path(guarded: Server) -> None:
    paths = ["/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/stream", "/v1/jobs/x/result"]
    asked = [("GET", path) for path in paths] + [("PUT", "/v1/jobs/x"), ("POST", "/v1/jobs/x/cancel")]
    wish = {"endpoint": "sentiment", "inputs": "x"}
    for method, path in asked:
        assert guarded.ask(method, path, wish)[0] == 401
    known = {"Authorization": "Bearer s3cret", "Prefer": "wait=60"}
    assert put(guarded, "mine", wish, **known)["status"] == "succeeded"
    status, _, raw = guarded.ask("GET", "/v1/jobs?inputs=true", headers=known)
    assert status == 200
    assert b"s3cret" not in raw


def test_what_was_asked_is_in_no_log(later: Server) -> None:
    put(later, "quiet", {"endpoint": "sentiment", "inputs": "unmistakable words"}, Prefer="wait=60")
    assert "unmistakable" not in "".join(later.log)
    assert b"unmistakable" not in later.ask("GET", "/v1/jobs")[2]
    assert b"unmistakable" in later.ask("GET", "/v1/jobs/quiet?inputs=true")[2]
