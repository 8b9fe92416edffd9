"""A tokenizer for what goes into a model, and a list of tokens for what comes out of it.

Marian's models share one vocabulary between the pieces of two SentencePiece files, or have two; either way the file a
source is cut by does not know all tokens of an answer. Sources: ``transformers.MarianTokenizer``, ``M2M100Tokenizer``.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers import token_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from firstlight.runtime.tokenizers.hf import HfTokenizer
    from firstlight.runtime.tokenizers.pieces import Pieces
    from firstlight.runtime.types import Encoding


class TwoSided:
    """Encodes by one vocabulary and decodes by another.

    Args:
        source: cuts what goes in.
        target: the file of the tokens of answers (see ``target``), None where those have the same vocabulary.
        size: ids from here on are pieces the model has no embedding for; None where there are none.
        unknown: what stands for those.

    Raises:
        BundleError: a file cannot be read.
    """

    def __init__(
        self, source: HfTokenizer | Pieces, target: str | None, size: int | None, unknown: int
    ) -> None:
        self._source = source
        self._bound = size
        self._unknown = unknown
        self._target: Any = None
        if target is not None:
            from firstlight.runtime.tokenizers.target import read

            self._target = read(target)

    @property
    def size(self) -> int:
        """How many ids the source has."""
        return self._source.size

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of the texts; see ``types.Tokenizer.encode``."""
        encoding = self._source.encode(text, pair)
        ids = encoding.ids
        if self._unknown not in ids and (self._bound is None or max(ids, default=0) < self._bound):
            return encoding
        tokens: Sequence[str] = encoding.tokens  # type: ignore[attr-defined]
        spans = zip(ids, tokens, encoding.offsets, strict=True)
        return _Renumbered(
            encoding, [self._known(one, token, text[start:end]) for one, token, (start, end) in spans]
        )

    def rendered(self, text: str) -> list[int]:
        """The tokens of a text that has its special tokens in it already."""
        return self._source.rendered(text)

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""
        return self._source.count(text, pair)

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes a token of an answer stands for."""
        if self._target is None:
            return self._source.bytes_of(token_id)
        return b"" if token_id in self._target.special else token_bytes.of_pieces(self.token(token_id))

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of an answer."""
        if self._target is None:
            return self._source.decode(ids, skip_special)
        left_out = self._target.special if skip_special else ()
        pieces = [token_bytes.of_pieces(self.token(one)) for one in ids if one not in left_out]
        return b"".join(pieces).decode("utf-8", "replace").strip()

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id; empty for an id outside the vocabulary."""
        if self._target is None or token_id < self._target.first:
            return self._source.token(token_id)
        return str(self._target.token(token_id))

    def id(self, token: str) -> int | None:
        """The id of a token of an answer, or else of a source; None when there is none."""
        found: int | None = None if self._target is None else self._target.id(token)
        return self._source.id(token) if found is None else found

    def _known(self, token_id: int, token: str, spelt: str) -> int:
        """The id the model knows a piece by: what a source's own pieces do not cover may still be in its vocabulary.

        Args:
            token: what the tokenizer says of the piece: its letters, or the name of the unknown token (BPE).
            spelt: the letters of the text it comes from.
        """
        if token_id != self._unknown or self._target is None or not self._target.shared:
            return self._unknown if self._bound is not None and token_id >= self._bound else token_id
        found: int | None = self._target.id(token)
        if found is not None and found != self._unknown:
            return found
        if self._unknown not in self._source.rendered(spelt):
            return self._unknown
        found = self._target.id(spelt)
        return self._unknown if found is None else found


class _Renumbered:
    """An encoding with other ids."""

    __slots__ = ("_encoding", "ids")

    def __init__(self, encoding: Encoding, ids: list[int]) -> None:
        self._encoding = encoding
        self.ids = ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoding, name)
