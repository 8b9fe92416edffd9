"""What gateway and worker add to the handler (p50, one caller), and the memory of an idle server and of a warm worker.

    python benchmarks/gateway.py

Baseline: the handler in process. Both run in every round, so the difference is taken under the same load.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import models
from cold_start import HERE, SENTENCE
from firstlight import starters
from firstlight.build.convert.encoder import convert
from firstlight.runtime.bundle import Bundle
from harness import Samples, paired, table, write
from worker import Worker


class Server:
    """`firstlight serve` on a free port, and one keep-alive connection to it."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="firstlight-bench-")
        command = [sys.executable, "-m", "firstlight", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, cwd=self.folder.name, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        for line in self.process.stdout:
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                break
        else:
            raise RuntimeError("the server printed no address")
        self.connection = socket.create_connection(("127.0.0.1", int(found[1])))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = f"127.0.0.1:{found[1]}"

    def invoke(self, name: str, event: object) -> bytes:
        """One RequestResponse invocation over the open connection."""
        body = json.dumps(event).encode()
        head = (
            f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: {self.host}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.connection.sendall(head.encode() + body)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self.connection.recv(1 << 16)
        headers, _, answer = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", headers, re.I)[1])
        while len(answer) < length:
            answer += self.connection.recv(1 << 16)
        if not headers.startswith(b"HTTP/1.1 200") or b"function-error" in headers.lower():
            raise RuntimeError((headers + answer).decode())
        return answer

    def memory_mb(self) -> dict[str, float]:
        """Proportional megabytes of the server and of everything it started, by command."""
        found = {"server": pss_mb(self.process.pid)}
        for child in children(self.process.pid):
            found[f"child {child}"] = pss_mb(child)
        return found

    def close(self) -> None:
        """Stop the server as Ctrl-C does."""
        self.connection.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.folder.cleanup()


def pss_mb(pid: int) -> float:
    """Proportional set size: shared pages divided among those who share them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def children(pid: int) -> list[int]:
    """Every process below one."""
    direct = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return direct + [below for child in direct for below in children(child)]


def in_process(repeats: int) -> float:
    """p50 of the handler alone, in a process of its own."""
    script = str(HERE / "variants/firstlight_model.py")
    command = [sys.executable, script, str(starters.path("sentiment")), json.dumps(SENTENCE), str(repeats)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return statistics.median(json.loads(out[-1]))


def through(server: Server, repeats: int) -> float:
    """p50 of the same call through gateway and worker."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        server.invoke("sentiment", {"inputs": SENTENCE})
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def worker_memory() -> dict[str, object]:
    """Resident memory of a warm worker against the weights it has mapped."""
    rows = {}
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as scratch:
        source = models.distilbert_classifier(Path(scratch) / "distilbert")
        bundles = {
            f"DistilBERT-sized {p}": convert(source, Path(scratch) / p, precision=p) for p in ("fp32", "int8")
        }
        for name, bundle in (bundles | {"starter sentiment": starters.path("sentiment")}).items():
            worker = Worker(bundle, {"inputs": SENTENCE})
            for _ in range(50):
                worker.invoke({"inputs": SENTENCE})
            time.sleep(2)  # the worker packs its weights in idle time; the figure is of the state after that
            worker.invoke({"inputs": SENTENCE})
            opened = Bundle.open(str(bundle), verify="sizes")
            weights = (
                sum(
                    entry["size"]
                    for file, entry in opened.files.items()
                    if "token" not in file and "wordpiece" not in file
                )
                / 1e6
            )
            rows[name] = {
                "rss_mb": worker.memory_mb(),
                "weights_mb": weights,
                "wanted_mb": 1.15 * weights + 40,
            }
            worker.close()
    print(json.dumps(rows, indent=1))
    return {"title": "resident memory of a warm worker", "unit": "MB", "rows": rows}


def main() -> None:
    """Measure and write benchmarks/results/gateway.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=300)
    args = parser.parse_args()
    models.lift_limits()
    server = Server()
    try:
        idle = server.memory_mb()
        server.invoke("sentiment", {"inputs": SENTENCE})
        time.sleep(2)  # let the worker pack its weights, as the variant in process has
        samples = paired(
            {
                "handler in process": lambda: in_process(args.repeats),
                "through gateway and worker": lambda: through(server, args.repeats),
            },
            args.rounds,
        )
        pairs = zip(
            samples["through gateway and worker"].values, samples["handler in process"].values, strict=True
        )
        overhead = Samples([outside - inside for outside, inside in pairs])
        result = table("starter sentiment, p50 in ms", samples, "handler in process")
        result["overhead_ms"] = overhead.summary()
        print(
            "added by gateway and worker, ms:",
            overhead.summary(),
            "\nidle, MB:",
            idle,
            "sum",
            sum(idle.values()),
        )
    finally:
        server.close()
    memory = {
        "title": "proportional memory of an idle server",
        "unit": "MB",
        "rows": idle,
        "sum": sum(idle.values()),
    }
    print("written to", write("gateway", "ms", [result, memory, worker_memory()], {}))


if __name__ == "__main__":
    main()
