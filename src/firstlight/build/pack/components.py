"""What somebody else made and a function holds: for its bill of materials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from firstlight import __version__
from firstlight.build.pack import unpacking
from firstlight.build.pack.types import Component, Wheel
from firstlight.build.types import Made
from firstlight.runtime.bundle import Bundle

_LONGEST = 100


def firstlight() -> Component:
    """This package."""
    return Component(
        "application", "firstlight", __version__, "Apache-2.0", f"pkg:pypi/firstlight@{__version__}"
    )


def libraries(named: Mapping[Path, Wheel]) -> Iterator[Component]:
    """Wheels, each once, sorted by name.

    Args:
        named: where a wheel lies -> the wheel.
    """
    for place, wheel in sorted(named.items(), key=lambda pair: (pair[1].name, pair[1].version)):
        purl = f"pkg:pypi/{wheel.name}@{wheel.version}"
        yield Component("library", wheel.name, wheel.version, _licence(place), purl, wheel.sha256)


def model(made: Made) -> Component:
    """The model of an endpoint."""
    name = Bundle.open(made.place).name
    source = made.model.removeprefix("hf:").partition("@")[0]
    purl = f"pkg:huggingface/{source}@{made.revision}" if made.revision and source.count("/") == 1 else ""
    return Component(
        "machine-learning-model", name, made.revision or "", made.licence or "", purl, made.digest
    )


def starter(name: str) -> Component:
    """A starter that a script loads."""
    from firstlight import starters

    bundle = Bundle.open(str(starters.path(name)))
    licence = str(bundle.source.get("licence") or "")
    return Component("machine-learning-model", f"starter:{name}", __version__, licence, "", bundle.digest)


def _licence(wheel: Path) -> str:
    """What a wheel's metadata says in few words: an SPDX expression where it has one."""
    told = unpacking.metadata(wheel)
    for key in ("license-expression", "license", "classifier"):
        text = told.get(key, "")
        if text and text.upper() != "UNKNOWN" and len(text) <= _LONGEST:
            return text.removeprefix("License :: ").removeprefix("OSI Approved :: ")
    return ""
