"""A tokenizer.json for what goes into a model, and a list of tokens for what comes out of it.

Marian's models share one vocabulary between the pieces of two SentencePiece files, or have two; either way the file a
source is cut by does not know all tokens of an answer. Sources: ``transformers.MarianTokenizer``, ``M2M100Tokenizer``.
"""

from __future__ import annotations

import json

from firstlight.runtime.errors import BundleError
from firstlight.runtime.tokenizers import token_bytes
from firstlight.runtime.tokenizers.hf import HfTokenizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from firstlight.runtime.types import Encoding


class TwoSided(HfTokenizer):
    """Encodes by one vocabulary and decodes by another.

    Args:
        path: of tokenizer.json.
        target: of ``{"tokens": [..], "special": [ids], "first": n, "shared": bool}``, None where answers have the same
            vocabulary: their tokens, numbered from ``first``. ``shared``: a source may have any of them too.
        size: ids from here on are pieces the model has no embedding for; None where there are none.
        unknown: what stands for those.

    Raises:
        BundleError: a file cannot be read.
    """

    def __init__(self, path: str, target: str | None, size: int | None, unknown: int) -> None:
        super().__init__(path)
        self._bound = size
        self._unknown = unknown
        self._tokens: list[str] | None = None
        self._first = 0
        self._shared = False
        self._ids: dict[str, int] | None = None
        if target is not None:
            self._read(target)

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of the texts; see ``types.Tokenizer.encode``."""
        encoding = super().encode(text, pair)
        found: Any = encoding
        ids = found.ids
        if self._unknown not in ids and (self._bound is None or max(ids, default=0) < self._bound):
            return encoding
        spans = zip(ids, found.tokens, found.offsets, strict=True)
        return _Renumbered(
            found, [self._known(one, token, text[start:end]) for one, token, (start, end) in spans]
        )

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes a token of an answer stands for."""
        if self._tokens is None:
            return super().bytes_of(token_id)
        return b"" if token_id in (self._special or ()) else token_bytes.of_pieces(self.token(token_id))

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of an answer."""
        if self._tokens is None:
            return super().decode(ids, skip_special)
        left_out = self._special if skip_special and self._special else ()
        pieces = [token_bytes.of_pieces(self.token(one)) for one in ids if one not in left_out]
        return b"".join(pieces).decode("utf-8", "replace").strip()

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id; empty for an id outside the vocabulary."""
        if self._tokens is None or token_id < self._first:
            return super().token(token_id)
        return self._tokens[token_id - self._first] if token_id - self._first < len(self._tokens) else ""

    def id(self, token: str) -> int | None:
        """The id of a token of an answer, or else of a source; None when there is none."""
        found = self._numbers().get(token)
        return super().id(token) if found is None else found

    def _known(self, token_id: int, token: str, spelt: str) -> int:
        """The id the model knows a piece by: what a source's own pieces do not cover may still be in its vocabulary.

        Args:
            token: what the library says of the piece: its letters, or the name of the unknown token (BPE).
            spelt: the letters of the text it comes from.
        """
        if token_id != self._unknown or not self._shared:
            return self._unknown if self._bound is not None and token_id >= self._bound else token_id
        numbers = self._numbers()
        if numbers.get(token, self._unknown) != self._unknown:
            return numbers[token]
        alone = self._tokenizer.encode(spelt, add_special_tokens=False).ids
        return numbers.get(spelt, self._unknown) if self._unknown in alone else self._unknown

    def _numbers(self) -> dict[str, int]:
        if self._ids is None:
            self._ids = {token: number for number, token in enumerate(self._tokens or (), self._first)}
        return self._ids

    def _read(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123
                found = json.load(file)
            self._tokens = [str(token) for token in found["tokens"]]
            self._special = {int(one) for one in found["special"]}
            self._first = int(found["first"])
            self._shared = found["shared"] is True
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BundleError(f"{path} is not a list of tokens: {error}", "make the bundle again") from error


class _Renumbered:
    """An encoding with other ids."""

    __slots__ = ("_encoding", "ids")

    def __init__(self, encoding: Encoding, ids: list[int]) -> None:
        self._encoding = encoding
        self.ids = ids

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoding, name)
