"""``firstlight.pipeline``: the call shape of ``transformers.pipeline`` over our own models, without torch.

    from firstlight import pipeline                # was: from transformers import pipeline
    classify = pipeline("sentiment-analysis")
    classify("what a lovely day")                  # [{'label': 'POSITIVE', 'score': 0.99}]

Shapes of answers, defaults and names of parameters are those of transformers; question-answering, summarization,
translation and text2text-generation are as in transformers 4.57, which was the last to have them.
"""

from __future__ import annotations

import os
import warnings

from firstlight.runtime import notes, tasks
from firstlight.runtime.errors import InvalidInput, NotSupported
from firstlight.runtime.model import Model

# A user's script imports this module on its way to its first answer.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from firstlight.runtime.types import JSON

_STARTERS = {
    "text-classification": "sentiment",
    "question-answering": "qa",
    "feature-extraction": "embeddings",
    "sentence-similarity": "embeddings",
    "zero-shot-classification": "embeddings",
    "summarization": "summarize",
    "translation": "translate-en2fr",
    "text-generation": "stories",
}
_IGNORED = {
    "batch_size": "rows run one at a time, so that an answer does not depend on its neighbours",
    "device": "the model runs on the CPU",
    "device_map": "the model runs on the CPU",
    "dtype": "the bundle has the precision it was made with",
    "framework": "no framework is used",
    "model_kwargs": "the bundle is as it was made",
    "num_workers": "one process answers",
    "padding": "rows run one at a time and need none",
    "revision": "local models have none",
    "token": "nothing is downloaded",
    "torch_dtype": "the bundle has the precision it was made with",
    "trust_remote_code": "no code of a model is run",
    "use_auth_token": "nothing is downloaded",
    "use_fast": "there is one tokenizer",
}
"""Arguments of transformers' pipelines that change no answer here, and why."""

_SILENT = {"device": (-1, "cpu"), "framework": ("pt",), "use_fast": (True,), "trust_remote_code": (False,)}
"""Values that ask for what is done anyway."""

_OBJECTS = ("config", "feature_extractor", "image_processor", "pipeline_class", "processor", "tokenizer")


def pipeline(
    task: str | None = None, model: str | os.PathLike[str] | None = None, **settings: Any
) -> Pipeline:
    """A callable for a task.

    Args:
        task: a task tag or alias, such as ``sentiment-analysis`` or ``translation_en_to_fr``; the model's own when
            not given.
        model: ``starter:name``, a bundle folder or a Hugging Face model folder on this machine; the task's starter
            when not given.
        settings: parameters of the task that every call shall have; arguments of transformers' ``pipeline`` that make
            no difference here, such as ``device``, are ignored with a warning.

    Raises:
        InvalidInput: neither task nor model is given, the task is not known or has no starter.
        NotSupported: an argument that would change the answer and is not known here.
        BundleError, ConversionError, EngineError: from the model.
    """
    tag = None if task is None else tasks.canonical(task)
    named = _default(task, tag) if model is None else model
    if not isinstance(named, (str, os.PathLike)):
        raise InvalidInput(f"model must be a name or a folder, got {type(named).__name__}")
    folder = os.fspath(named)
    settings = _known(settings, folder)
    bundle, own = _bundle(folder, tag)
    return Pipeline(Model.load(bundle, task=tag or own), task, settings)


class Pipeline:
    """A model that is called as transformers' pipelines are.

    Attributes:
        model: the model behind it.
        task: the task it serves.
    """

    def __init__(self, model: Model, task: str | None, settings: Mapping[str, Any]) -> None:
        self.model = model
        self.task: str = task or model.task.name
        self._tag: str = model.task.name
        self._settings = dict(settings)
        self._settings = tasks.implied(self.task) | self._settings

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """Answer one input, a list of inputs, or an iterator of inputs (by an iterator of answers).

        Args:
            inputs: as the task takes them; question-answering also takes ``question=`` and ``context=``.
            parameters: of the task, for this call.

        Raises:
            InvalidInput: naming what is wrong with inputs or parameters.
        """
        parameters = _known(parameters, "")
        given = _inputs(self._tag, inputs, parameters)
        if hasattr(given, "__next__"):
            return (self._answer(one, dict(parameters)) for one in given)
        return self._answer(given, parameters)

    def settle(self) -> None:
        """Use idle time to become faster."""
        self.model.settle()

    def _answer(self, given: JSON, parameters: dict[str, Any]) -> JSON:
        merged = self._settings | parameters
        shape = _shape(self._tag)
        earlier = notes.warnings[:]
        notes.warnings.clear()  # said in an earlier call is not said in this one
        try:
            answer = shape(self, given, parameters, merged) if shape else self.model(given, merged)
        finally:
            said = notes.warnings[:]
            notes.warnings[:] = earlier
            for text in said:
                notes.warn(text)
        for text in said:
            warnings.warn(text, UserWarning, stacklevel=3)
        return answer


def _default(task: str | None, tag: str | None) -> str:
    if tag is None:
        raise InvalidInput("pipeline needs a task or a model", 'for example pipeline("sentiment-analysis")')
    from firstlight import starters

    name = _STARTERS.get(tag)
    if name in starters.names() and (tag != "translation" or task in (tag, "translation_en_to_fr")):
        return f"starter:{name}"
    raise InvalidInput(f"no model comes with the package for {task}", "give one: pipeline(task, model=...)")


def _bundle(model: str, tag: str | None) -> tuple[str | os.PathLike[str], str | None]:
    """The bundle folder of a model, and the task of a starter that borrows its bundle."""
    if model.startswith("starter:"):
        from firstlight import starters

        return starters.path(model.removeprefix("starter:")), starters.task_of(model)
    folder = os.path.expanduser(model)  # noqa: PTH111 - pathlib is one more import on the way to the first answer
    if os.path.isfile(os.path.join(folder, "bundle.json")):  # noqa: PTH113, PTH118
        return folder, None
    # Only a model folder needs the converter, which is not part of what runs on Lambda.
    from pathlib import Path

    from firstlight.build.resolve import resolve

    return resolve(model, Path.cwd(), tag), None


def _known(given: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The arguments that matter; a warning for each that does not."""
    kept = {}
    for name, value in given.items():
        if name in _IGNORED:
            if value is not None and value not in _SILENT.get(name, ()):
                warnings.warn(f"{name} is ignored: {_IGNORED[name]}", UserWarning, stacklevel=3)
        elif name in _OBJECTS:
            if value is not None and value != model:
                raise NotSupported(
                    f"pipeline cannot take a {name} of its own", "put it into the model's folder"
                )
        else:
            kept[name] = value
    return kept


def _inputs(tag: str, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> JSON:
    """What a call means by its positional arguments and the keywords that stand for them."""
    for name in ("inputs", "sequences", "text_inputs"):
        if name in parameters and not inputs:
            inputs = (parameters.pop(name),)
    if tag == "question-answering" and not inputs:
        return {name: parameters.pop(name) for name in ("question", "context") if name in parameters}
    if not inputs:
        raise InvalidInput("the pipeline was called without inputs")
    if len(inputs) == 1:
        return list(inputs[0]) if isinstance(inputs[0], tuple) else inputs[0]
    if len(inputs) == 2 and tag in _SECOND:
        return _SECOND[tag](*inputs, parameters)
    return list(inputs)


def _asked(question: Any, context: Any, _: dict[str, Any]) -> JSON:
    return {"question": question, "context": context}


def _labelled(text: Any, labels: Any, parameters: dict[str, Any]) -> JSON:
    parameters["candidate_labels"] = list(labels) if isinstance(labels, tuple) else labels
    return text


def _compared(source: Any, sentences: Any, _: dict[str, Any]) -> JSON:
    return {"source_sentence": source, "sentences": sentences}


_SECOND: dict[str, Callable[[Any, Any, dict[str, Any]], JSON]] = {
    "question-answering": _asked,
    "zero-shot-classification": _labelled,
    "sentence-similarity": _compared,
}
"""What the second positional argument is, by task."""


def _shape(tag: str) -> Callable[[Pipeline, JSON, dict[str, Any], dict[str, Any]], JSON] | None:
    """What gives a task's calls and answers the shape of transformers where that is not ours; None where it is.

    It takes the pipeline, the inputs, the parameters of the call, and all parameters.
    """
    if tag not in _SHAPES:
        return None
    home, _, name = _SHAPES[tag].partition(":")
    module = __import__(
        f"{__name__}.{home}", fromlist=[name]
    )  # importlib would be one more import on the way
    found: Callable[[Pipeline, JSON, dict[str, Any], dict[str, Any]], JSON] = getattr(module, name)
    return found


_SHAPES = {
    "text-classification": "shapes:classified",
    "question-answering": "shapes:answered",
    "fill-mask": "shapes:filled",
    "feature-extraction": "shapes:extracted",
    "summarization": "generating:written",
    "translation": "generating:written",
    "text2text-generation": "generating:written",
    "text-generation": "generating:generated",
}
