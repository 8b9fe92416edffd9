"""A streamed answer as OpenAI streams it: Server-Sent Events, ``data: {...}`` for each chunk, then ``data: [DONE]``.

What fails in the middle is an event of its own, ``data: {"error": {...}}``, without a ``[DONE]`` after it: clients
raise it (measured: ``openai.APIError``), and nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.generations import Event
from firstlight.gateway.openai.answers import Answer, Choice
from firstlight.gateway.openai.errors import error_object
from firstlight.runtime.errors import FirstlightError

DONE = b"data: [DONE]\n\n"


async def chunks(
    answer: Answer, first: tuple[int, Event], rest: AsyncGenerator[tuple[int, Event]]
) -> AsyncGenerator[bytes]:
    """The bytes of a streamed response.

    Args:
        answer: takes the events.
        first: the first event of any choice; it is there already, so that what fails before it is a plain error.
        rest: the others.
    """
    opened: set[int] = set()
    for line in _lines(answer, *first, opened):
        yield line
    try:
        async for number, event in rest:
            for line in _lines(answer, number, event, opened):
                yield line
    except FirstlightError as error:
        yield sent({"error": error_object(error)})
        return
    if answer.asked.usage:
        yield sent(answer.chunk([], answer.usage()))
    yield DONE


def sent(value: dict[str, Any]) -> bytes:
    """One event."""
    return b"data: " + dump_json(value) + b"\n\n"


def _lines(answer: Answer, number: int, event: Event, opened: set[int]) -> list[bytes]:
    """What one event of a choice becomes: often one chunk, more at its beginning and its end."""
    choice = answer.choices[number]
    found = []
    if number not in opened:
        opened.add(number)
        found += _opening(answer, choice)
    known = len(choice.tokens)
    text = choice.add(event)
    if text or known < len(choice.tokens):
        found.append(sent(answer.piece(choice, text, known)))
    if choice.details:
        found.append(sent(answer.closing(choice)))
    return found


def _opening(answer: Answer, choice: Choice) -> list[bytes]:
    if answer.asked.chat:
        return [sent(answer.opening(choice))]
    return [sent(answer.piece(choice, choice.text, 0))] if choice.text else []
