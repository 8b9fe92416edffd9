"""Chat templates: from messages to the text a model was trained to go on from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError

from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.generation.budget import LETTERS, LETTERS_PER_LETTER, Budget, TooMuch
from firstlight.runtime.generation.sandbox import Refused, Sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Message = Mapping[str, Any]

_LONGEST = 300_000
_HINT = "a template that works in transformers works here; give the bundle another chat_template"
_CUT = "\ue0a7cut\ue0a7 "
"""Marks where the last message ends; the blank tells whether the template keeps one there."""


class ChatTemplate:
    """One compiled template.

    Args:
        source: in Jinja, as transformers reads it.

    Raises:
        BundleError: it is no template.
    """

    def __init__(self, source: str) -> None:
        self._begun = 0.0
        self._sandbox = Sandbox(self._strftime_now)
        if len(source) > _LONGEST:
            raise BundleError(f"the chat template is longer than {_LONGEST} characters", _HINT)
        try:
            self._template = self._sandbox.from_string(source)
        except TemplateSyntaxError as error:
            raise BundleError(
                f"the chat template is none: {error.message}, in line {error.lineno}", _HINT
            ) from error
        except (TemplateError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BundleError(f"the chat template is none: {_shown(error)}", _HINT) from error

    def render(
        self, messages: Sequence[Message], values: Mapping[str, Any], begun: float, more: bool = False
    ) -> str:
        """The text of a chat.

        Args:
            messages: with ``role`` and ``content``, a string.
            values: what else the template may read: the special tokens, ``tools``, ``documents`` and its own words.
            begun: seconds since the epoch, the time the template is told.
            more: whether the answer goes on from the last message, instead of being a new one.

        Raises:
            InvalidInput: the template refuses the messages, or cannot do with them.
            BundleError: it does what it may not.
        """
        self._begun = begun
        self._sandbox.budget = Budget(LETTERS + LETTERS_PER_LETTER * (_letters(messages) + _letters(values)))
        said = [dict(message) for message in messages]
        if more:
            said[-1]["content"] = f"{said[-1]['content']}{_CUT}"
        own = {"tools": None, "documents": None, "add_generation_prompt": not more}
        try:
            text = self._template.render({**own, **values, "messages": said})
        except Refused as error:
            raise InvalidInput(f"the model's chat template refuses the messages: {error.message}") from error
        except (SecurityError, TooMuch, RecursionError, MemoryError, OverflowError) as error:
            raise BundleError(f"the chat template was stopped: {_shown(error)}", _HINT) from error
        except Exception as error:  # whatever a program that is not ours can raise
            message = f"the model's chat template cannot do with these messages: {_shown(error)}"
            raise InvalidInput(message) from error
        return _before_cut(text) if more else text

    def _strftime_now(self, form: str) -> str:
        if len(form) > 100:
            raise SecurityError("it asks for the time in too many words")
        return datetime.fromtimestamp(self._begun).strftime(form)  # local, as transformers


def chosen(given: Any, tools: bool) -> str:
    """The source of the template, of those a bundle has.

    Args:
        given: one source, several by their names, or a list of ``{"name", "template"}``, as tokenizer_config.json has.
        tools: whether the chat has tools.

    Raises:
        BundleError: there is none among them.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, list) and all(isinstance(one, dict) for one in given):
        given = {one.get("name"): one.get("template") for one in given}
    names = ("tool_use", "default") if tools else ("default",)
    found = [given[name] for name in names if isinstance(given, dict) and name in given]
    if not found or not isinstance(found[0], str):
        raise BundleError("the bundle's chat_template is neither a text nor has a 'default'", _HINT)
    return found[0]


def _before_cut(text: str) -> str:
    at = text.rfind(_CUT.strip())
    if at < 0:
        raise InvalidInput(
            "the model's chat template leaves the last message out, so that it cannot be gone on with",
            "end with a message of the user",
        )
    return text[:at] if text.startswith(_CUT, at) else text[:at].rstrip()


def _letters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + _letters(inner) for key, inner in value.items())
    return sum(map(_letters, value)) if isinstance(value, (list, tuple)) else 1


def _shown(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
