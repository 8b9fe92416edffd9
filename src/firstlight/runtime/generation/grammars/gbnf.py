r"""Writing GBNF, llama.cpp's notation for grammars.

What its parser takes, from ``grammars/README.md`` and ``src/llama-grammar.cpp`` of ggml-org/llama.cpp: names of
letters, digits and dashes; literals and character classes with the escapes ``\xHH``, ``\uHHHH`` and ``\UHHHHHHHH``;
fewer than 2000 repetitions of a symbol, where a group counts for as many as it has rules inside; no rule that begins
with itself.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Ranges = Sequence[tuple[int, int]]

REPETITIONS = 1000
"""Of one symbol, at most; more are written as rules of that many each."""

ENDLESS = 100_000
"""A limit above this many is none: no answer is that long."""

LAST = 0x10FFFF
EMPTY = '""'
_SURROGATES = (0xD800, 0xDFFF)
_MOST_LETTERS = 300_000


class Rules:
    """The rules of one grammar. A *symbol* is the text of a rule's name or of a character class."""

    def __init__(self) -> None:
        self._bodies: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._letters = 0

    def add(self, hint: str, body: str) -> str:
        """A rule of that body; the one there is, where there is one.

        Args:
            hint: what its name begins with.

        Raises:
            InvalidInput: the grammar is larger than any answer is worth.
        """
        if body not in self._names:
            name = self.reserve(hint)
            self.define(name, body)
            self._names[body] = name
        return self._names[body]

    def reserve(self, hint: str) -> str:
        """A new name, whose rule follows by ``define``: for rules that mention themselves."""
        stem = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in hint[:40])
        stem = stem.strip("-") or "rule"
        name, number = stem, 1
        while name in self._bodies:
            number += 1
            name = f"{stem}-{number}"
        self._bodies[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        """The rule of a reserved name."""
        self._bodies[name] = body
        self._letters += len(name) + len(body)
        if self._letters > _MOST_LETTERS:
            raise InvalidInput("the grammar asks for more rules than can be followed", "ask for less")

    def any_of(self, hint: str, options: Iterable[str]) -> str:
        """A symbol for one of several sequences."""
        different = list(dict.fromkeys(options))
        return self.add(hint, " | ".join(different))

    def repeat(self, hint: str, body: str, low: int, high: int | None) -> str:
        """A sequence of ``low`` to ``high`` times the body; None is no limit."""
        unit = body if body in self._bodies or _is_class(body) else self.add(hint, body)
        if high is not None and high > ENDLESS:
            high = None
        if high == 0:
            return EMPTY
        if high is None:
            if low <= 1:
                return unit + ("*" if low == 0 else "+")
            return f"{self._exactly(hint, unit, low)} {unit}*"
        if high <= REPETITIONS:
            return unit + _times(low, high)
        if low == 0:
            return self._up_to(hint, unit, high)
        return f"{self._exactly(hint, unit, low)} {self._up_to(hint, unit, high - low)}".removesuffix(
            f" {EMPTY}"
        )

    def text(self, root: str) -> str:
        """The whole grammar, with ``root`` as what an answer is."""
        rules = "".join(f"{name} ::= {body}\n" for name, body in self._bodies.items())
        return f"root ::= {root}\n{rules}"

    def _exactly(self, hint: str, unit: str, times: int) -> str:
        if times > ENDLESS:
            raise InvalidInput(f"no answer holds {times} repetitions", "ask for fewer")
        many, rest = divmod(times, REPETITIONS)
        parts = []
        if many:
            parts.append(self.add(f"{hint}-many", f"{unit}{{{REPETITIONS}}}") + _times(many, many))
        if rest:
            parts.append(unit + _times(rest, rest))
        return " ".join(parts)

    def _up_to(self, hint: str, unit: str, times: int) -> str:
        """Unambiguous, so that the engine follows two readings at a time and not one for each length."""
        if times == 0:
            return EMPTY
        if times <= REPETITIONS:
            return unit + _times(0, times)
        many = self.add(f"{hint}-many", f"{unit}{{{REPETITIONS}}}")
        few = unit + _times(0, REPETITIONS - 1)
        rest = self._up_to(hint, unit, times - REPETITIONS)
        return self.add(f"{hint}-up-to", f"{many} {rest} | {few}")


def literal(text: str) -> str:
    """The text itself.

    Raises:
        InvalidInput: it holds what no UTF-8 text holds.
    """
    return f'"{"".join(map(_in_literal, text))}"'


def letters(ranges: Ranges) -> str:
    """One character of these ranges, both ends included; there must be one."""
    shown = (_point(low) if low == high else f"{_point(low)}-{_point(high)}" for low, high in ranges)
    return f"[{''.join(shown)}]"


def united(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same characters as sorted ranges that do not touch, without surrogates and NUL, which no text holds."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return _without(_without(out, _SURROGATES), (0, 0))


def others(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """All other characters."""
    left = [(1, LAST)]
    for gone in ranges:
        left = _without(left, gone)
    return _without(left, _SURROGATES)


def _without(ranges: Ranges, gone: tuple[int, int]) -> list[tuple[int, int]]:
    out = []
    for low, high in ranges:
        if low < gone[0]:
            out.append((low, min(high, gone[0] - 1)))
        if high > gone[1]:
            out.append((max(low, gone[1] + 1), high))
    return [(low, high) for low, high in out if low <= high]


def _times(low: int, high: int) -> str:
    if (low, high) == (0, 1):
        return "?"
    if low == high:
        return "" if low == 1 else f"{{{low}}}"
    return f"{{{low},{high}}}"


def _is_class(body: str) -> bool:
    return body[0] == "[" and body[-1] == "]" and " " not in body


def _in_literal(letter: str) -> str:
    number = ord(letter)
    if number == 0 or _SURROGATES[0] <= number <= _SURROGATES[1]:
        raise InvalidInput(f"the grammar asks for U+{number:04X}, which no text holds")
    return _escaped(number) if letter in '"\\' or number < 0x20 or number == 0x7F else letter


def _point(number: int) -> str:
    letter = chr(number)
    return letter if letter.isascii() and letter.isalnum() else _escaped(number)


def _escaped(number: int) -> str:
    if number <= 0xFF:
        return f"\\x{number:02X}"
    return f"\\u{number:04X}" if number <= 0xFFFF else f"\\U{number:08X}"
