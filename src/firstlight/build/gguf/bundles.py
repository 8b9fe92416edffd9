"""The bundle around a GGUF file: what bundle.json says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build import bundle
from firstlight.build.convert.source import front_matter, read_json
from firstlight.build.gguf.quantisations import SLOW
from firstlight.runtime.engines.llama import checks
from firstlight.runtime.errors import ConversionError

FILE = "model.gguf"
TASK = "text-generation"
_GENERATION = (
    "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "max_new_tokens",
)  # fmt: skip
_SLOW_NOTE = (
    f"{SLOW} is the slowest quantisation on a CPU; q8_0 and q4_k_m read a prompt about twice as fast, and answer "
    "faster: quantize = 'q8_0' or 'q4_k_m' makes one of them"
)


def check_task(task: str | None, what: str) -> None:
    """Raise where a language model is to be served for something else."""
    if task not in (None, TASK):
        raise ConversionError(f"{what} is a language model for {TASK}, not for {task}", "leave the task out")


def generation(folder: Path) -> dict[str, Any]:
    """What a folder's generation_config.json asks for, of what is known here."""
    found = read_json(folder / "generation_config.json")
    return {key: found[key] for key in _GENERATION if isinstance(found.get(key), (bool, int, float))}


def licence(folder: Path) -> dict[str, str]:
    """What the README.md of a folder says of its licence."""
    found = front_matter(folder).get("license")
    return {"licence": found} if found else {}


def write(
    out: Path,
    name: str,
    precision: str,
    context: int,
    source: Mapping[str, str] | None = None,
    wishes: Mapping[str, Any] | None = None,
    parity: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> Path:
    """Write bundle.json beside the weights.

    Args:
        precision: name of the quantisation.
        context: tokens that prompt and answer may have together; 0 where it is not known.
        wishes: defaults of generation.
        parity: what is known of how far the weights are from the original ones.
        notes: what a user should know, one sentence each.
    """
    found = [*notes, *((_SLOW_NOTE,) if precision == SLOW else ())]
    defaults: dict[str, Any] = {"max_length": context} if context else {}
    if wishes:
        defaults["generation"] = dict(wishes)
    meta = {
        "name": name,
        "task": TASK,
        "engine": "llama",
        "precision": precision,
        "model": {"file": FILE, "checked": checks.VERSION},
        "tokenizer": {"kind": "gguf"},
        "labels": [],
        "defaults": defaults,
        "source": dict(source or {}),
        "parity": {**(parity or {}), **({"notes": found} if found else {})},
    }
    bundle.write(out, meta)
    return out
