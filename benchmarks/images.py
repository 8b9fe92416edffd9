"""Images without a daemon: time to make one, its size, what a change sends, and its cold start against torch's.

    python benchmarks/images.py --torch-python .venv-torch/bin/python

The torch environment needs torch, transformers and awslambdaric; the daemon and the base (tests/parts) need root. The
model is a DistilBERT of 67 million random parameters: ours as ``firstlight build`` makes it, the other with
``transformers.pipeline`` in the handler of a usual image, both below AWS's Runtime Interface Emulator in a container.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import paired, rounded, table, write
from parts import base as bases
from parts.daemon import Daemon, running
from parts.rie import program

MAKE_MODEL = """
import sys, torch, transformers as t
folder, words = sys.argv[1:3]
torch.manual_seed(7)
tokenizer = t.DistilBertTokenizerFast(tokenizer_file=words)
config = t.DistilBertConfig(vocab_size=30522, id2label={0: "NEGATIVE", 1: "POSITIVE"})
config.architectures = ["DistilBertForSequenceClassification"]
t.DistilBertForSequenceClassification(config).save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""
HANDLER = """
from transformers import pipeline
pipe = pipeline("text-classification", model="/model", device="cpu")


def handler(event, context):
    return pipe(event["inputs"])
"""
PROJECT = """
name = "bench"
[endpoints.mood]
model = "model"
quantize = "{quantize}"
[endpoints.hello]
script = "hello.py"
[deploy]
architecture = "x86_64"
"""
EVENT = b'{"inputs": "I have rarely been so glad to be wrong about a film."}'
INVOKE = "/2015-03-31/functions/function/invocations"
OPTIONS = (
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--user",
    "993:990",
    "--publish",
    "127.0.0.1::8080",
    "--cpus",
    "1",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", default=".venv-torch/bin/python")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="images") as scratch, running() as docker:
        measure(Path(scratch), docker, args)


def measure(scratch: Path, docker: Daemon, args: argparse.Namespace) -> None:
    base = bases.make()
    root = project(scratch, args.torch_python)
    environment = {**os.environ, "XDG_CACHE_HOME": str(scratch / "cache")}
    build(root, base, environment)  # downloads and converts; not what is measured
    tables = [building(root, base, environment, scratch)]
    said = build(root, base, environment, "--tarball", str(scratch / "images"))
    print(
        "\nlayers of mood, MB: ", {one["name"]: round(one["size"] / 1e6, 2) for one in layers(said, "mood")}
    )
    image = docker.load(scratch / "images" / "mood.tar")
    tables.append(starting(docker, image, root, args))
    tables.append({"title": "sizes, bytes", "rows": sizes(said)})
    extra = versions(args.torch_python)
    print("\nwritten to", write("images", "ms", tables, extra))


def project(scratch: Path, python: str) -> Path:
    root = scratch / "project"
    root.mkdir()
    words = HERE.parent / "src/firstlight/starters/sentiment/tokenizer.json"
    subprocess.run([python, "-c", MAKE_MODEL, str(root / "model"), str(words)], check=True)
    for file in (root / "model").iterdir():
        file.chmod(0o644)  # safetensors writes files that nobody else may read
    (root / "firstlight.toml").write_text(PROJECT.format(quantize="int8"))
    (root / "hello.py").write_text("def handler(event, context):\n    return 0\n")
    return root


def build(root: Path, base: Path, environment: dict[str, str], *more: str) -> dict[str, object]:
    command = [
        sys.executable,
        "-m",
        "firstlight",
        "build",
        "--json",
        "--package",
        "image",
        "--base",
        str(base),
        *more,
    ]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def layers(said: dict[str, object], name: str) -> list[dict[str, object]]:
    return next(one["layers"] for one in said["packages"] if one["endpoint"] == name)


def building(root: Path, base: Path, environment: dict[str, str], scratch: Path) -> dict[str, object]:
    """Processor time of the verb, which other work on the machine does not change; two cores share it.

    Wheels, bundle and base are on the machine.
    """
    kept = scratch / "cache" / "firstlight" / "images" / "layers"
    numbers = iter(range(1000))

    walls: dict[str, list[float]] = {}

    def timed(name, prepare) -> float:
        prepare()
        start = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        build(root, base, environment, "mood", "hello")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.setdefault(name, []).append(round((time.perf_counter() - start) * 1e3))
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3

    def change() -> None:
        (root / "hello.py").write_text(f"def handler(event, context):\n    return {next(numbers)}\n")

    def forget() -> None:
        bases_there = {f"sha256:{note.name.partition('.')[0]}" for note in kept.glob("*.base.json")}
        for note in kept.glob("*.json"):
            if ".base." not in note.name and json.loads(note.read_text())["diff_id"] not in bases_there:
                note.unlink()

    variants = {
        "nothing kept": lambda: timed("nothing kept", forget),
        "all kept": lambda: timed("all kept", lambda: None),
        "code changed": lambda: timed("code changed", change),
    }
    measured = table("two images, ms of processor time", paired(variants, 3, warmup=0), "all kept")
    print("elapsed, ms:", walls)
    return {**measured, "elapsed": walls}


def sizes(said: dict[str, object]) -> dict[str, object]:
    found = {}
    for name in ("mood", "hello"):
        package = next(one for one in said["packages"] if one["endpoint"] == name)
        own = {layer["name"]: layer["size"] for layer in package["layers"]}
        found[name] = {"layers": own, "own": sum(own.values()), "with base": package["size"]}
        found[name]["unpacked"] = package["unpacked"]
        print(f"{name}: {sum(own.values()) / 1e6:.1f} MB, with its base {package['size'] / 1e6:.1f} MB")
    found["compressor"] = compressor()
    return found


def compressor() -> dict[str, object]:
    """Ours against zlib, on one core, on a library of machine code."""
    import onnxruntime

    from firstlight.build.image import deflate

    library = max(Path(onnxruntime.__file__).parent.glob("capi/*.so*"), key=lambda path: path.stat().st_size)
    text = library.read_bytes()[: 16 * deflate.PIECE]
    start = time.process_time()
    ours = sum(
        len(deflate.piece(text[at : at + deflate.PIECE], text[max(0, at - deflate.WINDOW) : at]))
        for at in range(0, len(text), deflate.PIECE)
    )
    middle = time.process_time()
    theirs = len(zlib.compress(text, 6))
    end = time.process_time()
    megabytes = len(text) / 1e6
    row = {
        "MB/s": megabytes / (middle - start),
        "zlib MB/s": megabytes / (end - middle),
        "ratio": ours / theirs,
    }
    print("compressor:", rounded(row))
    return rounded(row)


def starting(docker: Daemon, image: str, root: Path, args: argparse.Namespace) -> dict[str, object]:
    """From the invocation to its answer, where it is the first: start of the process, load, answer."""
    emulator = ("--volume", f"{program()}:/rie:ro", "--entrypoint", "/rie")
    entry = json.loads(docker.docker("inspect", "--format", "{{json .Config.Entrypoint}}", image).stdout)
    (root / "torch_app.py").write_text(HANDLER)
    packages = next(Path(args.torch_python).absolute().parents[1].glob("lib/python*/site-packages"))
    mounts = [
        *("--volume", f"{packages}:/packages:ro", "--volume", f"{root / 'model'}:/model:ro"),
        *("--volume", f"{root / 'torch_app.py'}:/app/torch_app.py:ro"),
        *(
            "--env",
            "PYTHONPATH=/packages:/app",
            "--env",
            "AWS_LAMBDA_FUNCTION_TIMEOUT=120",
            "--env",
            "HOME=/tmp",
        ),
    ]
    torch = ["/usr/bin/python3.11", "-m", "awslambdaric", "torch_app.handler"]

    def started(options: list[str], words: list[str]) -> float:
        command = ["run", "--detach", *OPTIONS, *emulator, *options, image, *words]
        container = docker.docker(*command).stdout.strip()
        try:
            url = f"http://127.0.0.1:{docker.port(container)}{INVOKE}"
            return answered(url)
        finally:
            docker.remove(container)

    variants = {
        "firstlight": lambda: started([], entry),
        "transformers on torch": lambda: started(mounts, torch),
    }
    return table("cold start in a container, one CPU, ms", paired(variants, args.rounds), "firstlight")


def answered(url: str) -> float:
    """Milliseconds of the first invocation; the emulator starts the function with it."""
    for _ in range(200):
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, EVENT), timeout=180) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise SystemExit(error.read().decode()) from error
        except OSError:
            time.sleep(0.05)
            continue
        if b"label" not in body:
            raise SystemExit(body.decode())
        return (time.perf_counter() - start) * 1e3
    raise SystemExit("the emulator does not answer")


def versions(python: str) -> dict[str, str]:
    script = (
        "import json, torch, transformers as t; "
        "print(json.dumps({'torch': torch.__version__, 'transformers': t.__version__}))"
    )
    said = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(said.stdout)


if __name__ == "__main__":
    if not shutil.which("mmdebstrap"):
        raise SystemExit("needs mmdebstrap and a Docker daemon, as tests/aws do")
    main()
