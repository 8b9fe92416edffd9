"""The choice itself: every form is asked for what it offers, and the best offer is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from firstlight.build.choice import (
    architectures,
    checkpoints,
    ctranslate2_files,
    graphs,
    language_files,
    memory,
    task,
)
from firstlight.build.choice.contents import Contents
from firstlight.build.choice.offers import Offer, Refusal
from firstlight.build.types import Artefact, Card, Wish
from firstlight.runtime.errors import ConversionError, FirstlightError

_OTHERS = (
    ("tf_model*.h5", "weights of TensorFlow, which are not read here"),
    ("*.msgpack", "weights of Flax, which are not read here"),
    ("rust_model.ot", "weights of rust-bert, which are not read here"),
    ("*.tflite", "weights of TensorFlow Lite, which are not read here"),
    ("openvino*", "weights of OpenVINO, which are not read here"),
    ("openvino/*", "weights of OpenVINO, which are not read here"),
    ("coreml/*", "weights of Core ML, which are not read here"),
    ("*.pt", "a pickle of an unknown layout"),
    ("*.pth", "a pickle of an unknown layout"),
    ("*.nemo", "weights of NeMo, which are not read here"),
)
_RANKS = {"gguf": 4, "ctranslate2": 3, "onnx": 3, "safetensors": 2, "pickle": 6}


def choose(files: Mapping[str, int], read: Callable[[str], bytes | None], card: Card, wish: Wish) -> Artefact:
    """See ``choice.choose``."""
    contents = Contents(files, read, card, wish)
    task.asked(contents)
    _check_kind(contents)
    seen = list(_all(contents))
    best = min(
        (one for one in seen if isinstance(one, Offer)), key=lambda one: _rank(contents, one), default=None
    )
    if best is None:
        raise _nothing(contents, [one for one in seen if isinstance(one, Refusal)])
    return _artefact(contents, best, seen)


def _all(contents: Contents) -> Iterator[Offer | Refusal]:
    """Every offer and refusal; what a form cannot be taken for is a reason against that form alone."""
    sources = {
        "the checkpoint": checkpoints.offers,
        "the GGUF files": language_files.offers,
        "the old ggml file": language_files.old_file,
        "CTranslate2's files": ctranslate2_files.offers,
        "the ONNX graphs": graphs.offers,
    }
    for what, offers in sources.items():
        try:
            yield from offers(contents)
        except FirstlightError as error:
            yield Refusal(what, error.message, error)
    for pattern, why in _OTHERS:
        found = contents.matching(pattern)
        if found:
            yield Refusal(found[0], why)


def _rank(contents: Contents, offer: Offer) -> float:
    if offer.form == "gguf" and language_files.ready(contents, contents.wish.precision):
        return 1
    late = offer.converter == architectures.APART
    return _RANKS[offer.form] + (3 if late and offer.form == "safetensors" else 1 if late else 0)


def _artefact(contents: Contents, best: Offer, seen: list[Offer | Refusal]) -> Artefact:
    named = [*best.weights, *contents.companions()]
    if best.form in ("safetensors", "pickle"):
        named += checkpoints.indexes(contents, best.weights)
    if best.runs_code:
        named += contents.matching("*.py")
    taken = tuple(sorted(set(named)))
    rejected = [
        (one.what, one.why if isinstance(one, Refusal) else _passed_over(one, best))
        for one in seen
        if one is not best
    ]
    return Artefact(
        form=best.form,
        files=taken,
        weights=best.weights,
        converter=best.converter,
        task=best.task,
        precision=best.precision,
        why=f"{best.what}: {best.why}",
        rejected=tuple(rejected),
        bytes=contents.size(taken),
        memory_mb=memory.expected_mb(best.engine, best.bundle_bytes, contents.config, best.kept_as),
        runs_code=best.runs_code,
    )


def _passed_over(offer: Offer, best: Offer) -> str:
    if offer.form == "pickle":
        return "pickle format; the same weights are there without it"
    if offer.converter == architectures.APART:
        return "would have to be exported with torch"
    if best.form == "gguf":
        return "would have to be converted, and is larger"
    if best.form == "safetensors" and offer.form in ("onnx", "ctranslate2"):
        return "made by others from the same weights; what is made here is exact"
    return f"{best.what} comes first"


def _check_kind(contents: Contents) -> None:
    """Raise for what is no model of text: adapters, pipelines of images, models with another input."""
    files, config = contents.files, contents.config
    if "adapter_config.json" in files and not config:
        of = contents.json("adapter_config.json").get("base_model_name_or_path")
        hint = "merge it into that model first: PeftModel.merge_and_unload().save_pretrained(folder)"
        raise ConversionError(f"{contents.called} holds an adapter of {of}, not a model", hint)
    if "model_index.json" in files and not config:
        raise ConversionError(
            f"{contents.called} is a pipeline of images", "firstlight serves models of text"
        )
    # Of sounds and images, whatever its graphs are called.
    elsewhere = "preprocessor_config.json" in files and not contents.matching("*.gguf", "*/*.gguf")
    if config and elsewhere and architectures.of(config) is None:
        raise checkpoints.unsupported(contents)


def _nothing(contents: Contents, refusals: list[Refusal]) -> FirstlightError:
    """The error that says most: a permission that is missing before a form that is not known."""
    errors = [one.error for one in refusals if one.error is not None]
    if errors:
        return errors[0]
    if refusals:
        what, why = refusals[0].what, refusals[0].why
        return ConversionError(f"{contents.called} has {what}: {why}", "name a repository with safetensors")
    if contents.config and architectures.of(contents.config) is None:
        return checkpoints.unsupported(contents)
    known = "safetensors, GGUF, ONNX or CTranslate2"
    return ConversionError(f"{contents.called} holds no weights in {known}", "check the name on the hub")
