"""What is sent when an image is pushed: python benchmarks/pushing.py.

Two images, a sentiment model and a script, on the base of tests/aws, to a registry on this machine: everything, after a
line of the script was changed, and again with nothing changed. Bytes are counted where they pass, so questions, headers
and the manifest are in them. Then a layer that does not pack, there and back, beside curl, which hashes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import harness

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import small_images as images
from firstlight.build.pack.types import Blob, Image
from firstlight.build.registry import pulling
from firstlight.build.registry.pushing import push
from firstlight.build.registry.references import Reference
from parts import base, between, registry

LAYER_MB, ROUNDS = 400, 5
SCRIPT = "def handler(event, context):\n    return {answer!r}\n"
PROJECT = """name = "demo"

[deploy]
architecture = "x86_64"
base = "{base}"

[endpoints.mood]
model = "starter:sentiment"
"""


def changes(folder: Path, running: registry.RunningRegistry) -> dict[str, object]:
    """Bytes of three pushes of a project."""
    root = folder / "project"
    (root / "inference").mkdir(parents=True)
    (root / "firstlight.toml").write_text(PROJECT.format(base=base.make()))
    rows = {}
    for name, answer in (
        ("everything", "one"),
        ("a line of code changed", "two"),
        ("nothing changed", "two"),
    ):
        (root / "inference" / "hello.py").write_text(SCRIPT.format(answer=answer))
        with between.cutting(running.host) as line:
            command = ["firstlight", "build", "--package", "image", "--push", f"{line.host}/demo", "--json"]
            program = [sys.executable, "-m", *command]
            done = subprocess.run(program, cwd=root, capture_output=True, text=True, check=True)
            made = json.loads(done.stdout)["packages"]
            sent = sum(one["pushed"]["sent"] for one in made)
            rows[name] = {"blobs_sent": sent, "on_the_wire": line.up}
    return {"title": "bytes of a push", "unit": "bytes", "rows": rows}


def speed(folder: Path, running: registry.RunningRegistry) -> list[dict[str, object]]:
    """Seconds for a large layer, there and back, ours and curl's in turn."""
    image, number = large(folder / "layer"), iter(range(10_000))
    layer = image.layers[0]

    def ours_there() -> None:
        push(image, Reference.parse(f"{running.host}/ours{next(number)}"), cache=folder / "cache")

    def curls_there() -> None:
        begun = curl("-D", "-", "-X", "POST", f"http://{running.host}/v2/curl{next(number)}/blobs/uploads/")
        sent = curl("-D", "-", "-X", "PATCH", "-T", str(layer.source), location(begun))
        curl("-X", "PUT", f"{location(sent)}&digest={layer.digest}")

    def ours_back() -> None:
        pulling.fetch(Reference.parse(f"{running.host}/kept"), layer, folder / "back")
        (folder / "back" / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")).unlink()

    def curls_back() -> None:
        curl("-o", str(folder / "got"), f"http://{running.host}/v2/kept/blobs/{layer.digest}")

    push(image, Reference.parse(f"{running.host}/kept:1"), cache=folder / "cache")
    there = harness.paired({"push": timed(ours_there), "push, curl": timed(curls_there)}, ROUNDS)
    back = harness.paired({"pull": timed(ours_back), "pull, curl": timed(curls_back)}, ROUNDS)
    return [
        harness.table(f"a layer of {LAYER_MB} MB there, s", there, "push, curl"),
        harness.table("and back, s", back, "pull, curl"),
    ]


def curl(*words: str) -> str:
    """What curl prints."""
    command = ["curl", "-sS", "-f", "-H", "Content-Type: application/octet-stream", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def location(head: str) -> str:
    """Where an answer leads."""
    (place,) = re.findall(r"(?im)^location: (\S+)", head)
    return place


def timed(work: Callable[[], None]) -> Callable[[], float]:
    """Work as something that says how long it took."""

    def run() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return run


def large(place: Path) -> Image:
    """An image of one layer that does not pack."""
    found = hashlib.sha256()
    with place.open("wb") as file:
        for number in range(LAYER_MB):
            piece = images.noise(number, 1_000_000)
            found.update(piece)
            file.write(piece)
    layer = Blob(images.LAYER, f"sha256:{found.hexdigest()}", LAYER_MB * 1_000_000, place)
    config = images.image({"a": b""}).config
    return Image(images.manifest(config, [layer]), config, (layer,))


def main() -> None:
    """Measure and write down."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        running = registry.start(folder / "registry", {})
        try:
            tables = [changes(folder, running), *speed(folder, running)]
        finally:
            running.stop()
    print("written to", harness.write("pushing", "bytes and seconds", tables, {}))


if __name__ == "__main__":
    main()
