"""A repository with an encoder-decoder model in ONNX to a bundle of the ``onnx-seq2seq`` engine, without torch."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from firstlight.build import bundle
from firstlight.build.convert import generation, tokenizer
from firstlight.build.convert.ct2.vocabulary import fitted
from firstlight.build.convert.onnx_seq2seq_files import Files, find
from firstlight.build.convert.onnx_seq2seq_graphs import Surgery, read, split
from firstlight.build.convert.onnx_seq2seq_parity import LIMITS, Made, Original, measure
from firstlight.build.convert.onnx_seq2seq_rules import rules
from firstlight.build.convert.onnx_seq2seq_search import encoder, first, following
from firstlight.build.convert.onnx_seq2seq_weights import WeightsFile, optimised
from firstlight.build.convert.source import origin, read_json
from firstlight.build.convert.tokenizer import Vocabulary
from firstlight.runtime.errors import ConversionError

WEIGHTS = "model.weights"
GRAPHS = {"encoder": "encoder.onnx", "first": "first.onnx", "next": "next.onnx"}
PACKED = ("q4",)
"""Precisions whose layers give other numbers, and slowly, as long as their weights are not packed."""

_FILES = (*GRAPHS.values(), WEIGHTS, "tokenizer.json", "target.json", "bundle.json")


def convert(
    model_dir: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle from a repository folder.

    Args:
        model_dir: config.json, a tokenizer, and ONNX graphs by the names in ``onnx_seq2seq_files``.
        out_dir: folder of the bundle; made, and emptied of a former bundle's files.
        task: a task tag; None infers it.
        precision: ``fp32``, ``fp16``, ``int8`` or ``q4``, which the repository must have; None takes the most exact.
        name: name of the bundle; the folder's when None.
        source: repo, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: a file is missing or damaged, the files are not of one model, the graphs are of a kind that is
            not known here, or what was made of them gives other numbers.
    """
    folder, out = Path(model_dir), Path(out_dir)
    if out.resolve() == folder.resolve():
        raise ConversionError(f"{out} is the model folder itself", "write the bundle into another folder")
    files = find(folder, precision)
    config = read_json(folder / "config.json", required=True)
    out.mkdir(parents=True, exist_ok=True)
    for former in _FILES:
        (out / former).unlink(missing_ok=True)
    vocabulary = tokenizer.add(folder, out, str(config.get("model_type", "")))
    tag = generation.task(folder, config, task)
    called = (source or {}).get("repo") or name or folder.name
    meta: dict[str, Any] = {
        "name": name or folder.name,
        "task": tag,
        "engine": "onnx-seq2seq",
        "precision": files.precision,
        "labels": [],
        "defaults": generation.defaults(folder, config, [*vocabulary.marked], tag, called),
        "source": dict(source or origin(folder)),
        **_write(files, config, vocabulary, folder, out),
    }
    if vocabulary.settings:
        meta["tokenizer"] = dict(vocabulary.settings)
    bundle.write(out, meta)
    return out


def _write(
    files: Files, config: Mapping[str, Any], vocabulary: Vocabulary, folder: Path, out: Path
) -> dict[str, Any]:
    """Write the graphs and their weights; returns what bundle.json says of them."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".onnx-") as scratch:
        graphs, known = _graphs(files, WeightsFile(Path(scratch) / "plain.weights"))
        size = known or config.get("vocab_size")
        if type(size) is not int:
            raise ConversionError(f"{folder}/config.json has no vocab_size", "download it again")
        fitted(vocabulary.target, vocabulary.own, size, folder)
        model = rules(folder, config, size)
        optimised(graphs, out, WEIGHTS, GRAPHS["next"], Path(scratch))
    alike, parity = _compared(files, out, model)
    settings = {**GRAPHS, **model, "alike": alike, "prepack": files.precision in PACKED}
    return {"model": settings, "parity": parity}


def _graphs(files: Files, weights: WeightsFile) -> tuple[dict[str, onnx.ModelProto], int | None]:
    """Graphs by file name, with the search in them and their weights put elsewhere; how many tokens they know."""

    def light(file: Path) -> onnx.ModelProto:
        return weights.take(read(file), file.parent)

    before, *rest = (light(file) for file in files.decoders)
    begin, follow = (before, rest[0]) if rest else split(before, files.decoders[0])
    logits = next((value for value in begin.graph.output if value.name == "logits"), onnx.ValueInfoProto())
    sizes = logits.type.tensor_type.shape.dim
    made = {
        GRAPHS["encoder"]: encoder(Surgery(light(files.encoder), files.encoder)),
        GRAPHS["first"]: first(Surgery(begin, files.decoders[0])),
        GRAPHS["next"]: following(Surgery(follow, files.decoders[-1])),
    }
    return made, (sizes[-1].dim_value or None) if sizes else None


def _compared(files: Files, out: Path, model: Mapping[str, Any]) -> tuple[bool, dict[str, float]]:
    """Whether one row of the source's part of the cache does for all hypotheses, and how far the numbers are off."""
    pack = files.precision in PACKED
    original, made = Original(files.encoder, files.decoders, pack), Made(out, GRAPHS, pack)
    known = original, made, model["vocabulary"], model["start"], model["positions"]
    limit = LIMITS[files.precision]
    try:
        worst, alike = measure(*known, alike=True), True
    except Exception:  # onnxruntime's exceptions have no common base; a graph may want a row for each
        worst, alike = measure(*known, alike=False), False
    if worst > limit:
        place = files.encoder.parent
        message = f"the graphs made of {place} give other numbers: log-probabilities differ by {worst:.3g}"
        raise ConversionError(message, f"allowed is {limit}; export the model again with a newer optimum")
    return alike, {"max_logprob_diff": round(worst, 6)}
