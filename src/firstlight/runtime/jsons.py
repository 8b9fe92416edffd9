"""JSON without the ``json`` package, whose import (``re``, ``enum``, ``functools``) costs 6 of a cold start's 50 ms.

The C scanner and encoder that ``json`` itself uses are called directly. Where an interpreter has no such
accelerator, ``json`` is imported. Results and errors are those of ``json.loads`` and ``json.dumps``: an error of
the scanner is ``json.JSONDecodeError``, a ``ValueError``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"


class _Rules:
    """What the C scanner reads from the decoder object it is made with."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
    memo: dict[str, str] = {}  # noqa: RUF012


def _refuse(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _accelerated() -> tuple[Callable[[str], Any], Callable[[Any, bool], str]]:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

    scan = make_scanner(_Rules)  # type: ignore[arg-type]

    def loads(text: str) -> Any:
        start = 0
        while text[start : start + 1] in _SPACE and start < len(text):
            start += 1
        try:
            value, end = scan(text, start)
        except (StopIteration, SystemError):
            # The scanner says nothing of its own: Python 3.11's finds the error class only in an imported ``json``.
            return _slow(text)
        if end != len(text) and text[end:].strip(_SPACE):
            return _slow(text)
        return value

    def dumps(value: Any, ascii_only: bool) -> str:
        if isinstance(value, float):  # json's C encoder takes containers, strings and other scalars alike
            return _number(value)
        text = encode_basestring_ascii if ascii_only else encode_basestring
        encode = make_encoder({}, _refuse, text, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0))

    dumps([{"a": 1.5}], True)
    return loads, dumps


def _number(value: float) -> str:
    if value != value:  # noqa: PLR0124 - the one number that differs from itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def _slow(text: str) -> Any:
    import json

    return json.loads(text)


def _plain() -> tuple[Callable[[str], Any], Callable[[Any, bool], str]]:
    import json

    return json.loads, lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only)


try:
    _loads, _dumps = _accelerated()
except (ImportError, TypeError, AttributeError):  # an interpreter without, or with other, accelerators
    _loads, _dumps = _plain()


def loads(text: str | bytes | bytearray) -> Any:
    """The value of a JSON text; bytes are UTF-8, with or without a byte order mark.

    Raises:
        ValueError: the text is not JSON (``json.JSONDecodeError``) or the bytes are not UTF-8.
    """
    return _loads(text if isinstance(text, str) else str(text, "utf-8").removeprefix("\ufeff"))


def dumps(value: Any, ascii_only: bool = True) -> str:
    """The JSON text of a value, as ``json.dumps`` writes it (ASCII, ``", "`` and ``": "`` between the parts).

    Args:
        ascii_only: whether other characters are escaped; where they are not, halves of surrogate pairs may remain.

    Raises:
        TypeError: a part of the value has no JSON form.
        ValueError: the value contains itself.
    """
    return _dumps(value, ascii_only)
