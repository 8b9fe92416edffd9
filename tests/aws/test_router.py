"""The router as it is packed, run by its own program as Lambda runs it, before functions that answer as Lambda's do.

Lambda's Runtime API is that of ``tests/contract/runtime_api``, its Invoke API that of ``firstlight serve``; table and
queue are ministack's.
"""

from __future__ import annotations

import json
import os
import sys

import boto3
import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import Pipe, WorkerProcess
from firstlight import project as projects
from firstlight import starters
from firstlight.build.lock.types import Lock
from firstlight.build.pack import router
from firstlight.build.pack.types import TASK_ROOT, Target
from firstlight.build.types import Silent
from firstlight.jobs.dynamodb import create_table
from front_events import url_event
from serving import Server

PROJECT = """
name = "lyrics"
[endpoints.{0}mood]
model = "starter:sentiment"
route = "/mood"
[endpoints.{0}story]
script = "story.py"
env = {{ WORD = "s3cret" }}
"""
STORY = """
class Events:
    content_type = "text/event-stream"

    def __init__(self):
        self.left = ["data:one\\n\\n", "data:two\\n\\n"]

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        if len(self.left) == 1:
            open(PIPE, "rb", 0).read(1)  # until the test has seen the first piece
        return self.left.pop(0)


def handler(event, context):
    if event.get("inputs") == "fail":
        raise ValueError("boom")
    return Events() if event.get("inputs") == "stream" else {"told": event}
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    made = Pipe(tmp_path_factory.mktemp("pipe") / "pipe")
    yield made
    made.close()


@pytest.fixture(scope="module")
def functions_here(tmp_path_factory, pipe):
    """A server whose functions are called as those on AWS are, each with its alias ``live``."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "firstlight.toml").write_text(PROJECT.format("lyrics-"))
    path = os.readlink(f"/proc/self/fd/{pipe._descriptor}")
    (folder / "story.py").write_text(STORY.replace("PIPE", repr(path)))
    with Server(folder) as running:
        client = boto3.client(
            "lambda",
            endpoint_url=running.url,
            region_name="us-east-1",
            aws_access_key_id="k",
            aws_secret_access_key="s",
        )
        for name in ("lyrics-mood", "lyrics-story"):
            version = client.publish_version(FunctionName=name)["Version"]
            client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
        client.close()
        yield running


@pytest.fixture(scope="module")
def task_root(tmp_path_factory):
    """The files of the router where it finds them, and its variables."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "firstlight.toml").write_text(PROJECT.format(""))
    (folder / "story.py").write_text(STORY)
    project = starters.with_tasks(projects.load(folder))
    packed = router.of_router(
        project, {"mood": starters.path("sentiment")}, Lock(), Target("x86_64", PYTHON), Silent()
    )
    root = tmp_path_factory.mktemp("task")
    for piece in packed.pieces:
        for file in piece.files:
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.source if isinstance(file.source, bytes) else file.source.read_bytes())
    env = {name: value.replace(TASK_ROOT, str(root)) for name, value in packed.environment.items()}
    return root, env, packed


@pytest.fixture(scope="module")
def jobs_place(local_emulator):
    """A table and a queue of jobs."""
    dynamodb, sqs = local_emulator.client("dynamodb"), local_emulator.client("sqs")
    create_table(dynamodb, "lyrics-jobs")
    url = sqs.create_queue(QueueName="lyrics-jobs")["QueueUrl"]
    yield "lyrics-jobs", url, sqs
    dynamodb.close()
    sqs.close()


@pytest.fixture(scope="module")
def start(task_root, functions_here, jobs_place, local_emulator, tmp_path_factory):
    """Start a function of the router's code; its Runtime API, which hands it events."""
    root, env, _ = task_root
    started = []

    def run(handler):
        api = RuntimeApi().__enter__()
        command = (sys.executable, "-I", "-S", str(root / ".firstlight/src/firstlight/runtime/start.py"))
        variables = {
            **env,
            **local_emulator.variables(),
            "AWS_ENDPOINT_URL_LAMBDA": functions_here.url,
            "AWS_REGION": "us-east-1",
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "_HANDLER": handler,
            "LAMBDA_TASK_ROOT": str(root),
            "FIRSTLIGHT_PROJECT": "lyrics",
            "FIRSTLIGHT_STAGE": "",
            "FIRSTLIGHT_JOBS_TABLE": jobs_place[0],
            "FIRSTLIGHT_JOBS_QUEUE": jobs_place[1],
        }
        started.append((api, WorkerProcess(command, variables, tmp_path_factory.mktemp("cwd"))))
        return api

    yield run
    for api, worker in started:
        api.close()
        worker.kill()


@pytest.fixture(scope="module")
def routed(start):
    return start(router.HANDLER)


def ask(api, method, path, body=None, **headers):
    """Status, headers and body of the router's answer, which streams."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    event = url_event(method, path, body=None if body is None else json.dumps(body), headers=headers)
    answer = api.invoke(json.dumps(event).encode())
    head, _, found = answer.body.partition(bytes(8))
    assert answer.headers["lambda-runtime-function-response-mode"] == "streaming", answer.body
    told = json.loads(head)
    return told["statusCode"], told["headers"], found


def test_it_holds_what_the_pages_say_and_neither_weights_nor_secrets(task_root):
    _, _, packed = task_root
    assert packed.size < 6_000_000
    names = [file.path for piece in packed.pieces for file in piece.files]
    assert not [name for name in names if name.endswith((".so", ".onnx", ".nb8", ".safetensors", ".pyc"))]
    assert not [name for name in names if "/edge/" in name or "boto" in name]
    about = [file.source for piece in packed.pieces for file in piece.files if isinstance(file.source, bytes)]
    assert not [raw for raw in about if b"s3cret" in raw]
    assert packed.handler == "firstlight.gateway.aws.handler"
    assert {part.name for part in packed.components} >= {"firstlight", "starlette"}


def test_pages_know_the_models(routed):
    status, headers, page = ask(routed, "GET", "/", accept="text/html")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"mood" in page
    status, _, health = ask(routed, "GET", "/health")
    assert json.loads(health)["endpoints"]["mood"]["task"] == "text-classification"
    assert json.loads(health)["status"] == "READY"


def test_every_route_reaches_the_functions(routed):
    inputs = {"inputs": "I love it"}
    status, headers, body = ask(routed, "POST", "/models/mood", inputs, content_type="application/json")
    assert (status, json.loads(body)[0][0]["label"]) == (200, "POSITIVE")
    assert "total;dur=" in headers["server-timing"]
    status, headers, body = ask(routed, "POST", "/2015-03-31/functions/mood/invocations", inputs)
    assert (status, json.loads(body)[0]["label"]) == (200, "POSITIVE")
    status, _, body = ask(routed, "POST", "/mood", inputs)
    assert (status, json.loads(body)[0]["label"]) == (200, "POSITIVE")
    status, headers, body = ask(routed, "POST", "/2015-03-31/functions/story/invocations", {"inputs": "fail"})
    assert headers["x-amz-function-error"] == "Unhandled"
    assert json.loads(body)["errorType"] == "ValueError"
    assert ask(routed, "POST", "/models/none", inputs)[0] == 404


def test_pieces_arrive_as_they_are_made(routed, pipe):
    path = "/2021-11-15/functions/story/response-streaming-invocations"
    event = routed.put(
        json.dumps(url_event("POST", path, body='{"inputs": "stream"}')).encode(), timeout=60.0
    )
    with routed.chunk_seen:
        assert routed.chunk_seen.wait_for(lambda: any(b"data:one" in one for one in routed.streamed), 20)
    assert not any(b"data:two" in one for one in routed.streamed)
    pipe.write()
    assert b"data:two" in event.wait().body


def test_a_job_goes_through_the_queue(routed, start, jobs_place):
    _, url, sqs = jobs_place
    body = {"endpoint": "mood", "input": {"inputs": "I love it"}}
    status, headers, told = ask(routed, "POST", "/models/mood", body["input"], prefer="respond-async")
    assert status == 202, told
    job = json.loads(told)
    assert job["status"] == "starting"
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=10)["Messages"]
    records = [
        {"messageId": one["MessageId"], "body": one["Body"], "eventSource": "aws:sqs"} for one in found
    ]
    worker = start(router.JOBS_HANDLER)
    answer = worker.put(json.dumps({"Records": records}).encode(), timeout=60.0).wait()
    assert json.loads(answer.body) == {"batchItemFailures": []}
    status, _, told = ask(routed, "GET", headers["location"])
    assert (status, json.loads(told)["status"]) == (200, "succeeded")
    status, _, told = ask(routed, "GET", f"{headers['location']}/result")
    assert json.loads(told)[0][0]["label"] == "POSITIVE"


def test_a_ping_wakes_both(routed, start):
    event = json.dumps({"source": "aws.scheduler"}).encode()
    assert json.loads(routed.invoke(event).body) == {"warm": True}
    answer = start(router.JOBS_HANDLER).put(event, timeout=60.0).wait()
    assert json.loads(answer.body)["warm"] is True
