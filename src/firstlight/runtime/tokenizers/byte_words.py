r"""The words of byte-level BPE: runs of letters, of numbers, of other characters, and of white space.

The rule is GPT-2's expression (Radford et al. 2019):
``'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+``.
What is a letter comes from the table, where the expression engine of the ``tokenizers`` library was asked.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers.preparing import behind_another

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstlight.runtime.tokenizers.sections import Sections

KINDS = "LNSO"
"""Letter, number, white space, other; a space and an apostrophe stand for themselves."""

_RUNS = {"L": "L", "N": "N", "O": "O'", "'": "O'", "S": "S ", " ": "S "}
_NOTHING = "\0"  # the end of a text
_SHORT, _LONG = frozenset("stmd"), frozenset(("re", "ve", "ll"))
_MOST_CHARACTERS = 8192  # remembered at once


class _Kinds(dict[int, str]):
    """The kind of each character, for ``str.translate``."""

    def __init__(self, table: Sections) -> None:
        super().__init__()
        self._pages, self._kinds = table["kind_pages"], table["kinds"]

    def __missing__(self, code: int) -> str:
        try:
            kind = KINDS[self._kinds[self._pages[code >> 8] * 256 + (code & 255)]]
        except IndexError as error:  # str.translate takes that for a character that stays as it is
            raise ValueError(f"the kind of the character {code:#x} is not one") from error
        if code in (0x20, 0x27):
            kind = chr(code)
        if len(self) > _MOST_CHARACTERS:
            self.clear()
        self[code] = kind
        return kind


class ByteWords:
    """Splits a text.

    Args:
        table: with the kinds of characters.
        prefix: whether a space is put before a text that has none.
    """

    def __init__(self, table: Sections, prefix: bool) -> None:
        self._kinds = _Kinds(table)
        self._prefix = prefix

    def words(self, text: str, first: bool) -> list[str]:  # noqa: ARG002
        """The words of a text, the spaces before them included."""
        if self._prefix and text and text[0] != " ":
            text = f" {text}"
        kinds = text.translate(self._kinds) + _NOTHING
        found, at, size = [], 0, len(text)
        while at < size:
            end = _end(text, kinds, at)
            found.append(text[at:end])
            at = end
        return found

    def places(self, text: str, words: list[str]) -> Iterator[tuple[int, int]]:
        """Where each word begins in the text, and how many characters were put before it."""
        return behind_another(text, words)


def _end(text: str, kinds: str, at: int) -> int:
    """Where the word that begins at a place ends."""
    if kinds[at] == "'":
        if text[at + 1 : at + 2] in _SHORT:
            return at + 2
        if text[at + 1 : at + 3] in _LONG:
            return at + 3
    end = at + 1 if kinds[at] == " " and kinds[at + 1] in "LNO'" else at
    run = _RUNS[kinds[end]]
    while kinds[end] in run:
        end += 1
    if run == _RUNS[" "] and kinds[end] != _NOTHING and end - at > 1:  # the last one goes with what follows
        end -= 1
    return end
