"""Members of the control plane's requests, read out of JSON and query strings and checked as Lambda checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from firstlight.gateway.asgi import Call, parse_json
from firstlight.gateway.lambda_api.errors import LambdaError, Violation, violated

BODY_LIMIT = 1_048_576
MOST_ITEMS = 10_000

Item = TypeVar("Item")


class Fields:
    """The members of a request's body.

    Args:
        members: by name, as they came.
        within: path of the object they stand in, as violations name it ("routingConfig.").
    """

    def __init__(self, members: Mapping[str, Any], within: str = "") -> None:
        self._members = members
        self._within = within

    @classmethod
    async def of(cls, call: Call) -> Fields:
        """Those of a call; none where it has no body.

        Raises:
            LambdaError: the body is not a JSON object.
        """
        body = await call.body(BODY_LIMIT)
        try:
            value = parse_json(body) if body else {}
        except ValueError as error:
            raise LambdaError("SerializationException", f"Could not parse the request: {error}") from error
        if not isinstance(value, dict):
            raise LambdaError("SerializationException", "The request is not a JSON object")
        return cls(value)

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    def text(self, name: str, longest: int = 256) -> str | None:
        """A string, None where there is none."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise LambdaError("SerializationException", f"{name} is not a string")
        if len(value) > longest:
            constraint = f"Member must have length less than or equal to {longest}"
            raise Violation(violated(value, self._member(name), constraint))
        return value

    def needed(self, name: str, longest: int = 256) -> str:
        """A string that has to be there."""
        value = self.text(name, longest)
        if value is None:
            raise Violation(self._null(name))
        return value

    def whole(self, name: str, lowest: int, highest: int | None = None) -> int | None:
        """A whole number, None where there is none."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise LambdaError("SerializationException", f"{name} is not a whole number")
        check_range(value, self._member(name), lowest, highest)
        return value

    def needed_whole(self, name: str, lowest: int, highest: int | None = None) -> int:
        """A whole number that has to be there."""
        value = self.whole(name, lowest, highest)
        if value is None:
            raise Violation(self._null(name))
        return value

    def numbers(self, name: str) -> dict[str, float]:
        """A map of numbers; empty where there is none."""
        value = self._members.get(name) or {}
        if not isinstance(value, dict):
            raise LambdaError("SerializationException", f"{name} is not a map")
        for number in value.values():
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise LambdaError("SerializationException", f"{name} holds what is not a number")
        return {key: float(number) for key, number in value.items()}

    def within(self, name: str) -> Fields:
        """The members of an object in this one; none where it is not there."""
        value = self._members.get(name) or {}
        if not isinstance(value, dict):
            raise LambdaError("SerializationException", f"{name} is not a structure")
        return Fields(value, f"{self._member(name)}.")

    def _member(self, name: str) -> str:
        return self._within + name[0].lower() + name[1:]

    def _null(self, name: str) -> str:
        return f"Value null at '{self._member(name)}' failed to satisfy constraint: Member must not be null"


def check_range(value: int, member: str, lowest: int, highest: int | None) -> None:
    """Raise for a number that is out of its range."""
    if value < lowest:
        constraint = f"Member must have value greater than or equal to {lowest}"
        raise Violation(violated(value, member, constraint))
    if highest is not None and value > highest:
        constraint = f"Member must have value less than or equal to {highest}"
        raise Violation(violated(value, member, constraint))


def page(
    items: Sequence[Item], query: Mapping[str, str], mark: Callable[[Item], str], most: int = MOST_ITEMS
) -> tuple[list[Item], dict[str, str]]:
    """One page of a list, and ``NextMarker`` where there are more.

    Args:
        query: with ``MaxItems`` and ``Marker``.
        mark: what an item goes by; the marker is that of the last item of the page before.
        most: the most that ``MaxItems`` may be; no page has more than 50 items.

    Raises:
        Violation: MaxItems is not a number, or out of range.
    """
    asked = query.get("MaxItems", "50")
    if not asked.isdecimal() or len(asked) > 9:
        raise Violation(violated(asked, "maxItems", "Member must have value greater than or equal to 1"))
    check_range(int(asked), "maxItems", 1, most)
    marks = [mark(item) for item in items]
    marker = query.get("Marker", "")
    start = marks.index(marker) + 1 if marker in marks else 0
    end = start + min(int(asked), 50)
    more = {"NextMarker": marks[end - 1]} if end < len(items) else {}
    return list(items[start:end]), more
