"""Run by the interpreter of the conversion environment: a model folder to a plain ONNX graph and what the model gives.

    python -I export.py WISH.json

The wish has ``model`` (a folder), ``head`` (a task), ``texts`` (strings, or pairs), ``longest`` (tokens), ``trust``
(whether code in the folder may be run) and ``out`` (a folder). Written are ``model.onnx``, ``tokenizer.json`` and
``golden.npz`` with ``ids.N``, ``kinds.N`` and ``OUTPUT.N`` of each text; or, where it cannot be done, ``failed.json``
with ``message`` and ``hint``. Nothing of firstlight is imported: the environment does not have it.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

OPSET = 17
_CUT = 256
_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
}
_OUTPUTS = {
    "question-answering": ("start_logits", "end_logits"),
    "feature-extraction": ("last_hidden_state",),
}


class Failed(Exception):
    """A reason that is explained to the user: message and hint."""


def main(wish: dict[str, Any]) -> None:
    """Do what the wish says."""
    out = Path(wish["out"])
    model, tokenizer = _loaded(wish)
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    rows = _rows(tokenizer, wish["texts"], wish["longest"])
    outputs = _OUTPUTS.get(wish["head"], ("logits",))
    names = _taken(model)
    graph = _module(model, names, outputs)
    _write_golden(out / "golden.npz", graph, rows, names, outputs)
    _export(out / "model.onnx", graph, rows[1], names, outputs)


def _loaded(wish: dict[str, Any]) -> tuple[Any, Any]:
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.set_num_threads(1)
    shared = {"local_files_only": True, "trust_remote_code": wish["trust"]}
    named = {"attn_implementation": "eager", "dtype": torch.float32, "use_safetensors": True}
    try:
        config = transformers.AutoConfig.from_pretrained(wish["model"], **shared)
        kind = _class(transformers, wish["head"], config)
        model, report = kind.from_pretrained(
            wish["model"], config=config, output_loading_info=True, **named, **shared
        )
    except (ValueError, KeyError, OSError, ImportError, AttributeError, RuntimeError) as error:
        raise Failed(f"transformers cannot load the model: {_first(error)}", _hint(error)) from error
    missing = [key for key in sorted(report["missing_keys"]) if not _unneeded(key, wish["head"])]
    if missing:
        message = f"the weights lack {', '.join(missing[:3])}{' and more' if missing[3:] else ''}"
        raise Failed(message, "config.json names another architecture than the weights have")
    return model.eval(), _tokenizer(transformers, wish["model"], shared)


def _class(transformers: Any, head: str, config: Any) -> Any:
    """The class config.json names where it is one without a head, such as T5EncoderModel; otherwise the task's."""
    for name in config.architectures or ():
        kind = getattr(transformers, name, None)
        if head == "feature-extraction" and name.endswith("Model") and kind is not None:
            return kind
    return getattr(transformers, _CLASSES[head])


def _unneeded(key: str, head: str) -> bool:
    """Parts that only some checkpoints have and no output depends on."""
    return key.endswith("position_ids") or (
        head == "feature-extraction" and key.startswith(("pooler.", "pooling."))
    )


def _tokenizer(transformers: Any, folder: str, shared: dict[str, Any]) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **shared)
    except Exception as error:
        raise Failed(f"transformers cannot load the tokenizer: {_first(error)}", _hint(error)) from error
    if not getattr(tokenizer, "is_fast", False):
        message = f"the tokenizer {type(tokenizer).__name__} cannot be written as tokenizer.json"
        raise Failed(message, "only models with a fast tokenizer can be served")
    return tokenizer


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]


def _hint(error: BaseException) -> str:
    text = str(error)
    if "trust_remote_code" in text:
        return "the repository brings code of its own, which is run only with --trust-remote-code"
    if "does not recognize this architecture" in text:
        return "the architecture is newer than the pinned transformers, or the repository's own"
    if "safetensors" in text:
        return "weights in pickle format are read only with --allow-pickle"
    return "see that the folder is complete"


def _rows(tokenizer: Any, texts: list[Any], longest: int) -> list[tuple[list[int], list[int]]]:
    """Ids and kinds of the texts, and of one more that is made of all of them."""
    rows = []
    for text in texts:
        both = text if isinstance(text, list) else [text]
        encoding = tokenizer(*both, truncation="longest_first", max_length=_CUT, return_token_type_ids=True)
        rows.append((encoding["input_ids"], encoding["token_type_ids"]))
    whole = [token for ids, _ in rows for token in ids]
    rows.append((whole, [0] * len(whole)))
    return [(ids[:longest], kinds[:longest]) for ids, kinds in rows]


def _taken(model: Any) -> list[str]:
    """The inputs a model takes, of those that are known: not every one has a mask, or kinds of tokens."""
    known = inspect.signature(model.forward).parameters
    kinds = ["token_type_ids"] if getattr(model.config, "type_vocab_size", 0) > 1 else []
    return ["input_ids", *(name for name in ("attention_mask", *kinds) if name in known)]


def _module(model: Any, names: list[str], outputs: tuple[str, ...]) -> Any:
    """A module of plain tensors, in the order of their names."""
    torch = import_module("torch")

    class Plain(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, *tensors: Any) -> Any:
            found = self.inner(**dict(zip(names, tensors, strict=True)), return_dict=True)
            return tuple(getattr(found, name) for name in outputs)

    return Plain().eval()


def _tensors(row: tuple[list[int], list[int]], names: list[str]) -> tuple[Any, ...]:
    torch = import_module("torch")
    ids, kinds = (torch.tensor([numbers]) for numbers in row)
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": kinds}
    return tuple(given[name] for name in names)


def _write_golden(
    file: Path, graph: Any, rows: list[Any], names: list[str], outputs: tuple[str, ...]
) -> None:
    torch, numpy = import_module("torch"), import_module("numpy")
    found = {}
    with torch.inference_mode():
        for number, row in enumerate(rows):
            results = graph(*_tensors(row, names))
            found[f"ids.{number}"], found[f"kinds.{number}"] = (numpy.array(part, "int64") for part in row)
            found |= {f"{name}.{number}": part.numpy() for name, part in zip(outputs, results, strict=True)}
    numpy.savez(file, **found)


def _export(file: Path, graph: Any, row: Any, names: list[str], outputs: tuple[str, ...]) -> None:
    torch = import_module("torch")
    axes = {name: {1: "tokens"} for name in names}
    try:
        torch.onnx.export(
            graph,
            _tensors(row, names),
            str(file),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=list(outputs),
            dynamic_axes=axes,
        )
    except Exception as error:
        message = f"PyTorch cannot export the model to ONNX: {type(error).__name__}: {_first(error)}"
        raise Failed(message, "its architecture cannot be served as a graph") from error


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _WISH = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        main(_WISH)
    except Failed as failure:
        said = {"message": failure.args[0], "hint": failure.args[1]}
        (Path(_WISH["out"]) / "failed.json").write_text(json.dumps(said), encoding="utf-8")
        sys.exit(3)
