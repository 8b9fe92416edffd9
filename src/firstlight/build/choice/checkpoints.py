"""Checkpoints: safetensors, or pickles where they are allowed, and what converts their architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from firstlight.build.choice import architectures, task
from firstlight.build.choice.architectures import APART, DECODER, ENCODER, SEQUENCES, Found
from firstlight.build.choice.contents import Contents
from firstlight.build.choice.memory import BITS
from firstlight.build.choice.offers import Offer, Refusal
from firstlight.build.gguf import quantisations
from firstlight.runtime.errors import ConversionError, FirstlightError, ProjectError

_PRECISIONS = {
    ENCODER: ("fp32", "int8", "nb8"),
    SEQUENCES: ("fp32", "fp16", "int8"),
    DECODER: (*quantisations.QUANTISATIONS, "fp32", "fp16"),
    APART: ("fp32", "int8"),
}
_ADAPTER = "adapter_model."
_WHY = {
    ENCODER: "the graph points into the file itself, which is served byte for byte as it is",
    SEQUENCES: "made into CTranslate2's format without torch",
    DECODER: "made into a GGUF file without torch",
    APART: "only torch can export this architecture, in an environment of its own",
}


def offers(contents: Contents) -> Iterator[Offer | Refusal]:
    """The safetensors files, then those in pickle format."""
    for form, files in (("safetensors", _safetensors(contents)), ("pickle", _pickles(contents))):
        if files:
            yield _offer(contents, form, files)


def _offer(contents: Contents, form: str, files: tuple[str, ...]) -> Offer | Refusal:
    what = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    if form == "pickle" and not contents.wish.allow_pickle:
        message = f"{contents.called} has its weights in pickle format ({what}), which can run code when read"
        hint = "--allow-pickle (allow_pickle = true) has it read by a reader that builds tensors and runs nothing"
        return Refusal(what, "pickle format, which needs --allow-pickle", ProjectError(message, hint))
    wished = contents.wish.precision
    found = architectures.of(contents.config, wished, task.head_asked(contents))
    problem = _problem(contents, found, files)
    if problem is not None:
        return Refusal(what, problem.message, problem)
    assert found is not None  # noqa: S101 - None is a problem
    precision = _unless_native(contents, found)
    if isinstance(precision, FirstlightError):
        return Refusal(what, precision.message, precision)
    return _taken(contents, form, files, precision)


def _taken(contents: Contents, form: str, files: tuple[str, ...], found: Found) -> Offer:
    weights = sum(contents.files[path] for path in files) / contents.width(files[0])
    wished = contents.wish.precision
    kept_as = wished or "fp32"
    if found.converter == DECODER:
        kept_as = quantisations.chosen(wished, int(weights)).name
    code = found.converter == APART and bool(contents.config.get("auto_map"))
    why = (
        _WHY[found.converter]
        if form == "safetensors"
        else "read by a reader that builds tensors and runs nothing"
    )
    if found.converter == ENCODER and (len(files) > 1 or contents.width(files[0]) != 4):
        why = "made into a graph with the same numbers in 32 bits"
    if found.converter == ENCODER and kept_as != "fp32":
        why = f"{kept_as} is made of the exact weights, and how far its answers are from theirs is measured"
    return Offer(
        form,
        files,
        found.converter,
        found.engine,
        task.of_found(contents, found),
        wished,
        f"{found.architecture}: {why}",
        weights * BITS.get(kept_as, 32.0) / 8,
        kept_as,
        code,
    )


def _problem(contents: Contents, found: Found | None, files: Sequence[str]) -> FirstlightError | None:
    """Why a checkpoint cannot be taken; None where it can."""
    if not contents.config:
        return ConversionError(f"{contents.called} has no config.json", "name a model as the hub keeps it")
    missing = [path for path in files if path not in contents.files]
    if missing:
        hint = "its index names files that are not there"
        return ConversionError(f"{contents.called} lacks {missing[0]}", hint)
    if found is None:
        return unsupported(contents)
    return _not_allowed(contents, found) or _incomplete(contents, found)


def _not_allowed(contents: Contents, found: Found) -> FirstlightError | None:
    if not contents.config.get("auto_map") or found.converter != APART or contents.wish.trust_remote_code:
        return None
    message = f"{contents.called} brings code of its own ({found.architecture})"
    hint = "--trust-remote-code runs it while the model is converted, and never later; read it first"
    return ProjectError(message, hint)


def _incomplete(contents: Contents, found: Found) -> FirstlightError | None:
    """What is lacking beside the weights, or asked for in vain."""
    if not contents.has_tokenizer():
        hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        return ConversionError(f"{contents.called} has no tokenizer", hint)
    wished, known = contents.wish.precision, _PRECISIONS[found.converter]
    if wished is not None and wished not in known:
        message = f"{found.architecture} is not made into {wished}"
        return ConversionError(message, f"quantize takes {', '.join(known)} here")
    unknown = ", ".join(sorted(set(contents.modules() or ()) - {"Transformer", "Pooling", "Normalize"}))
    if unknown:
        message = f"modules.json of {contents.called} names modules that are not known here"
        return ConversionError(f"{message}: {unknown}", "name the model it was trained from")
    return None


def _unless_native(contents: Contents, found: Found) -> Found | FirstlightError:
    """What converts the model after a look at the numbers of its config.json, before anything is downloaded."""
    try:
        if found.converter == ENCODER and _beyond(contents.config):
            return Found(found.architecture, found.head, APART, found.engine)
        _looked_at(contents, found)
    except ConversionError as error:
        return error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        message = (
            f"config.json of {contents.called} does not describe its model: {type(error).__name__} {error}"
        )
        return ConversionError(message, "choose another revision")
    return found


def _beyond(config: Mapping[str, Any]) -> bool:
    """Whether an encoder has parts that only torch has: an activation, or another kind of positions."""
    from firstlight.build.convert.architecture import ACTIVATIONS

    activation = config.get("hidden_act", config.get("activation", "gelu"))
    return activation not in ACTIVATIONS or config.get("position_embedding_type", "absolute") != "absolute"


def _looked_at(contents: Contents, found: Found) -> None:
    if found.converter == ENCODER:
        from firstlight.build.convert.architecture import Architecture

        Architecture.read(contents.config)
    elif quantised := contents.config.get("quantization_config"):
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        hint = "name the repository with the weights it was made from"
        raise ConversionError(f"the weights of {contents.called} are quantised already ({method})", hint)


def unsupported(contents: Contents) -> ConversionError:
    """The error for an architecture that nothing takes: which are taken, and how to add one."""
    known = architectures.supported()
    called = ", ".join(architectures.names(contents.config)) or "no architecture"
    message = f"config.json of {contents.called} names {called}, which nothing here converts"
    native, torch = ", ".join(known["without torch"]), len(known["with torch"])
    hint = f"converted are {native}, and with torch {torch} more; docs/models.md lists them and says how to add one"
    return ConversionError(message, hint)


def _safetensors(contents: Contents) -> tuple[str, ...]:
    """The files ``convert.checkpoint`` reads: one, the parts an index names, or the only one there is."""
    if "model.safetensors" in contents.files:
        return ("model.safetensors",)
    if parts := _indexed(contents, "model.safetensors.index.json"):
        return parts
    others = [path for path in contents.matching("*.safetensors") if not path.startswith(_ADAPTER)]
    return tuple(others) if len(others) == 1 else ()


def _pickles(contents: Contents) -> tuple[str, ...]:
    if "pytorch_model.bin" in contents.files:
        return ("pytorch_model.bin",)
    return _indexed(contents, "pytorch_model.bin.index.json")


def _indexed(contents: Contents, index: str) -> tuple[str, ...]:
    listed = contents.json(index).get("weight_map")
    if not isinstance(listed, dict):
        return ()
    return tuple(sorted({str(name).rpartition("/")[2] for name in listed.values()}))


def indexes(contents: Contents, files: Sequence[str]) -> list[str]:
    """The index that belongs to the parts of a checkpoint."""
    if len(files) == 1:
        return []
    ending = files[0].rpartition(".")[2]
    return contents.matching(f"*.{ending}.index.json")
