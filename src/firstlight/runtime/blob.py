"""Bytes in an answer: text in JSON, themselves where whoever asked wants nothing else.

A task that answers with a picture or a sound puts a ``Blob`` where the text would be::

    [{"blob": Blob(wav, "audio/wav"), "content-type": "audio/wav", "label": "speech"}]

By Invoke the answer is that JSON with the bytes as base64. A request by HTTP whose Accept header asks for the blob's
own media type first gets the bytes.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import JSON


class Blob(str):
    """Base64 text that remembers the bytes.

    Attributes:
        data: the bytes.
        content_type: their media type.
    """

    __slots__ = ("content_type", "data")

    data: bytes
    content_type: str

    def __new__(cls, data: bytes, content_type: str) -> Blob:
        made = super().__new__(cls, b2a_base64(data, newline=False).decode())
        made.data = data
        made.content_type = content_type
        return made


def alone(answer: JSON, accept: str) -> Blob | None:
    """The one blob of an answer, where an Accept header asks for its media type before any other that JSON is.

    Args:
        accept: as in RFC 9110, 12.5.1; weights are not looked at.
    """
    (single,) = answer if isinstance(answer, list) and len(answer) == 1 else (answer,)
    blobs = (
        [value for value in single.values() if isinstance(value, Blob)] if isinstance(single, dict) else []
    )
    return blobs[0] if len(blobs) == 1 and asks(accept, blobs[0].content_type) else None


def asks(accept: str, content_type: str) -> bool:
    """Whether an Accept header asks for a media type before JSON and before anything at all."""
    for entry in accept.lower().split(","):
        wanted = entry.partition(";")[0].strip()
        if wanted in ("*/*", "application/json"):
            return False
        if wanted in (content_type, f"{content_type.partition('/')[0]}/*"):
            return True
    return False


def read(inputs: JSON, what: str) -> bytes:
    """The bytes of inputs: themselves, base64 or a ``data:`` address with base64 in it (RFC 2397).

    Args:
        what: they are, for messages.

    Raises:
        InvalidInput: they are something else.
    """
    if isinstance(inputs, bytes):
        return inputs
    if not isinstance(inputs, str):
        raise InvalidInput(f"inputs must be {what} as base64 text", "or send the bytes themselves by HTTP")
    head, comma, rest = inputs.partition(",")
    try:
        return a2b_base64(rest if comma and head.startswith("data:") else inputs, strict_mode=True)
    except (Error, ValueError) as error:
        raise InvalidInput(f"inputs must be {what} as base64 text: {error}") from None
