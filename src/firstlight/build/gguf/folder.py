"""A model folder of the hub (config.json, safetensors, tokenizer.json) to a bundle with a GGUF file, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.build.convert.source import read_json
from firstlight.build.gguf import (
    bundles,
    families,
    gpt2,
    llama,
    neox,
    quantisations,
    reading,
    tokenizer,
    writer,
)
from firstlight.build.gguf.model import Plan, Tensors
from firstlight.build.gguf.quantisations import Quantisation
from firstlight.build.gguf.vocabulary import Vocabulary
from firstlight.build.gguf.writer import Value
from firstlight.runtime.errors import ConversionError

_PREFIXES = (*llama.PREFIXES, *neox.PREFIXES, *gpt2.PREFIXES)
BLOCKS_VERSION = 2
"""Of the layouts of quantised blocks, as ggml counts them."""


def convert(
    model_dir: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle from a model folder.

    Args:
        model_dir: config.json, safetensors and tokenizer.json, as the hub keeps them.
        out_dir: folder of the bundle; made where it is not there.
        task: None or ``text-generation``.
        precision: a name of ``quantisations``; None is q8_0 for models up to 500 million weights, else q4_k_m.
        name: of the bundle; the folder's when None.
        source: repository, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: the folder cannot be read, or llama.cpp computes no such model or tokenizer.
    """
    folder, out = Path(model_dir), Path(out_dir)
    bundles.check_task(task, str(folder))
    if out.resolve() == folder.resolve():
        raise ConversionError(f"{out} is the model folder itself", "write the bundle into another folder")
    named = name or folder.name
    architecture, plan = _planned(folder)
    kind = quantisations.chosen(precision, plan.weights)
    vocabulary = tokenizer.read(folder)
    origin = {**bundles.licence(folder), **(source or {})}
    metadata = head(architecture, named, kind, plan, vocabulary, origin)
    out.mkdir(parents=True, exist_ok=True)
    write(out / bundles.FILE, metadata, plan, kind)
    reading.approve(out / bundles.FILE)
    wishes = bundles.generation(folder)
    return bundles.write(
        out, named, kind.name, plan.context, source=origin, wishes=wishes, notes=vocabulary.notes
    )


def _planned(folder: Path) -> tuple[str, Plan]:
    """GGUF's name of the architecture, and what goes into the file."""
    config = read_json(folder / "config.json", required=True)
    family = families.of(config)
    if quantised := config.get("quantization_config"):
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        hint = "give the repository with the weights it was made from, and quantize = 'q4_k_m' for small ones"
        raise ConversionError(f"the weights are quantised already ({method})", hint)
    try:
        return family.architecture, family.plan(
            family.architecture, config, Tensors(Checkpoint(folder), _PREFIXES)
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        message = f"{folder}/config.json does not describe a language model: {type(error).__name__} {error}"
        raise ConversionError(message, "download it again") from error


def head(
    architecture: str,
    name: str,
    kind: Quantisation,
    plan: Plan,
    vocabulary: Vocabulary,
    source: Mapping[str, Any],
) -> dict[str, Value]:
    """All metadata of a file."""
    found: dict[str, Value] = {
        "general.architecture": architecture,
        "general.type": "model",
        "general.name": name,
    }
    if source.get("licence"):
        found["general.license"] = str(source["licence"])
    found |= {"general.file_type": kind.file_type, "general.quantization_version": BLOCKS_VERSION}
    return found | plan.metadata | vocabulary.metadata(plan.rows)


def write(file: Path, metadata: Mapping[str, Value], plan: Plan, kind: Quantisation) -> None:
    """Write the file, every tensor in the type its quantisation has for it."""
    tensors = []
    for name, content in plan.tensors.items():
        element = quantisations.element_for(kind, name, content.shape, plan.layers, plan.tied)
        tensors.append(writer.Tensor(name, content.shape, element, content))
    writer.write(file, metadata, tensors)
