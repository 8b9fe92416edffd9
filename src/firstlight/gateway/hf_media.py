"""Requests and answers of the inference routes that are bytes: a recording, a picture.

A worker is invoked with JSON, so bytes travel as base64 between here and there. A request brings them as they are,
under their own media type or none, or as base64 in ``inputs``; its Accept header says which way the answer goes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from binascii import Error, a2b_base64
from typing import Any

from firstlight.gateway.asgi import Call, media_type
from firstlight.runtime.blob import asks


def inputs(content: bytes, call: Call, takes: tuple[str, ...]) -> dict[str, Any] | None:
    """The body of a request that is bytes, as one of JSON; None where it is JSON already.

    Args:
        content: the body.
        takes: beginnings of the media types a task takes.
    """
    kind = media_type(call)
    unnamed = not kind and content.lstrip()[:1] != b"{"
    if not takes or not (unnamed or kind.startswith(takes)):
        return None
    return {"inputs": b64encode(content).decode()}


def bare(payload: bytes, accept: str) -> tuple[bytes, str] | None:
    """The bytes of an answer that has one blob, and their media type, where the client asks for that.

    Args:
        payload: the function's JSON, such as ``[{"blob": "...", "content-type": "audio/wav"}]``.
        accept: the Accept header.
    """
    if b'"content-type"' not in payload:
        return None
    answer = json.loads(payload)
    (single,) = answer if isinstance(answer, list) and len(answer) == 1 else (None,)
    if not isinstance(single, dict) or not isinstance(single.get("blob"), str):
        return None
    kind = str(single.get("content-type"))
    if not asks(accept, kind):
        return None
    try:
        return a2b_base64(single["blob"]), kind
    except (Error, ValueError):
        return None
