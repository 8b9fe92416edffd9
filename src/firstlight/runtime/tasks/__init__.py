"""The tasks a model can be served for, by their Hugging Face pipeline tag.

One class a task; it owns validation, what goes into the graph and what is made of the numbers that come out:

    items, single, parameters = task.check(inputs, parameters)
    prepared = task.preprocess(items[0], parameters)       # prepared.feeds: one row each
    answer = task.postprocess(prepared, [engine.run(feeds, prepared.outputs) for feeds in prepared.feeds])

Answers have the shape ``transformers.pipeline`` gives. A task's module is imported when the task is first asked for.
"""

from __future__ import annotations

from firstlight.runtime.errors import BundleError, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import JSON, BundleFacts, Task, Tokenizer

_HOMES = {
    "text-classification": "text_classification:TextClassification",
    "token-classification": "token_classification:TokenClassification",
    "question-answering": "question_answering:QuestionAnswering",
    "feature-extraction": "embeddings:FeatureExtraction",
    "sentence-similarity": "embeddings:SentenceSimilarity",
    "zero-shot-classification": "zero_shot:ZeroShotClassification",
    "fill-mask": "fill_mask:FillMask",
    "summarization": "summarization:Summarization",
    "translation": "translation:Translation",
    "text2text-generation": "seq2seq:Text2TextGeneration",
    "text-generation": "text_generation:TextGeneration",
    "audio-to-audio": "audio:AudioToAudio",
    "echo": "echo:Echo",
}
_BY_ENCODER = ("feature-extraction", "sentence-similarity", "zero-shot-classification", "summarization")
_OF_SEQUENCES = ("summarization", "translation", "text2text-generation")
_ALIASES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "zero-shot": "zero-shot-classification",
    "chat": "text-generation",
    "chat-completion": "text-generation",
    "completion": "text-generation",
    "conversational": "text-generation",
}
_WITH_ANY_TOKENIZER = ("text-generation", "audio-to-audio", "echo")
"""Whose engine has the vocabulary, or that need none."""


def names() -> list[str]:
    """The tags of all tasks; aliases and the fake are left out."""
    return [tag for tag in _HOMES if tag != "echo"]


def canonical(name: str) -> str:
    """The tag behind a name or an alias; ``translation_en_to_fr`` and its like are ``translation``.

    Raises:
        InvalidInput: no task has the name.
    """
    tag = _ALIASES.get(name, name)
    if tag.startswith("translation_") and "_to_" in tag:
        tag = "translation"
    if tag not in _HOMES:
        known = ", ".join([*names(), *_ALIASES, "translation_xx_to_yy"])
        raise InvalidInput(f"there is no task {name!r}", f"tasks: {known}")
    return tag


def implied(name: str) -> dict[str, str]:
    """The parameters a task's name stands for: the languages of ``translation_en_to_fr``."""
    source, to, target = name.removeprefix("translation_").partition("_to_")
    return {"src_lang": source, "tgt_lang": target} if to and name.startswith("translation_") else {}


def load(name: str, bundle: BundleFacts, tokenizer: Tokenizer | None) -> Task:
    """The task of that name over one bundle.

    Args:
        name: a tag or an alias.
        bundle: gives labels and defaults.
        tokenizer: the bundle's tokenizer; None is enough where the engine has the vocabulary, and for the fake task.

    Raises:
        InvalidInput: no task has the name.
        BundleError: the bundle lacks what the task needs, such as labels.
    """
    if tokenizer is None and canonical(name) not in _WITH_ANY_TOKENIZER:
        raise BundleError(f"the bundle {bundle.name} has no tokenizer", f"{name} needs one")
    task: Task = _home(name)(bundle, tokenizer)
    return task


def served(bundle: BundleFacts) -> tuple[str, ...]:
    """The tasks a bundle's weights can answer, its own first.

    A sentence encoder compares, classifies without examples and summarises by extraction; a model of inference
    classifies without examples. An encoder-decoder model makes text of text whatever it was made for, and does what
    else its defaults name under ``tasks``.
    """
    own = canonical(bundle.task)
    if bundle.defaults.get("pooling"):
        return (own, *(task for task in _BY_ENCODER if task != own))
    if own == "text-classification" and any(label.lower().startswith("entail") for label in bundle.labels):
        return (own, "zero-shot-classification")
    if own in _OF_SEQUENCES:
        named = [name.partition("_")[0] for name in bundle.defaults.get("tasks", ())]
        more = [name for name in named if name in _OF_SEQUENCES]
        return tuple(dict.fromkeys((own, *more, "text2text-generation")))
    return (own,)


def choose(name: str | None, bundle: BundleFacts) -> str:
    """The task of that name if the bundle's weights serve it; the bundle's own where none is named.

    Raises:
        InvalidInput: they do not.
    """
    possible = served(bundle)
    task = possible[0] if name is None else canonical(name)
    if task not in possible:
        raise InvalidInput(f"{bundle.name} does not do {name}", f"its tasks: {', '.join(possible)}")
    return task


def schema(name: str) -> dict[str, JSON]:
    """What a task takes and gives, as JSON Schema: ``inputs``, ``parameters``, ``output`` and an ``example``.

    Raises:
        InvalidInput: no task has the name.
    """
    found: dict[str, JSON] = _home(name).schema
    return found


def takes(name: str) -> tuple[str, ...]:
    """Beginnings of the media types whose bytes are a task's inputs as they are; empty for tasks of text and no task.

    Raises:
        InvalidInput: no task has the name.
    """
    found: tuple[str, ...] = getattr(_home(name), "takes", ()) if name else ()
    return found


def _home(name: str) -> JSON:
    module, _, kind = _HOMES[canonical(name)].partition(":")
    # importlib.import_module would be one more module on the way to the first answer.
    return getattr(__import__(f"{__name__}.{module}", fromlist=[kind]), kind)
