"""Answers that leave in pieces.

A handler streams by returning an iterator of ``bytes`` or ``str`` (a generator, mostly). A response for a function
URL, ``{"statusCode", "headers", "cookies", "body"}``, streams when its ``body`` is such an iterator: it leaves as
``application/vnd.awslambda.http-integration-response``, a JSON prelude, eight NUL bytes, then the body.

Source: "Response streaming for Lambda functions" and "custom runtimes", AWS Lambda developer guide.
"""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

EVENTS = "text/event-stream"
HTTP_INTEGRATION = "application/vnd.awslambda.http-integration-response"
PLAIN = "application/octet-stream"
_END_OF_PRELUDE = bytes(8)


def stream(result: Any) -> tuple[str, Generator[bytes]] | None:
    """Content type and pieces of a result that is to be streamed, None for any other result."""
    if _is_iterator(result):
        return getattr(result, "content_type", PLAIN), _pieces(result)
    if isinstance(result, dict) and "statusCode" in result and _is_iterator(result.get("body")):
        return HTTP_INTEGRATION, _with_prelude(result)
    return None


class Events:
    """Server-Sent Events, one ``data:`` line for each event (WHATWG HTML, "Server-sent events").

    The first event is made at once: what fails until then fails here, and is no broken stream.

    Args:
        events: what JSON can carry. Closing this closes it.
    """

    content_type = EVENTS

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._first: list[Any] = [next(events)]

    def __iter__(self) -> Events:
        return self

    def __next__(self) -> bytes:
        event = self._first.pop() if self._first else next(self._events)
        return f"data:{jsons.dumps(event)}\n\n".encode()

    def close(self) -> None:
        """End the work behind the events at once."""
        self._first.clear()
        close = getattr(self._events, "close", None)
        if close is not None:
            close()


def _is_iterator(value: object) -> bool:
    return hasattr(value, "__next__") and hasattr(value, "__iter__")


def _pieces(chunks: Iterator[Any]) -> Generator[bytes]:
    try:
        for chunk in chunks:
            if isinstance(chunk, str):
                yield chunk.encode("utf-8", "replace")
            elif isinstance(chunk, (bytes, bytearray, memoryview)):
                yield bytes(chunk)
            else:
                raise Fault(
                    "Runtime.MarshalError",
                    f"Unable to marshal response: a streamed piece is of type {type(chunk).__name__}",
                    "yield bytes or str; turn other values into JSON text first",
                )
    finally:
        # A caller that leaves early must not leave the user's generator suspended in its ``with`` blocks.
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def _with_prelude(result: dict[str, Any]) -> Generator[bytes]:
    body = _pieces(result["body"])
    prelude = {
        name: result[name] for name in ("statusCode", "headers", "cookies") if result.get(name) is not None
    }
    try:
        # With the first piece, not before it: what fails until then is still a plain function error.
        first = next(body, b"")
        yield jsons.dumps(prelude).encode() + _END_OF_PRELUDE + first
        yield from body
    finally:
        body.close()
