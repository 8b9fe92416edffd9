"""Tokens as parts of words: which token continues a word, and how tokens read when they are put together.

The rules are those of transformers' TokenClassificationPipeline.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers.decoding import PREFIX, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.types import Tokenizer


class Pieces:
    """What one tokenizer's tokens say about words."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._unknown = next((i for i in map(tokenizer.id, ("[UNK]", "<unk>")) if i is not None), None)
        # Every trained WordPiece vocabulary has an entry for a final s; other kinds have no prefix for inner pieces.
        self._prefixed = any(tokenizer.id(PREFIX + letter) is not None for letter in "sea")

    def look(self, token_id: int, text: str, start: int, end: int) -> tuple[str, bool]:
        """How a token reads, and whether it continues the word before it.

        Args:
            start: offset of its first character in ``text``.
            end: offset after its last one.
        """
        if token_id == self._unknown:
            return text[start:end], False
        word = self._tokenizer.token(token_id)
        if self._prefixed:
            return word, len(word) != end - start
        return word, start > 0 and " " not in text[start - 1 : start + 1]

    def join(self, words: Sequence[str], ids: Sequence[int], between: str) -> str:
        """The text of several tokens or words.

        Args:
            words: as ``look`` or an earlier ``join`` gave them.
            ids: the tokens they consist of.
            between: the piece of the original text they come from, for tokens outside the vocabulary.
        """
        if self._prefixed:
            return joined(words)
        if self._unknown in ids:
            return between
        return self._tokenizer.decode(ids, skip_special=False)
