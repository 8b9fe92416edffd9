"""The normalizer of the ``tokenizers`` library without a vocabulary: for characters that act on their neighbours.

Which of them make a letter together is a matter of tables and of rules that change with Unicode; the library has them.
Importing it costs a fifth of loading a tokenizer with it, and little memory.
"""

from __future__ import annotations

from firstlight.runtime.errors import MissingExtra
from firstlight.runtime.tokenizers.table import NeedsLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Borrowed:
    """A normalizer.

    Args:
        described: a tokenizer.json that has little but the normalizer.

    Raises:
        MissingExtra: the library is not installed.
        ValueError: the library does not read it.
    """

    def __init__(self, described: str) -> None:
        try:
            from tokenizers import PreTokenizedString, Regex, Tokenizer
        except ImportError as error:
            raise MissingExtra("this text needs tokenizers to be read", "pip install tokenizers") from error
        try:
            self._normalizer: Any = Tokenizer.from_str(described).normalizer
        except Exception as error:  # tokenizers raises bare Exception
            raise ValueError(f"the normalizer is not one that tokenizers reads: {error}") from error
        self._whole: Any = PreTokenizedString
        self._any: Any = Regex(r"[\s\S]")

    def text(self, text: str) -> str:
        """What becomes of a text."""
        return str(self._normalizer.normalize_str(text))

    def tracked(self, text: str, origin: list[int]) -> tuple[str, list[int]]:
        """What becomes of a text, and the place of each character, given those of the text's own.

        Raises:
            NeedsLibrary: a character stands for several.
        """
        whole = self._whole(text)
        whole.normalize(self._normalizer.normalize)
        whole.split(lambda _, part: part.split(self._any, "isolated"))
        letters, places = [], []
        for letter, (start, end), _ in whole.get_splits("original", "char"):
            if not letter:
                continue
            if end != start + 1:
                raise NeedsLibrary
            letters.append(letter)
            places.append(origin[start])
        return "".join(letters), places
