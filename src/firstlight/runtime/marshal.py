"""Bytes of an event to what a handler is given, and what it returns to bytes."""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def event(payload: bytes, content_type: str) -> Any:
    """The event: JSON is parsed, anything else is handed over as bytes (as Lambda's Python runtime does).

    Raises:
        Fault: ``Runtime.UnmarshalError``.
    """
    if not content_type.startswith("application/json"):
        return payload
    try:
        return jsons.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def body(result: Any) -> tuple[bytes, str]:
    """The bytes of an answer and their media type; text is UTF-8, not escaped, as Lambda has it since Python 3.12.

    Raises:
        Fault: ``Runtime.MarshalError``.
    """
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return _encoded(result), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}", _advice(error)) from None


def _advice(error: Exception) -> str:
    kind = str(error).partition("Object of type ")[2].partition(" ")[0]
    if kind == "coroutine":
        return "handler is called, not awaited: make it a plain def, and run what is async with asyncio.run"
    if kind in ("ndarray", "Tensor"):
        return "turn it into lists with .tolist()"
    if kind.startswith(("float", "int", "uint", "bool")):
        return f"turn each {kind} into a plain number with .item()"
    return ""


def _encoded(result: Any) -> bytes:
    try:
        return jsons.dumps(result, ascii_only=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8, but it has an escape
        return jsons.dumps(result).encode()
    except TypeError:
        return _with_decimals(result)


class _Digits(str):
    """A number that is already text."""

    __slots__ = ()


def _with_decimals(result: Any) -> bytes:
    """JSON with ``Decimal`` values written digit for digit: boto3 reads DynamoDB's numbers as such."""
    from decimal import Decimal
    from json.encoder import JSONEncoder, _make_iterencode, encode_basestring, encode_basestring_ascii  # type: ignore[attr-defined]

    def default(value: Any) -> Any:
        if not isinstance(value, Decimal):
            return JSONEncoder().default(value)
        return _Digits(value) if value.is_finite() else float(value)

    def written(quoted: Callable[[str], str]) -> str:
        def text(value: str) -> str:
            return str(value) if isinstance(value, _Digits) else quoted(value)

        write = _make_iterencode({}, default, text, None, float.__repr__, ": ", ", ", False, False, False)
        return "".join(write(result, 0))

    try:
        return written(encode_basestring).encode()
    except UnicodeEncodeError:
        return written(encode_basestring_ascii).encode()
