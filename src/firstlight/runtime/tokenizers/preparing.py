"""What becomes of a text before it is cut: replacements, then words.

Each step is a list of replacements, (start, end, content) from the left. With the text goes, when it is asked for, the
place in the original of every character: a character that is put in has the place of the last one it replaces, as in
the ``tokenizers`` library.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers.table import NeedsLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from firstlight.runtime.tokenizers.borrowed import Borrowed

    Change = tuple[int, int, str]

# Characters with the property White_Space (Unicode, PropList.txt); str.strip takes others too.
WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
_LINES = {ord(character): "\n" for character in WHITE}


class Normal:
    """The normalizer of a tokenizer.

    Args:
        steps: [name, arguments..] each, see ``_CHANGES``.
        characters: what the step of that name makes of each character.
        described: gives the library's normalizer for that step (see ``borrowed``), for texts that need more.
    """

    def __init__(
        self, steps: list[list[Any]], characters: Mapping[int, str], described: Callable[[], str]
    ) -> None:
        self._steps = steps
        self._characters = characters
        self._described = described
        self._borrowed: Borrowed | None = None

    def __call__(self, text: str) -> str:
        """A text without places."""
        for name, *arguments in self._steps:
            if name == "characters":
                text = self._translated(text, *arguments)
            elif name == "prepend":
                text = arguments[0] + text if text else text
            elif name == "replace":
                text = text.replace(*arguments)
            else:
                changes = _CHANGES[name](text, *arguments)
                text = _changed(text, changes) if changes else text
        return text

    def tracked(self, text: str, begin: int) -> tuple[str, list[int]]:
        """A text that begins at a place of the original, and the place of each character."""
        origin = list(range(begin, begin + len(text)))
        for name, *arguments in self._steps:
            if name == "characters":
                text, origin = self._mapped(text, origin, *arguments)
            elif name == "prepend":
                origin = origin[:1] * len(arguments[0]) + origin
                text = arguments[0] + text if text else text
            else:
                changes = _CHANGES[name](text, *arguments)
                if changes:
                    origin = _moved(origin, changes, -1)
                    text = _changed(text, changes)
        return text, origin

    def _translated(self, text: str, line_end: bool) -> str:
        """What becomes of the characters; ``line_end``: one that has two characters becomes one space."""
        try:
            return (text.replace("\r\n", " ") if line_end else text).translate(self._characters)
        except NeedsLibrary:
            return self._library.text(text)

    def _mapped(self, text: str, origin: list[int], line_end: bool) -> tuple[str, list[int]]:
        changes = _every(text, "\r\n", " ") if line_end else []
        plain = _changed(text, changes)
        try:
            mapped = plain.translate(self._characters)
            sizes = [len(self._characters[ord(character)]) for character in plain]
            if 0 in sizes:  # where a neighbour then belongs is a rule of its own
                raise NeedsLibrary
        except NeedsLibrary:
            return self._library.tracked(text, origin)
        places = _moved(origin, changes, 0)
        found: list[int] = []
        for place, size in zip(places, sizes, strict=True):
            found += [place] * size
        return mapped, found

    @property
    def _library(self) -> Borrowed:
        """The library's normalizer, made when first needed."""
        if self._borrowed is None:
            from firstlight.runtime.tokenizers.borrowed import Borrowed

            self._borrowed = Borrowed(self._described())
        return self._borrowed


def _changed(text: str, changes: list[Change]) -> str:
    parts, at = [], 0
    for start, end, content in changes:
        parts += [text[at:start], content]
        at = end
    return "".join(parts) + text[at:]


def _moved(origin: list[int], changes: list[Change], taken: int) -> list[int]:
    """The places after some changes; a change takes the first place or the last of what it replaces."""
    found: list[int] = []
    at = 0
    for start, end, content in changes:
        found += origin[at:start]
        found += [origin[start:end][taken]] * len(content)
        at = end
    return found + origin[at:]


def _around_lines(text: str) -> list[Change]:
    """Spaces at the beginnings and ends of lines."""
    if "\n" not in text and text[:1] != " " and text[-1:] != " ":
        return []
    found, at = [], 0
    for line in text.split("\n"):
        end, inner = at + len(line), line.strip(" ")
        left = end - len(line.lstrip(" "))
        if left > at:
            found.append((at, left, ""))
        if inner and line[-1] == " ":
            found.append((left + len(inner), end, ""))
        at = end + 1
    return found


def _runs(text: str, content: str) -> list[Change]:
    """Two spaces or more."""
    found, at = [], text.find("  ")
    while at >= 0:
        end = at + 2
        while text[end : end + 1] == " ":
            end += 1
        found.append((at, end, content))
        at = text.find("  ", end)
    return found


def _every(text: str, old: str, new: str) -> list[Change]:
    found, at = [], text.find(old)
    while at >= 0:
        found.append((at, at + len(old), new))
        at = text.find(old, at + len(old))
    return found


def _white(text: str, left: bool, right: bool) -> list[Change]:
    """White space at the ends."""
    start = len(text) - len(text.lstrip(WHITE)) if left else 0
    end = len(text.rstrip(WHITE)) if right else len(text)
    if start >= end and text:
        return [(0, len(text), "")] if left or not end else []
    found = [(0, start, "")] if start else []
    return [*found, (end, len(text), "")] if end < len(text) else found


_CHANGES: dict[str, Callable[..., list[Change]]] = {
    "lines": _around_lines, "runs": _runs, "replace": _every, "strip": _white,
}  # fmt: skip


class Marked:
    """SentencePiece's words: a mark stands for a space, and before a text.

    Args:
        mark: the character.
        scheme: ``always``, ``first`` (only at the beginning of the whole text) or ``never`` put one before a text.
        split: every mark begins a word; otherwise a text is one.
        white: white space of any kind parts words first.
    """

    def __init__(self, mark: str, scheme: str, split: bool, white: bool) -> None:
        self._mark, self._scheme, self._split, self._white = mark, scheme, split, white

    def words(self, text: str, first: bool) -> list[str]:
        """The words of a text; ``first`` for the beginning of the whole."""
        mark, found = self._mark, []
        put = self._scheme == "always" or (self._scheme == "first" and first)
        for part in text.translate(_LINES).split("\n") if self._white else (text,):
            if not part:
                continue
            body = part.replace(" ", mark)
            if put and body[0] != mark:
                body = mark + body
            if self._split:
                head, *others = body.split(mark)
                found += [head] if head else []
                found += [mark + other for other in others]
            else:
                found.append(body)
        return found

    def places(self, text: str, words: list[str]) -> Iterator[tuple[int, int]]:
        """Where each word begins in the text, and how many characters were put before it."""
        if not self._white:
            yield from behind_another(text, words)
            return
        at = 0
        for word in words:
            while text[at] in WHITE:
                at += 1
            begins = at == 0 or text[at - 1] in WHITE
            put = 1 if begins and self._scheme == "always" and text[at] != self._mark else 0
            yield at, put
            at += len(word) - put


class Whole:
    """A text is one word."""

    def words(self, text: str, first: bool) -> list[str]:  # noqa: ARG002
        """The text."""
        return [text] if text else []

    def places(self, text: str, words: list[str]) -> Iterator[tuple[int, int]]:
        """Its beginning."""
        return behind_another(text, words)


def behind_another(text: str, words: list[str]) -> Iterator[tuple[int, int]]:
    """Places of words that are all of a text, but for what was put before the first."""
    put, at = sum(map(len, words)) - len(text), 0
    for word in words:
        yield at, put
        at += len(word) - put
        put = 0
