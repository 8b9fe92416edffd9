"""A Hugging Face folder (config.json, model.safetensors, tokenizer.json) to a bundle, without torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build import bundle
from firstlight.build.convert import disentangled, heads, layers, relative, tokenizer
from firstlight.build.convert.checkpoint import SCRATCH, Checkpoint
from firstlight.build.convert.graph import Graph
from firstlight.build.convert.source import Source, defaults, function_to_apply, labels, origin, pooling
from firstlight.build.convert.weights import Blocks, Exact, Int8, Weights
from firstlight.runtime.errors import ConversionError

PRECISIONS = ("fp32", "int8", "nb8")
GRAPH, WEIGHTS, SAFETENSORS = "model.onnx", "model.weights", "model.safetensors"
_ENCODERS: Mapping[str, type[layers.Encoder]] = {
    "mpnet": relative.Encoder,
    "deberta-v2": disentangled.Encoder,
}
_FILES = (GRAPH, WEIGHTS, SAFETENSORS, "tokenizer.json", "wordpiece.bin", "pieces.bin", "bundle.json")


def convert(
    model_dir: Path | str,
    out_dir: Path | str,
    task: str | None = None,
    precision: str = "fp32",
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle from a model folder.

    Args:
        model_dir: config.json, model.safetensors, tokenizer.json, as the hub keeps them.
        out_dir: folder of the bundle; made, and emptied of a former bundle's files.
        task: a task tag; None infers it from README.md's ``pipeline_tag`` or the architecture's head.
        precision: ``fp32`` (exact, points into the safetensors file), ``int8`` or ``nb8``.
        name: name of the bundle; the folder's when None.
        source: repo, revision and licence where they are known.

    Returns:
        ``out_dir``.

    Raises:
        ConversionError: the folder cannot be read, its architecture is not known, or eight bits change its answers
            more than ``parity.LIMITS`` allow.
    """
    folder, out = Path(model_dir), Path(out_dir)
    if precision not in PRECISIONS:
        raise ConversionError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if out.resolve() == folder.resolve():
        raise ConversionError(f"{out} is the model folder itself", "write the bundle into another folder")
    model = Source.read(folder, task)
    out.mkdir(parents=True, exist_ok=True)
    for former in _FILES:
        (out / former).unlink(missing_ok=True)
    tokenizer.write(folder, out, model.architecture.family)
    meta = {
        "name": name or folder.name,
        "task": model.task,
        "engine": "onnx",
        "precision": precision,
        "model": _engine_settings(precision),
        "labels": labels(model),
        "defaults": defaults(model),
        "source": dict(source or origin(folder)),
        "parity": _write(model, out, precision),
    }
    bundle.write(out, meta)
    return out


def _engine_settings(precision: str) -> dict[str, Any]:
    # Without packed weights MatMulNBits computes in float32: other answers than with them, and six times the time.
    return {"graph": GRAPH, "prepack": True} if precision == "nb8" else {"graph": GRAPH}


def _write(model: Source, out: Path, precision: str) -> dict[str, Any]:
    """Write the graph; returns how far eight bits are from the exact graph, which is made beside and thrown away."""
    if precision == "fp32":
        write_graph(model, out)
        return {}
    import tempfile

    from firstlight.build.convert import parity, smooth

    longest = min(defaults(model)["max_length"], 256)
    rows = parity.feeds(out / "tokenizer.json", parity.texts(model.head), longest)
    with tempfile.TemporaryDirectory(dir=out, prefix=".exact-") as folder:
        exact = write_graph(model, Path(folder), brief=True)
        seen: smooth.Activations = smooth.activations(exact, rows[::3]) if precision == "int8" else {}
        eight = write_graph(model, out, precision, seen)
        figures = parity.figures(parity.run(exact, rows), parity.run(eight, rows), model.head)
    return parity.judged({"texts": len(rows), **figures}, model.head)


def write_graph(
    model: Source,
    out: Path,
    precision: str = "fp32",
    seen: Mapping[str, Any] | None = None,
    brief: bool = False,
) -> Path:
    """Write the graph, and its weights, into ``out``; returns the graph's file.

    Args:
        seen: for ``int8``, what ``smooth.activations`` returned.
        brief: ``out`` is gone before the model can change, so its file may be linked.
    """
    graph = Graph(out / WEIGHTS)
    weights: Weights
    if precision == "fp32":
        weights = Exact(graph, _placed(model.checkpoint, out, brief), SAFETENSORS)
    elif precision == "int8":
        weights = Int8(graph, model.checkpoint, seen or {})
    else:
        weights = Blocks(graph, model.checkpoint)
    _write_head(model, graph, weights)
    graph.save(out / GRAPH)
    return out / GRAPH


def _write_head(model: Source, graph: Graph, weights: Weights) -> None:
    rows = None
    if model.head == "text-classification":
        rows = graph.constant([0])
    elif model.head == "fill-mask":
        rows = graph.input("mask_positions", ["masks"])
    kind = _ENCODERS.get(model.architecture.family, layers.Encoder)
    encoder = kind(graph, weights, model.architecture, rows)
    if model.head == "text-classification":
        heads.classification(encoder, function_to_apply(model.config))
    elif model.head == "token-classification":
        heads.tokens(encoder)
    elif model.head == "question-answering":
        heads.answer(encoder)
    elif model.head == "fill-mask":
        heads.masked(encoder)
    else:
        heads.embedding(encoder, pooling(model.folder))


def _placed(checkpoint: Checkpoint, out: Path, brief: bool) -> Checkpoint:
    """The float32 safetensors file in the bundle: the hub cache's own by a hard link, otherwise a copy.

    Files of the hub cache never change. Those of a folder may be trained again in place, and a worker that has
    mapped a file which is cut short dies.
    """
    place, file = out / SAFETENSORS, checkpoint.pointable()
    if file is None:
        checkpoint.write_float32(place)
        return Checkpoint(out)
    if brief or file.resolve().parent.name in ("blobs", SCRATCH):
        bundle.link_or_copy(file.resolve(), place)
    else:
        shutil.copyfile(file, place)
    return checkpoint
