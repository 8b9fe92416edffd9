"""The file a WordPiece tokenizer is mapped from, and what it says of each character.

The trie is a double array (Aoe 1989): the child of a node by byte b is at ``base[node] + b``, if ``check`` of that
place is b. No two nodes with children share a base, so the byte alone tells whose child it is.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap

from firstlight.runtime import jsons
from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.tokenizers.sections import Sections

MAGIC = 0x50574C46
VERSION = 1
SECTIONS = (
    "facts",
    "base",
    "check",
    "ids",
    "starts",
    "tokens",
    "pages",
    "classes",
    "mapped",
    "places",
    "texts",
)
FORMATS = {"base": "I", "check": "B", "ids": "i", "starts": "I", "pages": "H", "classes": "B", "mapped": "I"}
FORMATS["places"] = "I"

# What becomes of a character: itself, a space, a word of its own, nothing, a text of the table, its Hangul letters,
# or something that depends on its neighbours.
SAME, SPACE, ALONE, DROPPED, MAPPED, HANGUL, LIBRARY = range(7)

_MOST_CHARACTERS = 8192  # remembered at once


class NeedsLibrary(Exception):
    """A text holds a character that the table cannot express; a signal, never seen by a user."""


class Table:
    """The sections of a table file, memory-mapped."""

    def __init__(self, path: str) -> None:
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                view = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
            header = view[: 4 * (3 + len(SECTIONS))].cast("I")
            if header[0] != MAGIC or header[1] != VERSION:
                raise ValueError("it was written by another version or on another kind of machine")
            bounds = header[2:]
            self._parts: dict[str, memoryview] = {
                name: view[bounds[index] : bounds[index + 1]].cast(FORMATS.get(name, "B"))  # type: ignore[call-overload]
                for index, name in enumerate(SECTIONS)
            }
            self.facts: dict[str, Any] = jsons.loads(bytes(self._parts["facts"]))
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise BundleError(f"{path} is not a WordPiece table: {error}", "make the bundle again") from error

    def __getitem__(self, name: str) -> memoryview:
        return self._parts[name]


class Characters(dict[int, str]):
    """What each character becomes, for ``str.translate``: words are separated by spaces in the result."""

    def __init__(self, table: Table | Sections) -> None:
        super().__init__((code, text) for code, text in enumerate(table.facts["ascii"]) if text is not None)
        self._pages, self._classes = table["pages"], table["classes"]
        self._mapped, self._places, self._texts = table["mapped"], table["places"], table["texts"]

    def __missing__(self, code: int) -> str:
        kind = self._classes[self._pages[code >> 8] * 256 + (code & 255)]
        if kind == LIBRARY:
            raise NeedsLibrary
        if kind == MAPPED:
            text = self._text(code)
        else:
            text = (chr(code), " ", f" {chr(code)} ", "")[kind] if kind < MAPPED else hangul(code)
        if len(self) > _MOST_CHARACTERS:
            for known in [other for other in self if other > 127]:
                del self[known]
        self[code] = text
        return text

    def _text(self, code: int) -> str:
        """The text of a mapped character by binary search."""
        low, high, mapped = 0, len(self._mapped) - 1, self._mapped
        while low < high:
            middle = (low + high) // 2
            if mapped[middle] < code:
                low = middle + 1
            else:
                high = middle
        return str(self._texts[self._places[low] : self._places[low + 1]], "utf-8")


def hangul(code: int) -> str:
    """The letters of a Hangul syllable (The Unicode Standard, section 3.12, Arithmetic Decomposition Mapping)."""
    index = code - 0xAC00
    last = index % 28
    return chr(0x1100 + index // 588) + chr(0x1161 + index % 588 // 28) + (chr(0x11A7 + last) if last else "")
