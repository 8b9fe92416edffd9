"""The fields of a request, taken one by one: each is checked, and one that nobody takes is refused."""

from __future__ import annotations

import difflib
from typing import Any

from firstlight.gateway.openai.errors import WrongField

_WORDS = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


class Fields:
    """A request's JSON object. Null counts as not given, as in OpenAI's own API.

    Args:
        body: the object.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self._taken: set[str] = set()

    def take(self, name: str) -> Any:
        """A field's value, whatever it is; None where it is not given."""
        self._taken.add(name)
        return self._body.get(name)

    def text(self, name: str) -> str | None:
        """A string."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise wrong(name, "a string", value)
        return value

    def flag(self, name: str) -> bool:
        """True or false; false where it is not given."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise wrong(name, "a boolean", value)
        return bool(value)

    def whole(self, name: str, low: int, high: int = 2**63 - 1) -> int | None:
        """A whole number from ``low`` to ``high``."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong(name, "an integer", value)
        return int(_within(name, value, low, high))

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number from ``low`` to ``high``."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise wrong(name, "a number", value)
        return _within(name, value, low, high)

    def object(self, name: str) -> dict[str, Any] | None:
        """An object."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise wrong(name, "an object", value)
        return value

    def refuse(self, name: str, why: str, *harmless: Any) -> None:
        """A field whose wish cannot be met.

        Args:
            harmless: values besides null that wish for nothing.
        """
        value = self.take(name)
        if value is not None and value not in harmless:
            raise WrongField(f"{name!r} is not supported: {why}", param=name, code="unsupported_parameter")

    def ignore(self, *names: str) -> None:
        """Fields that change nothing about an answer."""
        self._taken.update(names)

    def end(self) -> None:
        """Nothing more will be taken.

        Raises:
            WrongField: a field is left, which would be a wish that is silently not met.
        """
        for name, value in self._body.items():
            if name not in self._taken and value is not None:
                close = difflib.get_close_matches(name[:100], self._taken, n=1, cutoff=0.75)
                hint = f"did you mean {close[0]!r}?" if close else "leave it out"
                raise WrongField(
                    f"Unrecognized request argument supplied: {name[:100]}",
                    hint,
                    param=name[:100],
                    code="unknown_parameter",
                )


def wrong(param: str, expected: str, value: Any) -> WrongField:
    """The error for a value of another type."""
    return WrongField(
        f"Invalid type for {param!r}: expected {expected}, but got {_WORDS.get(type(value), 'something else')}",
        param=param,
        code="invalid_type",
    )


def _within(name: str, value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        below = value < low
        bound = f">= {low}" if below else f"<= {high}"
        raise WrongField(
            f"Invalid value for {name!r}: expected a value {bound}, but got {str(value)[:40]}",
            param=name,
            code=f"number_{'below_min' if below else 'above_max'}_value",
        )
    return value
