"""The router: how soon it answers when its process starts, and what it adds to an invocation.

    python benchmarks/router.py [--rounds 9]

The router is packed for this interpreter and started by its own program under the Runtime API of the tests; Lambda's
Invoke API is a server of firstlight on this machine. Baselines: the same start with boto3 and a client of Lambda
imported besides; the same invocation by boto3.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import boto3

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from contract.runtime_api.recorder import RuntimeApi
from firstlight import project as projects
from firstlight import starters
from firstlight.build.lock.types import Lock
from firstlight.build.pack import archive, router
from firstlight.build.pack.types import TASK_ROOT, Contents, Target
from firstlight.build.types import Silent
from firstlight.invoke.aws import AwsInvoker
from firstlight.invoke.types import Invocation
from firstlight.runtime.aws.calling import Api
from front_events import url_event
from harness import Samples, paired, table, write
from serving import Server

PROJECT = """
name = "routed"
[endpoints.echo]
script = "echo.py"
"""
ECHO = "def handler(event, context):\n    return event\n"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
BOTO = "import boto3; boto3.client('lambda', region_name='us-east-1'); "
CALLS = 300
KEYS = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}


def laid_out(packed: Contents, root: Path) -> dict[str, str]:
    """The router's files below a folder; its variables, which lead there."""
    for piece in packed.pieces:
        for file in piece.files:
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.source if isinstance(file.source, bytes) else file.source.read_bytes())
    env = {name: value.replace(TASK_ROOT, str(root)) for name, value in packed.environment.items()}
    return {**env, **KEYS, "FIRSTLIGHT_PROJECT": "routed", "_HANDLER": packed.handler}


def started(root: Path, env: dict[str, str], *, boto: bool = False) -> float:
    """Milliseconds from the start of the process to its first answer."""
    program = str(root / ".firstlight/src/firstlight/runtime/start.py")
    command = [program]
    if boto:
        env = {**env, "FIRSTLIGHT_PATH": f"{env['FIRSTLIGHT_PATH']}:{sysconfig.get_paths()['purelib']}"}
        first = f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r}); {BOTO}"
        command = ["-c", f"{first}import runpy; runpy.run_path({program!r}, run_name='__main__')"]
    with RuntimeApi() as api:
        env = {**env, "AWS_LAMBDA_RUNTIME_API": api.address}
        event = api.put(json.dumps(url_event("GET", "/livez")).encode(), timeout=60.0)
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-I", "-S", "-B", *command], env=env)
        event.wait()
        took = (time.perf_counter() - start) * 1000
        process.kill()
        process.wait()
    return took


def starts(packed: Contents, rounds: int) -> dict[str, Samples]:
    """Cold starts of the router."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        plain, compiled = Path(folder) / "plain", Path(folder) / "compiled"
        env, compiled_env = laid_out(packed, plain), laid_out(packed, compiled)
        compileall.compile_dir(compiled, quiet=1)
        return paired(
            {
                "every module compiled anew": lambda: started(plain, env),
                "with bytecode": lambda: started(compiled, compiled_env),
                "with bytecode, and boto3": lambda: started(compiled, compiled_env, boto=True),
            },
            rounds,
        )


def invocations(server: Server, rounds: int) -> dict[str, Samples]:
    """Milliseconds of one invocation of a warm function, by what carries it."""
    invoker = AwsInvoker({"echo": "echo"}, Api("lambda", {**KEYS, "AWS_ENDPOINT_URL": server.url}))
    client = boto3.client(
        "lambda",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    version = client.publish_version(FunctionName="echo")["Version"]
    client.create_alias(FunctionName="echo", Name="live", FunctionVersion=version)
    loop = asyncio.new_event_loop()

    async def ours() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            await invoker.invoke(Invocation("echo", b'{"a": 1}'))
        return (time.perf_counter() - start) * 1000 / CALLS

    def boto() -> float:
        start = time.perf_counter()
        for _ in range(CALLS):
            answer = client.invoke_with_response_stream(
                FunctionName="echo", Qualifier="live", Payload=b'{"a": 1}', LogType="Tail"
            )
            list(answer["EventStream"])
        return (time.perf_counter() - start) * 1000 / CALLS

    found = paired({"boto3": boto, "the router's invoker": lambda: loop.run_until_complete(ours())}, rounds)
    loop.run_until_complete(invoker.close())
    loop.close()
    client.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name:
        folder = Path(name)
        (folder / "firstlight.toml").write_text(PROJECT)
        (folder / "echo.py").write_text(ECHO)
        project = starters.with_tasks(projects.load(folder))
        packed = router.of_router(project, {}, Lock(), Target("x86_64", PYTHON), Silent())
        zipped = archive.write(packed, folder / "zip")
        cold = starts(packed, rounds)
        os.chdir(folder)
        with Server(folder) as server:
            warm = invocations(server, rounds)
    size = f"zip {zipped.size / 1e6:.2f} MB, {zipped.unpacked / 1e6:.2f} MB unpacked"
    tables = [
        table(f"Milliseconds from process start to the first answer ({size})", cold, "with bytecode"),
        table("Milliseconds of an invocation of a warm function", warm, "boto3"),
    ]
    print("written to", write("router", "ms", tables, {}))


if __name__ == "__main__":
    main()
