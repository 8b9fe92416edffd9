"""What the way from the engine to the client costs a token, when tokens arrive, and how soon a client's leaving tells.

    python benchmarks/streaming.py

The engine is the fake one, which takes no time of its own: what is measured is the task, the worker's Runtime API
stream, the pool, the gateway and its wire, and a client that reads line by line. Baseline: the task in process.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from firstlight.runtime.model import Model
from harness import Samples, paired, table, write

TEXT = "the quick brown fox jumps over the lazy dog. "
TOKENS = len(TEXT) * 60
DELAY_MS = 20
PROJECT = """
name = "streaming"
[endpoints.parrot]
model = "parrot"
route = "/parrot"
concurrency = 1
[endpoints.slow]
model = "parrot"
route = "/slow"
concurrency = 1
env = { FIRSTLIGHT_ECHO_DELAY_MS = "%d" }
"""


class Server:
    """``firstlight serve`` over two parrots, one of which takes its time."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="firstlight-bench-")
        root = Path(self.folder.name)
        bundle = {"schema": 1, "name": "parrot", "task": "text-generation", "engine": "echo", "files": {}}
        (root / "parrot").mkdir()
        (root / "parrot" / "bundle.json").write_text(json.dumps({**bundle, "model": {"context": 10**6}}))
        (root / "firstlight.toml").write_text(PROJECT % DELAY_MS)
        command = [sys.executable, "-m", "firstlight", "serve", "--port", "0", "--json"]
        env = {**os.environ, "FIRSTLIGHT_DATA_DIR": str(root / "data")}
        self.process = subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.host = json.loads(self.process.stdout.readline())["url"].partition("://")[2]
        self.bundle = root / "parrot"

    def lines(self, wire: str, name: str, text: str) -> Iterator[tuple[float, bytes]]:
        """Each line of a streamed answer that holds an event, and when it had arrived."""
        inputs = {"inputs": text, "parameters": {"max_new_tokens": None}, "stream": True}
        completion = {"model": name, "prompt": text, "max_tokens": 10**6, "stream": True}
        path, body = {
            "Hugging Face route": (f"/models/{name}", inputs),
            "OpenAI completions": ("/v1/completions", completion),
            "own route": (f"/{name}", inputs),
            "InvokeWithResponseStream": (
                f"/2021-11-15/functions/{name}/response-streaming-invocations",
                inputs,
            ),
        }[wire]
        connection = http.client.HTTPConnection(self.host)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            while line := response.readline():
                if b"data:" in line:
                    yield time.perf_counter(), line
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the server as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()


WIRES = ("InvokeWithResponseStream", "Hugging Face route", "own route", "OpenAI completions")


def in_process(model: Model) -> float:
    """Microseconds a token of the task alone, its events as JSON."""
    start = time.perf_counter()
    count = sum(1 for event in model.stream(TEXT * 60, {"max_new_tokens": None}) if json.dumps(event))
    return (time.perf_counter() - start) / count * 1e6


def through(server: Server, wire: str) -> float:
    """Microseconds a token from the request to the last event."""
    start = time.perf_counter()
    count = sum(1 for _ in server.lines(wire, "parrot", TEXT * 60))
    return (time.perf_counter() - start) / count * 1e6


def gaps(server: Server, wire: str) -> tuple[float, float]:
    """Milliseconds to the first event, and the median time between two of them, less what the engine takes."""
    start = time.perf_counter()
    arrived = [at for at, _ in server.lines(wire, "slow", TEXT)]
    between = [(later - at) * 1e3 - DELAY_MS for at, later in pairwise(arrived[:-1])]
    return (arrived[0] - start) * 1e3, statistics.median(between)


def leaving(server: Server, wire: str) -> float:
    """Milliseconds from a client's leaving until the endpoint's only worker has answered the next request."""
    lines = server.lines(wire, "slow", TEXT * 60)
    next(lines)
    lines.close()
    start = time.perf_counter()
    next(server.lines(wire, "slow", "x"))
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Measure and write ``results/streaming.json``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    server = Server()
    try:
        model = Model.load(server.bundle)
        through(server, WIRES[0])
        gaps(server, WIRES[0])
        costs = paired(
            {"task in process": lambda: in_process(model)}
            | {wire: lambda wire=wire: through(server, wire) for wire in WIRES},
            rounds,
        )
        found = {wire: [gaps(server, wire) for _ in range(rounds)] for wire in WIRES}
        left = {wire: Samples([leaving(server, wire) for _ in range(rounds)]) for wire in WIRES}
    finally:
        server.close()
    engine = f"an engine of {DELAY_MS} ms a token"
    firsts = {wire: Samples([first for first, _ in pairs]) for wire, pairs in found.items()}
    between = {wire: Samples([gap for _, gap in pairs]) for wire, pairs in found.items()}
    tables = [
        table(f"Microseconds a token, {TOKENS} tokens", costs, "task in process"),
        table(f"Milliseconds to the first token, {engine}", firsts, WIRES[0]),
        table(f"Milliseconds between two tokens beyond the engine's own, {engine}", between, WIRES[0]),
        table(
            f"Milliseconds from a client's leaving to the next one's first token, {engine}", left, WIRES[0]
        ),
    ]
    write("streaming", "us and ms", tables, {})


if __name__ == "__main__":
    main()
