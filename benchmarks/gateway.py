"""Requests through a whole server: firstlight beside LitServe, BentoML, mosec and AWS's Runtime Interface Emulator.

    python benchmarks/gateway.py [--quick]

An echo and the sentence encoder all-MiniLM-L6 (``starter:embeddings``: one file, by onnxruntime's own Python binding
in the other servers), one, eight and 64 requests at a time, as many workers as there are cores, one thread each. All
run in every round, in turn. The emulator answers one request at a time and ends when a second one comes, so it is
asked by one caller only. ``load.c`` asks; what it takes itself is in the results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import running
from firstlight import starters
from harness import HERE, ratios_of, rounded, write
from running import SERVERS, Load, Running, environment, free_port, versions

SENTENCE = "It was not great, but I liked it more than I thought I would."
CALLERS = (1, 8, 64)
OURS, EMULATOR = "firstlight", "AWS RIE"
PROJECT = """
name = "bench"
[endpoints.echo]
model = "echo"
concurrency = {workers}
[endpoints.encoder]
model = "starter:embeddings"
concurrency = {workers}
"""
EVENT = {"inputs": SENTENCE}


def firstlight(folder: Path, served: str, workers: int) -> Running:
    """Our own server; the whole of it, with records."""
    (folder / "echo").mkdir(exist_ok=True)
    bundle = {
        "schema": 1,
        "name": "echo",
        "task": "echo",
        "engine": "echo",
        "files": {},
        "model": {},
        "defaults": {},
    }
    (folder / "echo" / "bundle.json").write_text(json.dumps(bundle))
    (folder / "firstlight.toml").write_text(PROJECT.format(workers=workers))
    port = free_port()
    command = [sys.executable, "-m", "firstlight", "serve", "--port", str(port)]
    path = f"/2015-03-31/functions/{served}/invocations"
    env = {"FIRSTLIGHT_DATA_DIR": str(folder / f"data-{served}"), "PYTHONPATH": ""}
    return Running(command, path, EVENT, port, env, cwd=folder)


def litserve(served: str, workers: int) -> Running:
    """LitServe, on uvicorn and FastAPI."""
    port = free_port()
    command = [
        str(environment("litserve") / "python"),
        str(SERVERS / "litserve_server.py"),
        str(port),
        str(workers),
    ]
    return Running(command, "/predict", EVENT, port, {"SERVED": served}, "output")


def bentoml(served: str, workers: int) -> Running:
    """BentoML, on uvicorn and starlette."""
    port = free_port()
    programs = environment("bentoml")
    command = [
        str(programs / "bentoml"),
        "serve",
        "bentoml_server:Served",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    env = {"SERVED": served, "WORKERS": str(workers), "BENTOML_DO_NOT_TRACK": "True"}
    env["PATH"] = f"{programs}:{os.environ['PATH']}"
    return Running(command, "/answer", EVENT, port, env, "output", cwd=SERVERS)


def mosec(served: str, workers: int) -> Running:
    """The quick one: its front is written in Rust."""
    port = free_port()
    command = [
        str(environment("mosec") / "python"),
        str(SERVERS / "mosec_server.py"),
        "--address",
        "127.0.0.1",
    ]
    command += ["--port", str(port), "--timeout", "60000", "--log-level", "error"]
    return Running(command, "/inference", EVENT, port, {"SERVED": served, "WORKERS": str(workers)})


def emulator(served: str, _workers: int) -> Running:
    """AWS's emulator over AWS's own client of the Runtime API."""
    import rie

    port = free_port()
    command = [str(rie.binary()), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    command += [str(environment("rie") / "python"), "-m", "awslambdaric", "lambda_function.handler"]
    env = {"SERVED": served, "AWS_LAMBDA_FUNCTION_TIMEOUT": "60"}
    return Running(command, "/2015-03-31/functions/function/invocations", EVENT, port, env, cwd=SERVERS)


OTHERS: dict[str, Callable[[str, int], Running]] = {
    "LitServe": litserve,
    "BentoML": bentoml,
    "mosec": mosec,
    EMULATOR: emulator,
}


def in_process(bundle: Path, repeats: int) -> float:
    """p50 of our handler with no server around it, in microseconds, in a process of its own."""
    script = str(HERE / "variants/firstlight_model.py")
    command = [sys.executable, script, str(bundle), json.dumps(SENTENCE), str(repeats)]
    env = {
        **os.environ,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    }  # one thread, as a worker of that size has
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout.splitlines()
    return 1e3 * statistics.median(json.loads(out[-1]))


def same(first: object, other: object) -> bool:
    """Whether two servers answered alike: the same JSON, or vectors that differ in the last digits."""
    if not (isinstance(first, list) and isinstance(other, list)):
        return first == other
    first, other = (answer[0] if len(answer) == 1 else answer for answer in (first, other))
    return len(first) == len(other) and max(abs(a - b) for a, b in zip(first, other, strict=True)) < 2e-3


def measured(
    title: str, bundle: Path, servers: dict[str, Running], args: argparse.Namespace
) -> dict[str, object]:
    """All rounds over one model: a table with every sample."""
    for name, server in servers.items():
        if not same(servers[OURS].first, server.first):
            raise RuntimeError(
                f"{name} answers {str(server.first)[:200]}, and ours {str(servers[OURS].first)[:200]}"
            )
        # What settles in the first seconds has settled, and all workers run.
        for callers in (1,) if name == EMULATOR else (max(CALLERS), 1):
            server.load(callers, args.seconds)
    samples: dict[str, list[Load]] = {}
    handler = []
    for turn in range(args.rounds):
        handler.append(in_process(bundle, args.repeats))
        for callers in CALLERS:
            names = [name for name in servers if callers == 1 or name != EMULATOR]
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                samples.setdefault(f"{name}, {callers}", []).append(servers[name].load(callers, args.seconds))
        print(f"  {title}: round {turn + 1}/{args.rounds}", file=sys.stderr, flush=True)
    memory = {name: round(server.memory_mb(), 1) for name, server in servers.items()}
    return table(title, samples, handler, memory)


def table(
    title: str, samples: dict[str, list[Load]], handler: list[float], memory: dict[str, float]
) -> dict[str, object]:
    """One table, printed too: medians over rounds; ratios are of samples of the same round."""
    print(f"\n{title}: handler in process {statistics.median(handler):.0f} us")
    print(
        "| server, callers | p50 us | p99 us | over the handler us | requests/s | ratio | cpu us | load.c us |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rows = {}
    for name, loads in samples.items():
        callers = name.rpartition(", ")[2]
        base = [load.per_second for load in samples[f"{OURS}, {callers}"]]
        row: dict[str, object] = {
            field: statistics.median(getattr(load, field) for load in loads)
            for field in Load.__dataclass_fields__
        }
        if callers == "1":  # with more callers it is their queue that is seen
            row["over_handler_us"] = statistics.median(
                load.p50_us - alone for load, alone in zip(loads, handler, strict=True)
            )
        ratio = ratios_of([load.per_second for load in loads], base)
        rows[name] = rounded(row | {"ratio": ratio}) | {
            "p50_values_us": [round(load.p50_us) for load in loads],
            "per_second_values": [round(load.per_second) for load in loads],
        }
        over = f"{row['over_handler_us']:.0f}" if "over_handler_us" in row else ""
        print(
            f"| {name} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {over} | {row['per_second']:.0f} "
            f"| {ratio:.2f} | {row['cpu_us']:.0f} | {row['own_us']:.1f} |"
        )
    print("memory, MB:", memory)
    return {
        "title": title,
        "unit": "us",
        "baseline": f"{OURS}, as many callers: ratio of requests per second",
        "handler_us": [round(value, 1) for value in handler],
        "rows": rows,
        "memory_mb": memory,
    }


def main() -> None:
    """Measure and write benchmarks/results/gateway.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load, each time")
    parser.add_argument(
        "--repeats", type=int, default=300, help="calls of the handler in process, each round"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--only", action="append", choices=list(OTHERS), help="beside ours; all when not given"
    )
    parser.add_argument(
        "--quick", action="store_true", help="to see that it works: the results are not written"
    )
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.repeats = 1, 0.3, 50
    chosen = args.only or list(OTHERS)
    tables = []
    for title in ("echo", "encoder"):
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(running.tempfile.TemporaryDirectory(prefix="firstlight-bench-"))
            )
            servers = {OURS: firstlight(folder, title, args.workers)}
            stack.callback(servers[OURS].close)
            served = "echo" if title == "echo" else str(starters.path("embeddings"))
            for name in chosen:
                servers[name] = OTHERS[name](served, args.workers)
                stack.callback(servers[name].close)
            bundle = folder / "echo" if title == "echo" else starters.path("embeddings")
            tables.append(measured(title, bundle, servers, args))
    if args.quick:
        return
    files = {"LitServe": "litserve", "BentoML": "bentoml", "mosec": "mosec", EMULATOR: "rie"}
    found = {package: version for name in chosen for package, version in versions(files[name]).items()}
    if EMULATOR in chosen:
        import rie

        found["rie: emulator"] = rie.PINNED
    print("written to", write("gateway", "us", tables, found))


if __name__ == "__main__":
    main()
