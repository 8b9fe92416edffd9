"""Which task a model is to serve: the one asked for, what its card says, or what its weights have a head for."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.build.choice.architectures import SAME_HEAD, Found
from firstlight.build.choice.contents import Contents
from firstlight.build.convert.generation import BY_TYPE, TASKS, type_of
from firstlight.runtime import tasks
from firstlight.runtime.errors import ConversionError, InvalidInput, ProjectError

GENERATION = "text-generation"


def asked(contents: Contents) -> str | None:
    """The tag of the task that was asked for.

    Raises:
        ProjectError: there is no such task.
    """
    wished = contents.wish.task
    if wished is None:
        return None
    try:
        return tasks.canonical(wished)
    except InvalidInput as error:
        raise ProjectError(error.message, error.hint) from None


def head_asked(contents: Contents) -> str | None:
    """The task whose head serves the one that was asked for."""
    wished = asked(contents)
    return SAME_HEAD.get(wished, wished) if wished else None


def of_head(contents: Contents, head: str) -> str:
    """The task of an encoder whose weights have a head for one; hidden states can be had of all of them.

    Raises:
        ConversionError: another one was asked for.
    """
    wished = asked(contents)
    if wished is None:
        tag = contents.card.task or ""
        return tag if SAME_HEAD.get(tag) == head else head
    if head_asked(contents) not in (head, "feature-extraction"):
        message = f"{contents.called} has weights for {head}, not for {wished}"
        raise ConversionError(message, f"leave the task out, or set it to {head}")
    return wished


def of_sequences(contents: Contents) -> str:
    """The task of an encoder-decoder: also by ``task_specific_params``, such as ``translation_en_to_fr``.

    Raises:
        ConversionError: a task was asked for that makes no text of text.
    """
    wished = asked(contents)
    if wished is not None:
        if wished not in TASKS:
            message = f"{contents.called} makes text of text, which is not {wished}"
            raise ConversionError(message, f"its tasks: {', '.join(TASKS)}")
        return wished
    if contents.card.task in TASKS:
        return str(contents.card.task)
    kind = BY_TYPE.get(type_of(contents.config, contents.json("tokenizer_config.json")))
    if kind is not None:
        return kind
    named = contents.config.get("task_specific_params")
    words = {name.partition("_")[0] for name in named} if isinstance(named, Mapping) else set()
    return words.pop() if len(words & set(TASKS)) == len(words) == 1 else "text2text-generation"


def of_language_model(contents: Contents) -> str:
    """``text-generation``.

    Raises:
        ConversionError: something else was asked for.
    """
    if asked(contents) not in (None, GENERATION):
        message = f"{contents.called} is a language model for {GENERATION}, not for {contents.wish.task}"
        raise ConversionError(message, "leave the task out")
    return GENERATION


def of_found(contents: Contents, found: Found) -> str:
    """The task of a model whose architecture is known."""
    if found.head is None:
        return of_sequences(contents)
    return of_language_model(contents) if found.head == GENERATION else of_head(contents, found.head)


def of_graph(contents: Contents, head: str | None) -> str:
    """The task of an exported graph, which does not say it itself.

    Args:
        head: what the architecture of its config.json has a head for, where it has one.

    Raises:
        ProjectError: nothing says it.
    """
    if head is not None:
        return of_head(contents, head)
    wished = asked(contents) or contents.card.task
    if wished in tasks.names():
        return str(wished)
    hint = f"add --task with one of {', '.join(tasks.names())}"
    raise ProjectError(f"nothing says what {contents.called} is for", hint)
