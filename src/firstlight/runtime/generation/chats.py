"""A chat as the prompt of a language model."""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput, MissingExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from firstlight.runtime.generation.templates import ChatTemplate
    from firstlight.runtime.types import JSON, TokenEngine

PLAIN_STOP = "\nUser:"
"""Ends an answer of a model without a chat template, which would go on with both parts."""

_NAMES = {"user": "User", "assistant": "Assistant", "system": "System", "developer": "System", "tool": "Tool"}
_RESERVED = ("messages",)
_FLAGS = ("add_generation_prompt", "continue_final_message")


class Chats:
    """Makes prompts of chats, for one bundle and its engine.

    Args:
        given: the bundle's own chat template, in any form ``templates.chosen`` takes; None asks the engine's weights.
    """

    def __init__(self, given: JSON) -> None:
        self._given = given
        self._compiled: dict[str, ChatTemplate] = {}

    def has_template(self, engine: TokenEngine) -> bool:
        """Whether the model says how it wants to be talked to."""
        return bool(self._given or engine.template)

    def tokens(
        self, engine: TokenEngine, messages: list[JSON], values: Mapping[str, JSON], begun: int
    ) -> list[int]:
        """The prompt's tokens.

        Args:
            messages: with ``role`` and ``content``, a string.
            values: the parameter ``chat_template_kwargs``.
            begun: seconds since the epoch, when the answer was begun.

        Raises:
            InvalidInput: the template refuses the messages, or they would forge special tokens.
            BundleError: the template is none.
            MissingExtra: there is a template and no Jinja.
        """
        own = {key: value for key, value in values.items() if key not in _FLAGS}
        for name in own:
            if name in _RESERVED or name in engine.special:
                raise InvalidInput(f"parameter 'chat_template_kwargs' must not set {name!r}")
        more = goes_on(messages, values)
        if not self.has_template(engine):
            if own:
                notes.warn("the model has no chat template; 'chat_template_kwargs' changes nothing")
            return engine.encode(_plain(messages, more))
        template = self._template(engine, bool(own.get("tools")))
        special = dict(engine.special)
        from firstlight.runtime.generation.forging import Guard

        if values.get("add_generation_prompt") is False and not more:
            special["add_generation_prompt"] = False  # type: ignore[assignment]

        def render(said: Any) -> str:
            return template.render(said["messages"], {**special, **said["values"]}, begun, more)

        return Guard(engine).tokens(render, {"messages": messages, "values": own})

    def _template(self, engine: TokenEngine, tools: bool) -> ChatTemplate:
        try:
            from firstlight.runtime.generation import templates
        except ImportError as error:
            raise MissingExtra("this model's chat template needs Jinja", "pip install jinja2") from error
        source = templates.chosen(self._given or engine.template, tools)
        if source not in self._compiled:
            self._compiled[source] = templates.ChatTemplate(source)
        return self._compiled[source]


def goes_on(messages: list[JSON], values: Mapping[str, JSON]) -> bool:
    """Whether the answer goes on from the last message: where that is the assistant's, as in transformers.

    Raises:
        InvalidInput: the request says both.
    """
    wish = values.get("continue_final_message")
    if wish is True and values.get("add_generation_prompt") is True:
        raise InvalidInput(
            "parameter 'chat_template_kwargs' says both 'continue_final_message' and 'add_generation_prompt'"
        )
    if wish is None:
        return messages[-1]["role"] == "assistant" and values.get("add_generation_prompt") is not True
    return bool(wish)


def _plain(messages: list[JSON], more: bool) -> str:
    """A chat as a play, for a model that was never taught another way."""
    notes.warn("the model has no chat template; the messages were written out as 'User:' and 'Assistant:'")
    lines = [f"{_NAMES.get(one['role'], one['role'].title())}: {one['content']}" for one in messages]
    return "\n\n".join(lines if more else [*lines, "Assistant:"])
