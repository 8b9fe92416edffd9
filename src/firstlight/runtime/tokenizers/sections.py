"""Files of named arrays that are memory-mapped and read in place.

A header says where each array lies: magic, version, length of the file, then start, size and CRC-32 of each, in the
order of ``NAMES``. Sums are looked at where a library would read an array; of a whole file, hashes are the proof
(``runtime.bundle``). All numbers are little-endian, as those of every machine this runs on.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from zlib import crc32

from firstlight.runtime import jsons
from firstlight.runtime.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = 0x4B544C46
VERSION = 1
NAMES = (
    "facts",  # JSON
    "base", "check", "ids",  # the trie of the vocabulary, see ``table``
    "starts", "tokens",  # the text of every id
    "scores",  # of each id, for Unigram
    "lefts", "rights", "ranks", "made",  # merges of BPE: where those of a left half begin, then each of them
    "pages", "classes", "mapped", "places", "texts",  # what becomes of each character, see ``table``
    "normalizer",  # a tokenizer.json with that alone, see ``borrowed``
    "kind_pages", "kinds",  # of each character, for byte-level BPE
)  # fmt: skip
FORMATS = {
    "base": "I", "check": "B", "ids": "i", "starts": "I", "tokens": "B", "scores": "d", "lefts": "I", "rights": "I",
    "ranks": "I", "made": "I", "pages": "H", "classes": "B", "mapped": "I", "places": "I", "texts": "B",
    "kind_pages": "H", "kinds": "B",
}  # fmt: skip
HEADER = 3 + 3 * len(NAMES)


class Sections:
    """The arrays of one file.

    Attributes:
        path: of the file, for messages.
        facts: what is not an array.

    Raises:
        BundleError: the file cannot be read, is cut short or is no such file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                view = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
            header = view[: 4 * HEADER].cast("I")
            if header[0] != MAGIC or header[1] != VERSION:
                raise ValueError("it was written by another version or on another kind of machine")
            if header[2] != len(view):
                raise ValueError(f"it has {len(view)} bytes instead of {header[2]}")
            self._parts: dict[str, memoryview] = {
                name: _part(view, header[3 + 3 * index], header[4 + 3 * index]).cast(FORMATS.get(name, "B"))  # type: ignore[call-overload]
                for index, name in enumerate(NAMES)
            }
            self._sums = dict(zip(NAMES, header[5::3], strict=True))
            self.facts: dict[str, Any] = dict(jsons.loads(self.text("facts")))
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise BundleError(f"{path} is not a table of tokens: {error}", "make the bundle again") from error

    def __getitem__(self, name: str) -> memoryview:
        return self._parts[name]

    def text(self, name: str) -> str:
        """An array that is a text, held against its sum.

        Raises:
            ValueError: it is not what was written.
        """
        part = self._parts[name]
        if crc32(part) != self._sums[name]:
            raise ValueError(f"its {name} are not what was written")
        return str(part, "utf-8")

    def token(self, number: int) -> str:
        """The text of an id; empty for an id outside the vocabulary."""
        starts = self._parts["starts"]
        if not 0 <= number < len(starts) - 1:
            return ""
        try:
            return str(self._parts["tokens"][starts[number] : starts[number + 1]], "utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(error) from error

    def find(self, token: str) -> int:
        """The id of a text that is in the trie; -1 for another."""
        base, check, node = self._parts["base"], self._parts["check"], 0
        try:
            for byte in spelt(token):
                node = base[node] + byte
                if check[node] != byte:
                    return -1
            return int(self._parts["ids"][node])
        except IndexError as error:
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> BundleError:
        """What to raise where an array points outside of another."""
        return BundleError(f"{self.path} is damaged: {error}", "make the bundle again")


def spelt(text: str) -> bytes:
    """The bytes of a text as the trie has them: 0xFF, never used by UTF-8, is zero, which marks free places there."""
    return text.encode("utf-8", "replace").replace(b"\0", b"\xff")


def _part(view: memoryview, start: int, size: int) -> memoryview:
    if start + size > len(view):
        raise ValueError("an array ends behind the end of the file")
    return view[start : start + size]
