"""What is worth knowing of a function while it is put together, said where it is progress."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from firstlight.build.pack import belongings, wheels
from firstlight.build.pack.pipelines import Asked
from firstlight.build.pack.requirements import Requirements
from firstlight.build.pack.types import File, Wheel
from firstlight.build.types import Progress
from firstlight.project import Endpoint

_MUCH = 50_000_000
"""Bytes of a project that are worth a word: a change of one line sends them all."""


def of_files(endpoint: Endpoint, own: Iterable[File], asked: Asked, shown: Progress) -> None:
    """Tell of large projects, and of models that would have to be converted."""
    own = tuple(own)
    size = sum(file.size for file in own) / 1e6
    if size * 1e6 > _MUCH:
        most = belongings.largest(own)
        shown.say(f"{endpoint.name} takes {size:,.0f} MB of the project along, most of it {most}")
    for name in asked.absent:
        hint = f"`firstlight bundle {name} -o FOLDER` makes one"
        shown.say(f"{endpoint.name} loads {name}, no bundle of the project: {hint}")


def of_traced(endpoint: Endpoint, traced: str, shown: Progress) -> None:
    """Tell where a script is not the one that was traced."""
    if endpoint.script is not None and wheels.sha256(endpoint.script) != traced:
        hint = f"run `firstlight trace {endpoint.name}`"
        shown.say(f"{endpoint.script.name} was changed after it was traced: {hint}")


def of_graphics(its: Requirements, theirs: Iterable[Wheel], shown: Progress) -> None:
    """Tell of CUDA, before gigabytes are fetched."""
    if any(wheel.name.startswith("nvidia-") for wheel in theirs):
        shown.say(
            f"{its.shown} brings CUDA, gigabytes that no function on Lambda can use: begin it with "
            "--extra-index-url and the address that pytorch.org/get-started names for CPU"
        )


def of_torch(
    its: Requirements,
    theirs: Iterable[Wheel],
    places: Mapping[str, Path],
    files: Iterable[File],
    shown: Progress,
) -> None:
    """Tell of torch, with its size."""
    heavy = [
        wheel for wheel in theirs if wheel.name == "torch" or wheel.name.startswith(("nvidia-", "triton"))
    ]
    if not heavy:
        return
    packed = sum(places[wheel.file].stat().st_size for wheel in heavy) / 1e6
    total = sum(file.size for file in files) / 1e6
    shown.say(
        f"{its.shown} brings torch: {packed:,.0f} MB of wheels, and {total:,.0f} MB of libraries in the function; "
        "`from firstlight import pipeline` answers without it, from 25 MB"
    )
