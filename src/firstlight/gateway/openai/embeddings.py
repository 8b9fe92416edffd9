"""``POST /v1/embeddings`` over the endpoints whose weights are a sentence encoder.

Field names, limits and shapes: OpenAI API reference, "Create embeddings". ``encoding_format`` is ``float`` unless the
client says ``base64`` (little-endian float32), which OpenAI's own clients do by themselves. A text that is longer than
the model reads is refused, as there; ``truncate: true`` (our addition) reads its beginning.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import Coroutine
from struct import pack
from typing import Any

from firstlight.gateway.asgi import dump_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.failures import of_reply
from firstlight.gateway.openai.errors import WrongField
from firstlight.gateway.openai.fields import Fields, wrong
from firstlight.invoke.types import Invocation, Reply

TASK = "feature-extraction"
MOST_TEXTS = 2048
_AT_ONCE = 64
"""Texts of one invocation: a worker's answer has at most 6 MB, and other requests come between two invocations."""


class Embeddings:
    """One request.

    Args:
        body: its JSON object.
        entry: the endpoint that answers.

    Raises:
        WrongField: naming the field.
    """

    def __init__(self, body: dict[str, Any], entry: Entry) -> None:
        fields = Fields(body)
        fields.ignore("model", "user")
        self._entry = entry
        self._texts = _texts(fields.take("input"))
        self._base64 = _encoding(fields.text("encoding_format"))
        self._dimensions = fields.whole("dimensions", 1)
        self._truncate = fields.flag("truncate")
        fields.end()

    async def answer(self, gateway: Gateway, trace_id: str | None) -> tuple[dict[str, Any], list[Reply]]:
        """The response, and the replies it was made of.

        Raises:
            WrongField: ``dimensions`` is more than the model has, or it gives no one vector for a text.
            FirstlightError: the endpoint failed.
        """
        parts = [self._texts[at : at + _AT_ONCE] for at in range(0, len(self._texts), _AT_ONCE)]
        replies = await _all([self._part(gateway, part, trace_id) for part in parts])
        vectors = [vector for reply in replies for vector in self._vectors(reply)]
        tokens = sum(reply.report.counts.get("prompt_tokens", 0) for reply in replies)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": self._encoded(vector)}
                for index, vector in enumerate(vectors)
            ],
            "model": self._entry.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }, replies

    async def _part(self, gateway: Gateway, texts: list[str], trace_id: str | None) -> Reply:
        event: dict[str, Any] = {"inputs": texts, "parameters": {"truncate": self._truncate}}
        if self._entry.task != TASK:
            event["task"] = TASK
        invocation = Invocation(self._entry.name, dump_json(event), trace_id=trace_id, wire="openai")
        reply = await gateway.invoke(invocation, stops=True)
        if reply.function_error:
            raise of_reply(reply)
        return reply

    def _vectors(self, reply: Reply) -> list[list[float]]:
        vectors = json.loads(reply.payload)
        for vector in vectors:
            if not vector or not isinstance(vector[0], int | float):
                raise WrongField(
                    f"{self._entry.name} answers a vector for each token and not one for a text",
                    "name a sentence encoder, or ask its Hugging Face route for the vectors of the tokens",
                    param="model",
                )
        return [self._shortened(vector) for vector in vectors]

    def _shortened(self, vector: list[float]) -> list[float]:
        """The first dimensions, given the length 1 again; all of them where no number was asked for."""
        wanted = self._dimensions
        if wanted is None or wanted == len(vector):
            return vector
        if wanted > len(vector):
            raise WrongField(
                f"the vectors of {self._entry.name} have {len(vector)} dimensions, and {wanted} were asked for",
                param="dimensions",
                code="invalid_value",
            )
        kept = vector[:wanted]
        length = math.sqrt(sum(number * number for number in kept))
        return [number / length for number in kept] if length else kept

    def _encoded(self, vector: list[float]) -> list[float] | str:
        if not self._base64:
            return vector
        return base64.b64encode(pack(f"<{len(vector)}f", *vector)).decode("ascii")


async def _all(work: list[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """All results in order; the first failure ends the others."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _encoding(wish: str | None) -> bool:
    """Whether vectors go as base64."""
    if wish not in (None, "float", "base64"):
        raise WrongField(
            "'encoding_format' has to be 'float' or 'base64'", param="encoding_format", code="invalid_value"
        )
    return wish == "base64"


def _texts(value: Any) -> list[str]:
    if value is None:
        raise WrongField("you must provide an 'input'", param="input", code="missing_required_parameter")
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise wrong("input", "a string or an array of strings", value)
    if not texts:
        raise WrongField("'input' is an empty array", param="input", code="empty_array")
    if len(texts) > MOST_TEXTS:
        raise WrongField(
            f"'input' has {len(texts)} texts, and {MOST_TEXTS} are the most",
            param="input",
            code="array_above_max_length",
        )
    for text in texts:
        if isinstance(text, int | list):
            raise WrongField(
                "'input' holds token ids, which mean something else to every model: send the text itself",
                param="input",
                code="invalid_type",
            )
        if not isinstance(text, str):
            raise wrong("input", "a string or an array of strings", value)
        if not text:
            raise WrongField("'input' cannot be an empty string", param="input", code="invalid_value")
    return texts
