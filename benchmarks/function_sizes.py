"""Sizes of the starters' functions, and of the wheels that the same work takes with torch.

python benchmarks/function_sizes.py

Functions are made for two targets and written as zips. For torch nothing is written: the sizes are those of the wheels
that pip chooses for a usual recipe: torch for CPUs, transformers, sentencepiece, protobuf, awslambdaric.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from firstlight import project as projects
from firstlight import starters
from firstlight.build import lock as locks
from firstlight.build.pack import archive, contents, pinning, targets, wheels
from firstlight.build.pack.types import Target
from firstlight.build.resolve import make
from firstlight.build.types import Silent, Wish
from harness import write

TARGETS = (Target(), Target("x86_64", "3.11"))
RECIPE = ("torch==2.13.0+cpu", "transformers", "sentencepiece", "protobuf", "awslambdaric")
RECIPE_TARGET = Target("x86_64", "3.11")


def functions(target: Target) -> dict[str, object]:
    """Every starter as a zip for a target."""
    rows = {}
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name:
        root = Path(name)
        listed = "\n".join(f'[endpoints.{one}]\nmodel = "starter:{one}"' for one in starters.names())
        (root / "firstlight.toml").write_text(listed)
        project = starters.with_tasks(projects.load(root, None, {}))
        made = {one.name: make(Wish(str(one.model), one.task), root) for one in project.endpoints.values()}
        lock = pinning.pinned(project, made, locks.Lock(), target, Silent())
        for endpoint in project.endpoints.values():
            found = contents.of_endpoint(project, endpoint, made[endpoint.name], lock, target, Silent())
            zipped = archive.write(found, root / "zips")
            row = {"zip_mb": zipped.size / 1e6, "unpacked_mb": zipped.unpacked / 1e6}
            rows[endpoint.name] = row | {f"{piece.name}_mb": piece.size / 1e6 for piece in found.pieces}
            zipped.path.unlink()
    return {"title": f"functions for {targets.shown(target)}", "unit": "MB", "rows": rows}


def recipe() -> dict[str, object]:
    """The wheels of a usual recipe with torch."""
    found = wheels.resolve(RECIPE, RECIPE_TARGET, about="the recipe")
    places = wheels.fetch(found, RECIPE_TARGET)
    unpacked = 0
    for place in places.values():
        with zipfile.ZipFile(place) as opened:
            unpacked += sum(entry.file_size for entry in opened.infolist())
    packed = sum(place.stat().st_size for place in places.values())
    row = {"wheels": len(found), "packed_mb": packed / 1e6, "unpacked_mb": unpacked / 1e6}
    title = f"wheels of a recipe with torch for {targets.shown(RECIPE_TARGET)}"
    return {"title": title, "unit": "MB", "rows": {", ".join(RECIPE): row}}


if __name__ == "__main__":
    print(
        "written to",
        write("function_sizes", "MB", [*(functions(target) for target in TARGETS), recipe()], {}),
    )
