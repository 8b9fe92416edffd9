"""Between texts and what an encoder-decoder engine speaks: token ids, or tokens, with the special ones it expects."""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import BundleError
from firstlight.runtime.tasks.parts import Room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstlight.runtime.types import JSON, Encoding, Tokenizer

_CLEANED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip
"""``PreTrainedTokenizerBase.clean_up_tokenization`` of transformers."""


class Units:
    """Texts as a model reads and writes them.

    Args:
        tokenizer: of the model.
        speaks: ``ids`` or ``tokens``.
        limit: tokens of a source, special ones included; None is no limit.
        prefix: text before every source.
        around: special tokens before and after a source; None leaves them to the tokenizer.
        begin: tokens every answer begins with.

    Attributes:
        room: how much text fits into a source.
        forced: what an answer begins with, in units.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        speaks: str,
        limit: int | None,
        prefix: str = "",
        around: tuple[Sequence[str], Sequence[str]] | None = None,
        begin: Sequence[str] = (),
    ) -> None:
        self._tokenizer = tokenizer
        self._speaks = speaks
        self._limit = limit
        self._prefix = prefix
        self._last: tuple[str, Encoding] | None = None
        self._around = None if around is None else (self._known(around[0]), self._known(around[1]))
        own = tokenizer.encode(prefix)
        head, tail = self._ends(own)
        spare = (
            1 if prefix else 0
        )  # the last token of the prefix and the first of the text may become other ones
        taken = len(head) + len(tail) + len(_inner(own)) + spare
        self.room = Room(self._offsets, None if limit is None else limit - taken)
        self.forced = self.spoken(self._known(begin))

    def source(self, text: str) -> list[JSON]:
        """A source in units; what does not fit is left out, and a note says so."""
        encoding = self._encoded(self._prefix + text)
        head, tail = self._ends(encoding)
        inner = _inner(encoding)
        total = len(head) + len(inner) + len(tail)
        if self._limit is not None and total > self._limit:
            inner = inner[: max(0, self._limit - len(head) - len(tail))]
            notes.warn(f"the text has {total} tokens, the model takes {self._limit}: the rest was left out")
        return self.spoken([*head, *inner, *tail])

    def spoken(self, ids: Sequence[int]) -> list[JSON]:
        """Token ids in units."""
        return [self._tokenizer.token(one) for one in ids] if self._speaks == "tokens" else list(ids)

    def id(self, unit: JSON) -> int:
        """The token id of a unit; -1 for a token the tokenizer does not have."""
        found = self._tokenizer.id(unit) if self._speaks == "tokens" else unit
        return -1 if found is None else int(found)

    def has(self, *runs: Sequence[int]) -> bool:
        """Whether the tokenizer has all of some token ids."""
        return all(self._tokenizer.token(one) for run in runs for one in run)

    def ids(self, units: Sequence[JSON]) -> list[int]:
        """The token ids of units, without those the tokenizer does not have."""
        return [found for unit in units if (found := self.id(unit)) >= 0]

    def text(self, ids: Sequence[int], clean: bool = False) -> str:
        """The text of token ids, special ones left out."""
        text = self._tokenizer.decode(ids)
        for spaced, closed in _CLEANED if clean else ():
            text = text.replace(spaced, closed)
        return text

    def special(self, token_id: int) -> bool:
        """Whether a token stands for no text."""
        return not self._tokenizer.decode([token_id]) and bool(self._tokenizer.decode([token_id], False))

    def _encoded(self, text: str) -> Encoding:
        """The tokens of a text; most are asked for twice, for their number and as a source."""
        if self._last is None or self._last[0] != text:
            self._last = text, self._tokenizer.encode(text)
        return self._last[1]

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        encoding = self._encoded(text)
        return [
            offset
            for offset, owner in zip(encoding.offsets, encoding.sequence_ids, strict=True)
            if owner is not None
        ]

    def _ends(self, encoding: Encoding) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        if self._around is not None:
            return self._around
        owners, ids = encoding.sequence_ids, encoding.ids
        if 0 not in owners:
            return list(ids), []
        start = owners.index(0)
        return list(ids[:start]), list(ids[start + owners.count(0) :])

    def _known(self, tokens: Sequence[str]) -> list[int]:
        found = []
        for token in tokens:
            number = self._tokenizer.id(token)
            if number is None:
                raise BundleError(f"the tokenizer has no token {token!r}, which bundle.json names")
            found.append(number)
        return found


def _inner(encoding: Encoding) -> list[int]:
    """The tokens of the text itself."""
    return [one for one, owner in zip(encoding.ids, encoding.sequence_ids, strict=True) if owner is not None]
