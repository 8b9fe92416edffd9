"""Reading regular expressions, the part of them that a grammar can say.

Syntax and classes are those of ECMA-262 (which JSON Schema names): characters, ``.``, classes, groups, alternatives,
quantifiers, and ``^`` and ``$`` at the ends of an alternative. What needs memory or a look around is refused by name.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.grammars import gbnf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.generation.grammars.gbnf import Ranges

    Node = tuple[str, Any, int, int | None]
    """A kind (``set``, ``all``, ``any``, ``start``, ``end``), what is in it, and how often it comes."""

_DIGITS = [(0x30, 0x39)]
_WORD = [*_DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
_SPACE = [(9, 13), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)]
_SPACE += [(0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)]
_LINES = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)]
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CLASSES |= {name.upper(): gbnf.others(ranges) for name, ranges in _CLASSES.items()}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11}
_HEX = {"x": 2, "u": 4}
_DEEPEST = 50


class Reader:
    """A recursive descent over one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def refuse(self, what: str) -> InvalidInput:
        shown = self.text if len(self.text) <= 60 else f"{self.text[:60]}..."
        return InvalidInput(
            f"the regular expression {shown!r} {what}",
            "a grammar knows characters, classes, groups, | and quantifiers, and ^ and $ at the ends",
        )

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> bool:
        """Step over a text if it comes next."""
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def whole(self) -> Node:
        node = self.alternatives()
        if self.at < len(self.text):
            raise self.refuse("has a ) too many")
        return node

    def alternatives(self) -> Node:
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        return ("any", options, 1, 1)

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            kind, content, _, _ = self.atom()
            low, high = self.quantifier(kind)
            parts.append((kind, content, low, high))
        return ("all", parts, 1, 1)

    def atom(self) -> Node:
        letter = self.peek()
        self.at += 1
        if letter == "(":
            return self.group()
        if letter == "[":
            return _set(self.character_class())
        if letter == ".":
            return _set(gbnf.others(_LINES))
        if letter in "^$":
            return ("start" if letter == "^" else "end", None, 1, 1)
        if letter in "*+?{":
            raise self.refuse(f"has a {letter} with nothing before it")
        return _set(self.escape() if letter == "\\" else [(ord(letter), ord(letter))])

    def group(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.refuse(f"has more than {_DEEPEST} groups inside each other")
        if self.take("?"):
            named = self.take("P<") or (
                self.peek() == "<" and self.text[self.at + 1 : self.at + 2] not in "=!"
            )
            if named:
                self.at = self.text.find(">", self.at) + 1 or len(self.text)
            elif not self.take(":"):
                raise self.refuse(
                    f"has the group (?{self.text[self.at : self.at + 2]}, which a grammar cannot follow"
                )
        node = self.alternatives()
        if not self.take(")"):
            raise self.refuse("lacks a )")
        self.depth -= 1
        return node

    def quantifier(self, kind: str) -> tuple[int, int | None]:
        letter = self.peek()
        if letter not in ("*", "+", "?", "{"):
            return 1, 1
        if kind in ("start", "end"):
            raise self.refuse(f"repeats {'^' if kind == 'start' else '$'}")
        self.at += 1
        times: tuple[int, int | None]
        times = self.counts() if letter == "{" else {"*": (0, None), "+": (1, None), "?": (0, 1)}[letter]
        if self.take("+"):
            raise self.refuse("has a possessive quantifier, which a grammar cannot follow")
        self.take("?")  # a lazy one takes the same texts
        if self.peek() in ("*", "+", "?", "{"):
            raise self.refuse("has a quantifier of a quantifier")
        return times

    def counts(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : max(end, self.at)].partition(",")
        if end < 0 or not _is_number(low) or (high and not _is_number(high)):
            raise self.refuse("has a { that is no quantifier; write \\{ for the character")
        self.at = end + 1
        most = int(high) if high else None if comma else int(low)
        if most is not None and most < int(low):
            raise self.refuse(f"has the quantifier {{{low},{high}}}, whose numbers are in the wrong order")
        return int(low), most

    def escape(self, in_class: bool = False) -> Ranges:
        letter = self.peek()
        self.at += 1
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter in _CONTROLS or (in_class and letter == "b"):
            number = _CONTROLS.get(letter, 8)
        elif letter in _HEX:
            digits = self.text[self.at : self.at + _HEX[letter]]
            if len(digits) < _HEX[letter] or digits.strip("0123456789abcdefABCDEF"):
                raise self.refuse(f"has a \\{letter} without {_HEX[letter]} hexadecimal digits")
            self.at += len(digits)
            number = int(digits, 16)
        elif not letter or letter.isalnum():
            raise self.refuse(f"has \\{letter}, which a grammar cannot follow")
        else:
            number = ord(letter)
        return [(number, number)]

    def character_class(self) -> Ranges:
        negated = self.take("^")
        found: list[tuple[int, int]] = []
        while not self.take("]"):
            low = self.member()
            single = len(low) == 1 and low[0][0] == low[0][1]
            if single and self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.member()
                if len(high) != 1 or high[0][0] < low[0][0]:
                    raise self.refuse("has a character class with a range in the wrong order")
                low = [(low[0][0], high[0][0])]
            found.extend(low)
        return gbnf.others(found) if negated else found

    def member(self) -> Ranges:
        letter = self.peek()
        if not letter:
            raise self.refuse("lacks a ]")
        self.at += 1
        return self.escape(in_class=True) if letter == "\\" else [(ord(letter), ord(letter))]


def _set(ranges: Ranges) -> Node:
    return ("set", ranges, 1, 1)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9
