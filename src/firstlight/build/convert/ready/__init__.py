"""Ready ONNX graphs of optimum, transformers.js and sentence-transformers to bundles of the engine ``onnx``.

The graph is checked (``reading``), its task decided (``purpose``), inputs and outputs become those of graphs made
without an exporter (``surgery``), and what comes of it is compared with what there was (``checking``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from firstlight.build import bundle
from firstlight.build.convert import parity, tokenizer
from firstlight.build.convert.onnx_seq2seq_shapes import simplified
from firstlight.build.convert.onnx_seq2seq_weights import EXTENDED, WeightsFile, saved
from firstlight.build.convert.ready import checking, eight_bits, files, purpose, quantising, surgery
from firstlight.build.convert.ready.checking import Golden, Original
from firstlight.build.convert.ready.files import Files
from firstlight.build.convert.ready.purpose import Purpose
from firstlight.build.convert.ready.reading import Plain
from firstlight.build.convert.sentences import SENTENCES
from firstlight.build.convert.source import origin, read_json
from firstlight.runtime.errors import ConversionError

PRECISIONS = ("fp32", "int8")
GRAPH, WEIGHTS = "model.onnx", "model.weights"
_FILES = (GRAPH, WEIGHTS, "tokenizer.json", "wordpiece.bin", "bundle.json")
_EVERY = 3
"""Of the sentences one in so many shows what layers are given."""


def convert(
    place: Path | str,
    out: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Make a bundle of a ready graph.

    Args:
        place: a folder with config.json, tokenizer.json and model.onnx (or onnx/model.onnx), or one ONNX file of it.
        out: folder of the bundle; made, and emptied of a former bundle's files.
        task: a task tag; None infers it from the outputs and config.json.
        precision: ``fp32``; ``int8`` takes the folder's graph of eight bits, or quantises the exact one where there is
            none; None takes the graph as it is.
        name: name of the bundle; the folder's when None.
        source: repository, revision and licence where they are known.

    Returns:
        ``out``.

    Raises:
        ConversionError: the graph is of a kind that is not known here, or what was made of it gives other numbers.
    """
    found = files.find(Path(place), precision)
    return made(found, Path(out), task, precision, name, source)


def made(
    found: Files,
    out: Path,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
    golden: Golden | None = None,
) -> Path:
    """Make a bundle of files; see ``convert``.

    Args:
        golden: what the model gives where it comes from; the float32 graph itself stands for it when None.
    """
    if out.resolve() == found.home.resolve():
        raise ConversionError(f"{out} is the model folder itself", "write the bundle into another folder")
    config = read_json(found.home / "config.json", required=True)
    out.mkdir(parents=True, exist_ok=True)
    for former in _FILES:
        (out / former).unlink(missing_ok=True)
    tokenizer.write(found.home, out, str(config.get("model_type", "")))
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".onnx-") as scratch:
        work = _Work(found, out, Path(scratch), config, task)
        kept, report = work.write(precision, golden)
    meta = {
        "name": name or found.home.name,
        "task": work.purpose.task,
        "engine": "onnx",
        "precision": kept,
        "model": {"graph": GRAPH},
        "labels": list(work.purpose.labels),
        "defaults": dict(work.purpose.defaults),
        "source": dict(source or origin(found.home)),
        "parity": report,
    }
    bundle.write(out, meta)
    return out


class _Work:
    """One conversion: the graph as it came, its weights in a file of ours, and what it is for."""

    def __init__(
        self, found: Files, out: Path, scratch: Path, config: Mapping[str, Any], task: str | None
    ) -> None:
        self.found, self.out, self.scratch = found, out, scratch
        self.tokenizer = out / "tokenizer.json"
        self.weights = WeightsFile(scratch / "plain.weights")
        self.plain = self._light(found.graph)
        self.original = self._placed(self.plain, "original.onnx")
        shortest = min(parity.feeds(self.tokenizer, SENTENCES), key=lambda feed: len(feed["input_ids"]))
        ids = shortest["input_ids"][None]  # whole: some models look for the token that ends a text
        outputs = Original(self.original, self.plain.outputs)(ids, np.zeros_like(ids))
        self.purpose: Purpose = purpose.find(outputs, found.home, config, task)

    def write(self, precision: str | None, golden: Golden | None) -> tuple[str, dict[str, Any]]:
        """Write graph and weights; returns the precision and what bundle.json says of how near they are."""
        plain, aim = self.plain, self.purpose
        if plain.eight_bits:
            return "int8", self._ready_eight_bits(precision)
        source = golden or checking.golden(self._original(), self.tokenizer, aim)
        model = surgery.prepared(plain, plain.model, aim)
        if precision != "int8":
            graph = self._optimised(model, self.out)
            return "fp32", checking.exactness(graph, source, aim)
        exact = self._optimised(model, self.scratch)
        report = checking.exactness(exact, source, aim)
        quantised = quantising.EightBits(model, self.scratch, self.weights).made(source.feeds[:-1:_EVERY])
        graph = self._optimised(quantised, self.out)
        return "int8", {"fp32_max_diff": report["max_diff"], **checking.nearness(graph, source, aim)}

    def _ready_eight_bits(self, precision: str | None) -> dict[str, Any]:
        """A graph that came in eight bits, compared with the exact one beside it, or with itself in company."""
        if precision == "fp32":
            raise ConversionError(
                f"{self.found.graph} is in eight bits", "ask for int8, or take the exact graph"
            )
        aim = self.purpose
        if eight_bits.unsigned(self.plain.model, self.scratch):  # as it was it may be wrong on this very CPU
            self.original = self._placed(self.plain, "unsigned.onnx")
        original = self._original()
        own = checking.golden(original, self.tokenizer, aim)
        graph = self._optimised(surgery.prepared(self.plain, self.plain.model, aim), self.out)
        report = checking.nearness(graph, own, aim)
        if self.found.exact is None:
            return {**report, **checking.company(original, own, aim)}
        beside = self._light(self.found.exact)
        exact = Original(self._placed(beside, "exact.onnx"), beside.outputs, aim.padding)
        return checking.nearness(graph, checking.golden(exact, self.tokenizer, aim), aim)

    def _original(self) -> Original:
        return Original(self.original, self.plain.outputs, self.purpose.padding)

    def _light(self, file: Path) -> Plain:
        """A graph with its large weights in our file."""
        plain = Plain.open(file)
        self.weights.take(plain.model, file.parent)
        return plain

    def _placed(self, plain: Plain, name: str) -> Path:
        file = self.scratch / name
        file.write_bytes(plain.model.SerializeToString())
        return file

    def _optimised(self, model: onnx.ModelProto, folder: Path) -> Path:
        """The graph as onnxruntime optimises it for any CPU, with its weights beside it."""
        prepared = self.scratch / "prepared.onnx"
        prepared.write_bytes(self.weights.take(model, self.scratch).SerializeToString())
        prepared.write_bytes(simplified(model, prepared, checking.sizes(self.purpose)).SerializeToString())
        file = saved(
            prepared,
            self.scratch / "optimised",
            EXTENDED,
            {"session.disable_prepacking": "1"},
        )
        final = WeightsFile(folder / WEIGHTS)
        light = final.take(onnx.load(str(file), load_external_data=False), self.scratch)
        settled(light)
        (folder / GRAPH).write_bytes(light.SerializeToString(deterministic=True))
        return folder / GRAPH


def settled(model: onnx.ModelProto) -> None:
    """Leave out what depends on who exported a graph and when, and put in order what has none."""
    model.producer_name, model.producer_version = "firstlight", ""
    for message in (model, model.graph, *model.graph.node):
        message.ClearField("doc_string")
        message.ClearField("metadata_props")
    del model.graph.value_info[:]
    constants = sorted(model.graph.initializer, key=lambda tensor: tensor.name)
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
