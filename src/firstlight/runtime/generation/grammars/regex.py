"""Regular expressions as rules of a grammar, as JSON Schema and text-generation-inference take them."""

from __future__ import annotations

from firstlight.runtime.generation.grammars import gbnf
from firstlight.runtime.generation.grammars.expressions import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from firstlight.runtime.generation.grammars.expressions import Node
    from firstlight.runtime.generation.grammars.gbnf import Ranges

_MOST_NODES = 20_000


class Writer:
    """Expressions as rules.

    Args:
        rules: of the grammar they become part of.
        letter: a symbol or sequence for one character of some ranges, as the text around is written; None where none
            of them can be.
        anything: what stands for any one character.
    """

    def __init__(self, rules: gbnf.Rules, letter: Callable[[Ranges], str | None], anything: str) -> None:
        self._rules = rules
        self._letter = letter
        self._anything = anything
        self._nodes = 0

    def write(self, pattern: str, whole: bool) -> str:
        """The sequence of an expression.

        Args:
            whole: whether the text is all it describes, or contains that.

        Raises:
            InvalidInput: the expression is none, or says what a grammar cannot.
        """
        reader = Reader(pattern)
        _, options, _, _ = reader.whole()
        around = self._rules.repeat("anything", self._anything, 0, None)
        written = []
        for _, parts, _, _ in options:
            inner = list(parts)
            begins = bool(inner) and inner[0][0] == "start"
            inner = inner[begins:]
            ends = bool(inner) and inner[-1][0] == "end"
            inner = inner[: len(inner) - ends]
            body = self._sequence(inner, reader)
            before = "" if whole or begins else f"{around} "
            after = "" if whole or ends else f" {around}"
            written.append(before + body + after)
        return written[0] if len(written) == 1 else self._rules.any_of("pattern", written)

    def _sequence(self, parts: list[Node], reader: Reader) -> str:
        written = [self._node(part, reader) for part in parts]
        return " ".join(part for part in written if part != gbnf.EMPTY) or gbnf.EMPTY

    def _node(self, node: Node, reader: Reader) -> str:
        kind, content, low, high = node
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise reader.refuse("is too complex to follow")
        if kind in ("start", "end"):
            raise reader.refuse(
                f"has {'^' if kind == 'start' else '$'} in its middle, which a grammar cannot follow"
            )
        if kind == "set":
            body = self._letter(content)
            if body is None:
                raise reader.refuse("has a character class without a character")
        else:
            if (low, high) != (1, 1) and _may_be_empty((kind, content, 1, 1)):
                # Repeating nothing would be a rule that begins with itself.
                kind, content, low, high = _filled(kind, content, 0, high)
            options = [self._sequence(parts, reader) for _, parts, _, _ in content]
            if not options:  # nothing but the empty text was repeated
                return gbnf.EMPTY
            body = options[0] if len(options) == 1 else self._rules.any_of("options", options)
        if (low, high) == (1, 1) or body == gbnf.EMPTY:
            return body
        return self._rules.repeat("repeated", body, low, high)


def plain(pattern: str) -> str:
    """The grammar of the texts that an expression describes from beginning to end.

    Raises:
        InvalidInput: the expression is none, or says what a grammar cannot.
    """
    rules = gbnf.Rules()

    def letter(ranges: Ranges) -> str | None:
        found = gbnf.united(ranges)
        return gbnf.letters(found) if found else None

    writer = Writer(rules, letter, gbnf.letters(gbnf.others([])))
    return rules.text(writer.write(pattern, whole=True))


def _may_be_empty(node: Node) -> bool:
    kind, content, low, _ = node
    if low == 0 or kind == "set":
        return low == 0
    if kind in ("start", "end"):
        return True
    return any(map(_may_be_empty, content)) if kind == "any" else all(map(_may_be_empty, content))


def _filled(kind: str, content: Any, low: int, high: int | None) -> Node:
    """The same without the empty text inside, ``low`` to ``high`` times."""
    if kind == "set":
        return (kind, content, low, high)
    if kind == "any":
        return ("any", [one for option in content for one in _filled_options(option)], low, high)
    return ("any", _filled_options((kind, content, 1, 1)), low, high)


def _filled_options(sequence: Node) -> list[Node]:
    """A sequence that may be empty, as those that are not: of each its first part that is there."""
    _, parts, _, _ = sequence
    options: list[Node] = []
    for at, (kind, content, low, high) in enumerate(parts):
        rest = parts[at + 1 :]
        if kind not in ("start", "end") and high != 0:
            least = 1 if _may_be_empty((kind, content, 1, 1)) else max(low, 1)
            options.append(("all", [_filled(kind, content, least, high), *rest], 1, 1))
        if not _may_be_empty((kind, content, low, high)):
            break
    return options
