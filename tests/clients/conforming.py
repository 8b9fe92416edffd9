"""A project whose functions do all that Lambda's answers tell apart, and a boto3 client for it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PROJECT = """
name = "conforming"
[endpoints.brief]
script = "inference/brief.py"
timeout = 1
[endpoints.off]
script = "inference/off.py"
concurrency = 0
[endpoints.single]
script = "inference/single.py"
concurrency = 1
[endpoints.greedy]
script = "inference/greedy.py"
memory = 128
[endpoints.versioned]
script = "versioned/versioned.py"
concurrency = 4
[endpoints.changing]
script = "changing/changing.py"
concurrency = 2
[endpoints.damaged]
model = "damaged"
"""

ECHO = '''
"""Does what it is told, and fails in the ways a handler can."""
import os
import pathlib
import sys
import time


def handler(event, context):
    what = event.get("do") if isinstance(event, dict) else None
    print("echo was asked to", what)
    if what == "raise":
        raise ValueError("boom")
    if what == "exit":
        os._exit(3)
    if what == "leave":
        sys.exit(0)
    if what == "abort":
        os.abort()
    if what == "object":
        return object()
    if what == "answer":
        return "x" * (event["size"] - 2)
    if what == "write":
        print("y" * 10_000)
    if what == "stream":
        return (piece.encode() for _ in range(event.get("times", 1)) for piece in event["pieces"])
    if what == "count":
        return count(event)
    if what == "slowly":
        return slowly(event)
    return {
        "event": event,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "variable": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "id": context.aws_request_id,
        "memory": context.memory_limit_in_mb,
        "client": getattr(context.client_context, "custom", None),
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
    }


def count(event):
    path = pathlib.Path(event["file"])
    with path.open("a") as file:
        file.write("x")
    time.sleep(event["seconds"])
    return len(path.read_text())


def slowly(event):
    path = pathlib.Path(event["file"])
    with path.open("a") as file:
        file.write("x")
    time.sleep(event["seconds"])
    yield b"first "
    time.sleep(event["seconds"])
    yield b"last"
'''

SCRIPTS = {
    "brief": "import threading\ndef handler(event, context):\n    threading.Event().wait(30)\n",
    "off": "def handler(event, context):\n    return 1\n",
    "greedy": "def handler(event, context):\n    return len(bytearray(900_000_000))\n",
    "raising": 'raise RuntimeError("no start")\ndef handler(event, context):\n    return 1\n',
    "missing": "import nothing_of_that_name\ndef handler(event, context):\n    return 1\n",
    "ending": "import os\nos._exit(9)\ndef handler(event, context):\n    return 1\n",
    "unparsed": "def handler(event, context)\n    return 1\n",
}
VERSIONED = (
    'def handler(event, context):\n    return {"number": NUMBER, "version": context.function_version}\n'
)


def write_project(folder: Path) -> Path:
    """The project; its scripts that are published lie in folders of their own."""
    for name in ("inference", "versioned", "changing", "damaged"):
        (folder / name).mkdir(parents=True)
    (folder / "firstlight.toml").write_text(PROJECT)
    for name, text in {"echo": ECHO, "single": ECHO, **SCRIPTS}.items():
        (folder / "inference" / f"{name}.py").write_text(text)
    (folder / "versioned" / "versioned.py").write_text("NUMBER = 1\n" + VERSIONED)
    (folder / "changing" / "changing.py").write_text("NUMBER = 1\n" + VERSIONED)
    (folder / "damaged" / "bundle.json").write_text("{}")
    return folder


def client_of(url: str, **config: Any) -> Any:
    """An unmodified boto3 client; retries are off where nothing else is said."""
    return boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(**{"read_timeout": 60, "retries": {"max_attempts": 0}, **config}),
    )


@dataclass
class Invoked:
    """What boto3 made of an answer.

    Args:
        reply: without the payload.
        payload: parsed, None for an empty one.
        log: decoded.
    """

    reply: dict[str, Any]
    payload: Any
    log: str

    @property
    def request_id(self) -> str:
        found: str = self.reply["ResponseMetadata"]["RequestId"]
        return found

    @property
    def lines(self) -> list[str]:
        return self.log.splitlines()

    @property
    def report(self) -> dict[str, str]:
        """The figures of the REPORT line by name."""
        line = next(line for line in self.lines if line.startswith("REPORT"))
        return dict(re.findall(r"([A-Z][A-Za-z ]+): ([^\t]+)", line))


def invoke(client: Any, name: str, event: Any = None, **more: Any) -> Invoked:
    """Invoke with the log."""
    payload = {} if event is None else {"Payload": json.dumps(event)}
    reply = client.invoke(FunctionName=name, LogType="Tail", **payload, **more)
    with reply.pop("Payload") as body:
        data = body.read()
    log = base64.b64decode(reply.get("LogResult", "")).decode("utf-8", "replace")
    return Invoked(reply, json.loads(data) if data else None, log)


def rewrite(client: Any, folder: Path, name: str, number: int) -> None:
    """Have the function answer another number; returns when the server has seen it."""

    def sha() -> Any:
        return client.get_function_configuration(FunctionName=name)["CodeSha256"]

    script, before = folder / name / f"{name}.py", sha()
    text = f"NUMBER = {number}\n" + VERSIONED
    if script.read_text() != text:
        script.write_text(text)
        while sha() == before:
            pass
