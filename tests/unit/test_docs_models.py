"""The page of architectures is the table of the code."""

from __future__ import annotations

import re
from pathlib import Path

from firstlight.build.choice import architectures

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def rows(heads: str) -> list[tuple[str, str]]:
    """The rows of the table with these heads, without the backquotes."""
    body = PAGE.split(f"| {heads} |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [tuple(cell.strip().strip("`") for cell in row.strip("|").split("|")) for row in body]


def test_encoders():
    named = {kind: f"{family}..." for kind, family in architectures.ENCODERS.items()}
    assert dict(rows("`model_type` | architectures")) == named
    assert all(f"`{head}`" in PAGE for head in architectures.HEADS)


def test_encoder_decoders():
    assert dict(rows("`model_type` | architecture")) == architectures.ENCODER_DECODERS


def test_language_models():
    int8 = {name: "yes" if name in architectures.DECODERS_INT8 else "" for name in architectures.DECODERS}
    assert dict(rows("architecture | int8")) == int8


def test_what_torch_exports():
    (sentence,) = re.findall(r"^Encoders that torch exports.*$", PAGE, re.MULTILINE)
    listed = sentence.split(": ", 1)[1].split(" (of BART", 1)[0]
    assert tuple(re.findall(r"`([a-z0-9_-]+)`", listed)) == architectures.WITH_TORCH
