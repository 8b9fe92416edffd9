"""A model folder as it was read: what it is for, what its labels are, how long its texts may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.build.convert.architecture import Architecture
from firstlight.build.convert.checkpoint import Checkpoint
from firstlight.runtime.errors import ConversionError

_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}
_SAME_HEAD = {
    "zero-shot-classification": "text-classification",
    "sentence-similarity": "feature-extraction",
}
_NO_LIMIT = 1_000_000
"""tokenizer_config.json writes 1e30 where a tokenizer has no limit of its own."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model folder that was read but not yet converted."""

    folder: Path
    config: Mapping[str, Any]
    architecture: Architecture
    checkpoint: Checkpoint
    task: str
    head: str

    @classmethod
    def read(cls, folder: Path, task: str | None) -> Source:
        """Read a folder and decide on its task."""
        config = read_json(folder / "config.json", required=True)
        task, head = _task(folder, config, task)
        try:
            architecture = Architecture.read(config)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            message = f"{folder}/config.json does not describe an encoder: {type(error).__name__} {error}"
            raise ConversionError(message, "download it again") from error
        checkpoint = Checkpoint(folder)
        architecture.fits(checkpoint)
        return cls(folder, config, architecture, checkpoint, task, head)


def read_json(file: Path, required: bool = False) -> dict[str, Any]:
    """A JSON object; empty when the file is absent and not required."""
    if not required and not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConversionError(
            f"{file.parent} has no {file.name}", "give a Hugging Face model folder"
        ) from None
    except (OSError, ValueError) as error:
        raise ConversionError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ConversionError(f"{file} does not hold a JSON object")
    return found


def _task(folder: Path, config: Mapping[str, Any], task: str | None) -> tuple[str, str]:
    """The task of the bundle and the task whose head its graph has."""
    names = config.get("architectures")
    names = [str(name) for name in (names if isinstance(names, list) else [names]) if name]
    heads = [head for end, head in _TASKS.items() if any(name.endswith(end) for name in names)]
    asked = _SAME_HEAD.get(task or "", task)
    if task and asked and (asked == "feature-extraction" or (not names and asked in _TASKS.values())):
        return task, asked  # every encoder has hidden states; weights alone do not say what they are for
    if not heads:
        message = f"{folder}/config.json: architectures {names!r} have no head that is known here"
        hint = f"heads that can be converted: {', '.join(_TASKS)}; feature-extraction needs none and can be asked for"
        raise ConversionError(message, hint)
    head = heads[0]
    if task is None:
        tag = front_matter(folder).get("pipeline_tag", "")
        return (tag if _SAME_HEAD.get(tag) == head else head), head
    if asked != head:
        message = f"{folder} has weights for {head}, not for {task}"
        raise ConversionError(message, f"leave the task out, or set it to {head}")
    return task, head


def front_matter(folder: Path) -> dict[str, str]:
    """The plain ``key: value`` lines at the top of README.md, as the hub reads them."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    if not lines or lines[0].strip() != "---":
        return {}
    found = {}
    for line in lines[1:]:
        if line.strip() == "---":
            break
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "-")):
            found[key.strip()] = value.strip().strip("\"'")
    return found


def origin(folder: Path) -> dict[str, str]:
    """What bundle.json says under ``source`` where nothing better is known."""
    licence = front_matter(folder).get("license")
    return {"licence": licence} if licence else {}


def labels(model: Source) -> list[str]:
    """Names of the outputs of a classifier, by index; ``LABEL_0`` and so on where config.json has none."""
    if model.head not in ("text-classification", "token-classification"):
        return []
    last = "classifier.weight" if "classifier.weight" in model.checkpoint else "classifier.out_proj.weight"
    count = model.checkpoint.entry(last).shape[0]
    named = model.config.get("id2label") or {number: f"LABEL_{number}" for number in range(count)}
    try:
        found = [str(named[key]) for key in sorted(named, key=int)]
    except (TypeError, ValueError, LookupError) as error:
        raise ConversionError(f"{model.folder}/config.json: id2label does not number its labels") from error
    if len(found) != count:
        message = f"{model.folder}/config.json names {len(found)} labels and the weights have {count}"
        raise ConversionError(message, "config.json is of another model, or id2label is not complete")
    return found


def function_to_apply(config: Mapping[str, Any]) -> str:
    """As transformers' TextClassificationPipeline decides when nothing is asked for."""
    problem = config.get("problem_type")
    if problem == "regression":
        return "none"
    single = len(config.get("id2label") or (0, 1)) == 1
    return "sigmoid" if problem == "multi_label_classification" or single else "softmax"


def defaults(model: Source) -> dict[str, Any]:
    """What bundle.json says under ``defaults``: the longest input, and how scores or vectors are made."""
    limits = [model.architecture.positions - model.architecture.offset]
    tokenizer = read_json(model.folder / "tokenizer_config.json")
    sentences = read_json(model.folder / "sentence_bert_config.json")
    for limit in (tokenizer.get("model_max_length"), sentences.get("max_seq_length")):
        if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT:
            limits.append(int(limit))
    found: dict[str, Any] = {"max_length": min(limits)}
    if model.head == "text-classification":
        found["function_to_apply"] = function_to_apply(model.config)
    elif model.head == "feature-extraction" and _is_sentence_encoder(model):
        found["pooling"] = pooling(model.folder)
    return found


def _is_sentence_encoder(model: Source) -> bool:
    """Whether a text is one vector; transformers answers one for each token of any other encoder."""
    return model.task != "feature-extraction" or (model.folder / "modules.json").is_file()


def pooling(folder: Path) -> str:
    """What sentence-transformers' modules.json asks for; mean where there is none."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return "mean"
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in json.loads(modules.read_text())]
    unknown = set(kinds) - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise ConversionError(
            f"{modules} names modules that are not known here: {', '.join(sorted(unknown))}"
        )
    config = read_json(folder / "1_Pooling" / "config.json")
    asked = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
    names = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
    }
    if len(asked) > 1 or any(key not in names for key in asked):
        raise ConversionError(f"{folder}/1_Pooling asks for {', '.join(asked)}, which is not known here")
    return names[asked[0]] if asked else "mean"
