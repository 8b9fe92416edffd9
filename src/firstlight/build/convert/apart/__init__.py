"""Encoders of any architecture that transformers knows to bundles of the engine ``onnx``, with PyTorch apart.

PyTorch runs in an environment that firstlight makes and keeps (``environment``), never in the user's. It writes a
plain graph and what the model itself gives for real sentences (``export``). The graph goes the way of ready ones
(``ready``), and its answers are compared, in this process, with the model's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert import ready
from firstlight.build.convert.apart import environment, exporting
from firstlight.build.convert.ready.files import Files
from firstlight.build.convert.source import origin, read_json
from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import ConversionError

HEADS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}
"""Ends of the architectures' names, and the task each serves."""

_SAME_HEAD = {
    "zero-shot-classification": "text-classification",
    "sentence-similarity": "feature-extraction",
}
_OTHERS = {
    "ForCausalLM": "language models are served from GGUF files: look for one of this model",
    "LMHeadModel": "language models are served from GGUF files: look for one of this model",
    "ForConditionalGeneration": "of encoder-decoders BART, Marian and T5 are converted, or a ready ONNX export is",
    "MTModel": "of encoder-decoders BART, Marian and T5 are converted, or a ready ONNX export is",
}
"""Ends of names that are not for this converter, and what is."""


def convert(
    place: Path | str,
    out: Path | str,
    task: str | None = None,
    precision: str | None = None,
    name: str | None = None,
    source: Mapping[str, str] | None = None,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Make a bundle of a model folder with PyTorch.

    Args:
        place: config.json, weights as safetensors, and a tokenizer.
        out: folder of the bundle; made, and emptied of a former bundle's files.
        task: a task tag; None infers it from the architecture's head.
        precision: ``fp32`` or ``int8``; None takes ``fp32``.
        name: name of the bundle; the folder's when None.
        source: repository, revision and licence where they are known.
        trust_remote_code: run code of the repository, with the rights of this user, while it is converted.
        progress: is told that the environment is made, which takes minutes the first time.

    Returns:
        ``out``.

    Raises:
        ConversionError: the architecture is not known or has no head that can be served, the environment cannot be
            made, or the graph does not give what the model gives.
    """
    folder, telling = Path(place), progress or Silent()
    if precision not in (None, *ready.PRECISIONS):
        raise ConversionError(f"with PyTorch models are made fp32 or int8, not {precision}")
    config = read_json(folder / "config.json", required=True)
    head = head_of(folder, config, task)
    interpreter = environment.python(telling)
    telling.stage(f"exporting {name or folder.name} with PyTorch")
    with tempfile.TemporaryDirectory(prefix="firstlight-export-") as scratch:
        export = exporting.Export(interpreter, Path(scratch), trust_remote_code)
        export.run(folder, head, config)
        found = Files(export.graph, None, export.home)
        golden = export.golden()
        telling.stage("checking the graph against the model")
        return ready.made(
            found,
            Path(out),
            task,
            precision or "fp32",
            name or folder.name,
            source or origin(folder),
            golden,
        )


def head_of(folder: Path, config: Mapping[str, Any], task: str | None) -> str:
    """The task whose outputs the graph will have.

    Raises:
        ConversionError: the architecture has no head that can be served, or not for the task.
    """
    names = config.get("architectures")
    names = [str(name) for name in (names if isinstance(names, list) else [names])]
    vectors = (
        (folder / "modules.json").is_file()
        if task is None
        else _SAME_HEAD.get(task, task) == "feature-extraction"
    )
    for name in names:
        for ending, hint in _OTHERS.items():
            if name.endswith(ending):
                raise ConversionError(f"{folder}: {name} is no encoder", hint)
    if vectors:
        return "feature-extraction"
    heads = [head for ending, head in HEADS.items() if any(name.endswith(ending) for name in names)]
    if not heads:
        message = f"{folder}/config.json: architectures {', '.join(names)} have no head that can be served"
        raise ConversionError(message, f"heads that can be converted: {', '.join(HEADS)}")
    if task is not None and task != heads[0] and _SAME_HEAD.get(task, task) != heads[0]:
        message = f"{folder} has weights for {heads[0]}, not for {task}"
        raise ConversionError(message, f"leave the task out, or set it to {heads[0]}")
    return heads[0]


def tools() -> dict[str, str]:
    """Versions of what decides the bytes of a bundle that is made here, besides those of ``ready``."""
    return environment.versions()
