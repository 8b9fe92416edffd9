"""A whole answer of a generating task within a job: read as a stream, so that the job has its pieces while it is made.

The answer is put together by the task's own code, as the worker would: the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from firstlight.gateway.core import Gateway
from firstlight.gateway.generations import Event, Generation
from firstlight.gateway.hf_shapes import GENERATING
from firstlight.invoke.types import Invocation, Reply
from firstlight.jobs.current import running
from firstlight.runtime import jsons, tasks
from firstlight.runtime.errors import InvalidInput

_FIELDS = {
    "summarization": "summary_text",
    "translation": "translation_text",
    "text2text-generation": "generated_text",
}
"""Tasks that make a text of a text -> where the answer has it."""
_NO_MODEL: Any = SimpleNamespace(name="", defaults={}, model={}, digest="")
"""What puts an answer together asks nothing of the model that made it."""


class Telling:
    """One input of a job that text is generated for.

    Args:
        answer: puts the answer together, of all events.
    """

    def __init__(self, answer: Callable[[Sequence[Event]], Any]) -> None:
        self._answer = answer

    async def reply(self, gateway: Gateway, invocation: Invocation) -> Reply:
        """The reply with the whole answer; the job is told each piece. Cancelling this ends the work.

        Args:
            invocation: its event says ``"stream": true``.

        Raises:
            FirstlightError: there was no answer.
        """
        generation = Generation(gateway, invocation)
        coming = generation.events()
        try:
            said = [event async for event in coming]
        finally:
            await coming.aclose()
        reply = generation.reply or Reply(invocation.request_id)
        reply.payload = _encoded(self._answer(said))
        return reply


def of(task: str, event: dict[str, Any]) -> Telling | None:
    """How a request's answer is told.

    None outside of jobs, for tasks that do not generate, for several inputs, and where the worker is to refuse.
    """
    inputs = event.get("inputs")
    if running.get() is None or task not in GENERATING or event.get("stream"):
        return None
    if task in _FIELDS:
        from firstlight.runtime.tasks.seq2seq import Text2TextGeneration

        if not isinstance(inputs, str):
            return None
        form, single = SimpleNamespace(field=_FIELDS[task]), {"listed": True}
        return Telling(lambda events: Text2TextGeneration.answer(form, inputs, events, single))  # type: ignore[arg-type]
    doing: Any = tasks.load(task, _NO_MODEL, None)
    try:
        items, alone, checked = doing.check(inputs, event.get("parameters") or {})
    except InvalidInput:
        return None
    return Telling(lambda events: doing.answer(items[0], events, checked)) if alone else None


def _encoded(answer: Any) -> bytes:
    """JSON as a worker writes it: half of a surrogate pair has no UTF-8, but it has an escape."""
    try:
        return jsons.dumps(answer, ascii_only=False).encode()
    except UnicodeEncodeError:
        return jsons.dumps(answer).encode()
