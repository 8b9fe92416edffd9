"""A handler's answer as an HTTP response: version 1 (REST APIs) and version 2 (HTTP APIs, Function URLs).

Version 1, as recorded from REST APIs: every field may be left out (``{}`` is an empty 200), a field that is none of a
response is malformed, and so is an object or a list where text is asked for. Version 2: what has no ``statusCode`` is
itself the body of a 200.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.gateway.asgi import Answer, HeaderList
from firstlight.gateway.fronts import headers
from firstlight.gateway.streams import Malformed

_FIELDS = frozenset(
    {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded", "base64Encoded"}
)
_TRUE = (True, "true", "True")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A response before a front passes it on.

    Args:
        content_type: of a body whose headers name none; None leaves it to the front.
        encoded: whether the body is the text of base64, which nobody has decoded.
        serialised: whether it was an object, which a REST API does not take.
    """

    status: int
    body: bytes = b""
    headers: HeaderList | None = None
    content_type: bytes | None = None
    encoded: bool = False
    serialised: bool = False

    def decoded(self) -> bytes:
        """The bytes that a base64 body stands for.

        Raises:
            Malformed: it is none.
        """
        try:
            return base64.b64decode(self.body, validate=True)
        except (ValueError, binascii.Error) as error:
            raise Malformed("the body is not base64") from error


def version_1(payload: bytes, lenient: bool = False) -> Parsed:
    """The response in an answer of version 1.

    Args:
        lenient: an object as body is served as JSON, and fields that are none are passed over.

    Raises:
        Malformed: it is none.
    """
    value = _json(payload)
    if not isinstance(value, dict):
        raise Malformed("the answer is not an object")
    unknown = sorted(value.keys() - _FIELDS)
    if unknown and (not lenient or "statusCode" not in value):
        raise Malformed(f"{unknown[0]!r} is not a field of a response")
    body, serialised = _body(value, lenient)
    return Parsed(
        _status(value.get("statusCode")),
        body,
        headers.collected(value),
        encoded=value.get("isBase64Encoded") in _TRUE or value.get("base64Encoded") in _TRUE,
        serialised=serialised,
    )


def version_2(payload: bytes) -> Parsed:
    """The response in an answer of version 2; what is no JSON is a body too, as HTTP APIs were seen to have it.

    Raises:
        Malformed: it is none.
    """
    try:
        value = json.loads(payload)
    except ValueError:
        value = None
    if not isinstance(value, dict) or "statusCode" not in value:
        body = value.encode("utf-8", "replace") if isinstance(value, str) else payload
        return Parsed(200, body, content_type=b"application/json")
    body, _ = _body(value, lenient=False)
    found = [*headers.collected(value, multiple=False), *headers.cookies(value.get("cookies"))]
    return Parsed(_status(value["statusCode"]), body, found, encoded=bool(value.get("isBase64Encoded")))


def of_prelude(value: Mapping[str, Any]) -> Parsed:
    """The head of a streamed response.

    Raises:
        Malformed: it is none.
    """
    found = [*headers.collected(value), *headers.cookies(value.get("cookies"))]
    return Parsed(_status(value.get("statusCode")), headers=found)


def sent(parsed: Parsed, passed_on: HeaderList, content_type: bytes) -> Answer:
    """The response with the headers that a front passes on; statuses that have no body get none."""
    body = b"" if parsed.status in (204, 304) else parsed.body
    return Answer(parsed.status, body, headers.completed(passed_on, parsed.content_type or content_type))


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError as error:
        raise Malformed(f"the answer is not JSON: {error}") from error


def _status(value: Any) -> int:
    """A status code: a number, or one as text; 200 where there is none."""
    if value is None:
        return 200
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise Malformed("the statusCode is not a number")
    try:
        status = int(value)
    except ValueError as error:
        raise Malformed("the statusCode is not a number") from error
    if not 200 <= status <= 599:
        raise Malformed(f"the statusCode {status} is not that of an HTTP response")
    return status


def _body(value: Mapping[str, Any], lenient: bool) -> tuple[bytes, bool]:
    body = value.get("body")
    if body is None:
        return b"", False
    if isinstance(body, (dict, list)):
        if not lenient:
            raise Malformed("the body is an object, not text: return json.dumps(body)")
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"), True
    text = body if isinstance(body, str) else json.dumps(body)
    return text.encode("utf-8", "replace"), False
