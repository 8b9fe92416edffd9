"""Generated text as text-generation-inference (TGI) streams it, which is what clients of Hugging Face's routes read.

Each event is ``data:{"index", "token": {"id", "text", "logprob", "special"}, "top_tokens"?, "generated_text",
"details"}``; the last one has ``generated_text`` and ``details`` (``finish_reason``, ``generated_tokens``,
``input_length``, ``seed``). What fails in the middle is ``data:{"error", "error_type"}``. Measured with
``InferenceClient.text_generation(stream=True, details=True)`` of huggingface_hub 2.4, which raises the error's type.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from firstlight.gateway.asgi import Answer, Call, dump_json
from firstlight.gateway.core import Gateway
from firstlight.gateway.generations import Event, Generation
from firstlight.gateway.patience import EVENTS
from firstlight.gateway.streams import Piped
from firstlight.invoke.types import Invocation
from firstlight.runtime.errors import FirstlightError

_KINDS = {400: "validation", 429: "overloaded"}
"""Status -> TGI's ``error_type``; every other one is ``generation``."""


async def answer(call: Call, gateway: Gateway, invocation: Invocation) -> Answer:
    """The streamed response to a request; what fails before the first event is raised.

    Args:
        invocation: its event says ``"stream": true``.

    Raises:
        FirstlightError: there was no answer.
        ClientGone: nobody waits for it any more.
    """
    generation = Generation(gateway, invocation)
    coming = generation.events()
    try:
        first = await call.while_present(anext(coming))
    except BaseException:
        await coming.aclose()
        raise
    headers = [
        (b"content-type", EVENTS.encode()),
        (b"cache-control", b"no-cache"),
        (b"x-request-id", invocation.request_id.encode()),
    ]
    return Answer(200, b"", headers, stream=Piped(_events(first, coming), coming))


def as_generation(error: FirstlightError) -> FirstlightError:
    """The error with the type that clients of TGI know."""
    if error.status in _KINDS or error.status >= 500:
        error.kind = _KINDS.get(error.status, "generation")  # type: ignore[attr-defined]
    return error


async def _events(first: Event, rest: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    yield _sent(_as_tgi(first))
    try:
        async for event in rest:
            yield _sent(_as_tgi(event))
    except FirstlightError as error:
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        yield _sent({"error": text, "error_type": "generation"})


def _as_tgi(event: Event) -> Event:
    token, details = event.get("token"), event.get("details")
    found = dict(event)
    if isinstance(token, dict):
        found["token"] = {name: value for name, value in token.items() if name not in ("top", "bytes")}
        if "top" in token:
            found["top_tokens"] = [{"special": False, **other} for other in token["top"]]
    if isinstance(details, dict):
        found["details"] = {**details, "input_length": details.get("prompt_tokens")}
    return found


def _sent(value: dict[str, Any]) -> bytes:
    return b"data:" + dump_json(value) + b"\n\n"
