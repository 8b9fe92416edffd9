"""The tokens of answers, where they are not the tokenizer's own: mapped, or read from JSON in older bundles."""

from __future__ import annotations

from firstlight.runtime import jsons
from firstlight.runtime.errors import BundleError
from firstlight.runtime.tokenizers.sections import Sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_JSON = ".json"


def read(path: str) -> MappedTarget | ListedTarget:
    """The tokens in a file.

    Raises:
        BundleError: it cannot be read, or is of another kind.
    """
    return ListedTarget(path) if path.endswith(_JSON) else MappedTarget(path)


class MappedTarget:
    """Tokens of a table.

    Attributes:
        first: the id of the first.
        shared: a source may have any of them too.
        special: ids of those that are no part of decoded text.
    """

    def __init__(self, path: str) -> None:
        self._table = Sections(path)
        self.first, self.shared, self.special = _facts(self._table.facts, path)

    def token(self, number: int) -> str:
        """The token of an id; empty where there is none."""
        return self._table.token(number - self.first)

    def id(self, token: str) -> int | None:
        """The id of a token."""
        found = self._table.find(token) if token else -1
        return found if found >= 0 else None


class ListedTarget:
    """Tokens of ``{"tokens": [..], "special": [ids], "first": n, "shared": bool}``; see ``MappedTarget``."""

    def __init__(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                found = jsons.loads(file.read())
            self._tokens = [str(token) for token in found["tokens"]]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BundleError(f"{path} is not a list of tokens: {error}", "make the bundle again") from error
        self.first, self.shared, self.special = _facts(found, path)
        self._ids: dict[str, int] | None = None

    def token(self, number: int) -> str:
        """The token of an id; empty where there is none."""
        at = number - self.first
        return self._tokens[at] if 0 <= at < len(self._tokens) else ""

    def id(self, token: str) -> int | None:
        """The id of a token."""
        if self._ids is None:
            self._ids = {one: number for number, one in enumerate(self._tokens, self.first)}
        return self._ids.get(token)


def _facts(found: Any, path: str) -> tuple[int, bool, frozenset[int]]:
    try:
        return int(found["first"]), found["shared"] is True, frozenset(map(int, found["special"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path} is not a list of tokens: {error}", "make the bundle again") from error
