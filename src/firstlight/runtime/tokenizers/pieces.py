"""SentencePiece's and byte-level tokenizers without a library: the vocabulary is mapped, nothing is parsed.

The file is written when a bundle is made (``build.piece_table``), which compares the two on many texts first. Ids,
offsets, word ids and decoded text are those of ``tokenizers``. A text with a character that acts on its neighbours (a
combining mark, a letter of Hangul, half a flag) is normalised by that library where the normalizer looks at such; a
very long one is left to it whole.
"""

from __future__ import annotations

from firstlight.runtime.errors import BundleError
from firstlight.runtime.tokenizers import token_bytes
from firstlight.runtime.tokenizers.added import Added
from firstlight.runtime.tokenizers.hf import HfTokenizer, encodable
from firstlight.runtime.tokenizers.located import Encoded, Located, Tokens, trimmed
from firstlight.runtime.tokenizers.preparing import Marked, Normal, Whole
from firstlight.runtime.tokenizers.sections import Sections
from firstlight.runtime.tokenizers.table import Characters, NeedsLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from firstlight.runtime.tokenizers.encoding import Part
    from firstlight.runtime.tokenizers.unigram import Cut
    from firstlight.runtime.types import Encoding

_MOST_WORDS = 8192  # remembered at once
_LONGEST_WORD = 64  # that is remembered
LONGEST = 50_000
"""Characters of a text from which on the library is faster, its loading included."""


class Pieces:
    """A tokenizer over a table.

    Args:
        table: the table file.
        path: the tokenizer.json it was made from, for the texts that need the library.

    Raises:
        BundleError: the table cannot be read.
    """

    def __init__(self, table: str, path: str) -> None:
        self._path = path
        self._library: HfTokenizer | None = None
        self._table = opened = Sections(table)
        self._words: dict[str, Cut] = {}
        try:
            facts = opened.facts
            characters = Characters(opened) if len(opened["pages"]) else {}
            self._normal = Normal(facts["steps"], characters, lambda: opened.text("normalizer"))
            self._splitter = _splitter(opened)
            self._early, self._late = Added(facts["added"][0]), Added(facts["added"][1])
            self._twice = bool(facts["added"][1])
            self._names: dict[str, int] = dict(facts["names"])
            self._special = frozenset(facts["special"])
            self._marked = frozenset(facts["marked"])
            self._byte_level: bool = facts["byte_level"]
            self._trim: bool | None = facts["trim"]
            self._model = _model(opened)
            self._lettered: int | None = (
                facts["model"]["unknown"] if facts["model"]["kind"] == "unigram" else None
            )
            self.size: int = facts["size"]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BundleError(
                f"{table} is not a table of tokens: {error!r}", "make the bundle again"
            ) from error

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of the texts; see ``types.Tokenizer.encode``."""
        try:
            texts = [self._tokens(one) for one in ((text,) if pair is None else (text, pair))]
        except NeedsLibrary:
            return self._whole().encode(text, pair)
        template = self._table.facts["single" if pair is None else "pair"]
        return Encoded(list(_filled(template, texts)))

    def rendered(self, text: str) -> list[int]:
        """The tokens of a text that has its special tokens in it already."""
        try:
            return self._tokens(text).ids
        except NeedsLibrary:
            return self._whole().rendered(text)

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""
        return len(self.encode(text, pair).ids)

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of token ids; the rules are those of the library's decoders."""
        rules = self._table.facts["decoder"]
        if rules is None:
            return self._whole().decode(ids, skip_special)
        left_out = self._special if skip_special else frozenset[int]()
        tokens = [token for number in ids if number not in left_out and (token := self.token(number))]
        from firstlight.runtime.tokenizers.piece_decoding import joined  # an encoder never decodes

        return joined(tokens, rules)

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes a token stands for; nothing for a special one and for an id outside the vocabulary."""
        if token_id in self._marked:
            return b""
        token = self.token(token_id)
        return token_bytes.of_bytes(token) if self._byte_level else token_bytes.of_pieces(token)

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id; empty for an id outside the vocabulary."""
        return self._table.token(token_id)

    def id(self, token: str) -> int | None:
        """The id of a vocabulary entry, None when there is none."""
        if token in self._names:
            return self._names[token]
        found = self._table.find(encodable(token)) if token else -1
        return found if found >= 0 else None

    def locate(self, text: str) -> Any:
        """Offsets, word ids and names of the tokens of a text without special tokens around it."""
        found = Located()
        try:
            for start, stop, added in self._early.parts(text):
                if added is None:
                    self._locate(text, start, stop, found)
                else:
                    found.add(found.next, (start, stop), text[start:stop])
        except NeedsLibrary:
            return self._whole().located(text)
        except (IndexError, ValueError) as error:
            raise self._table.damaged(error) from error
        if self._trim is not None:
            found.offsets = trimmed(found.offsets, found.tokens, self._trim)
        return found

    def _tokens(self, text: str) -> Tokens:
        if len(text) > LONGEST:
            raise NeedsLibrary
        clean, ids = encodable(text), []
        try:
            for begin, end, added in self._early.parts(clean):
                if added is not None:
                    ids.append(added)
                else:
                    self._add(self._normal(clean[begin:end]), begin == 0, ids)
        except (IndexError, ValueError) as error:
            raise self._table.damaged(error) from error
        return Tokens(self, clean, ids)

    def _add(self, text: str, first: bool, ids: list[int]) -> None:
        """The ids of a normalised part."""
        known, look_up, words = self._words, self._look_up, self._splitter.words
        for begin, end, added in self._late.parts(text) if self._twice else ((0, len(text), None),):
            if added is not None:
                ids.append(added)
                continue
            for word in words(text[begin:end], first and begin == 0):
                ids += known[word][0] if word in known else look_up(word)[0]

    def _locate(self, text: str, start: int, stop: int, found: Located) -> None:
        """The tokens of a part between added ones."""
        normal, origin = self._normal.tracked(text[start:stop], start)
        for begin, end, added in self._late.parts(normal):
            part, places = normal[begin:end], origin[begin:end]
            if added is not None:
                found.add(found.next, (places[0], places[-1] + 1), part)
                continue
            words = self._splitter.words(part, start == 0 and begin == 0)
            for word, (at, put) in zip(words, self._splitter.places(part, words), strict=True):
                number = found.next
                for one, (first, last) in zip(*self._look_up(word), strict=True):
                    left, right = max(first - put, 0), max(last - 1 - put, 0)
                    name = word[first:last] if one == self._lettered else self.token(one)
                    found.add(number, (places[at + left], places[at + right] + 1), name)

    def _look_up(self, word: str) -> Cut:
        """The ids of one word, and where in it each lies."""
        found = self._words.get(word)
        if found is None:
            found = self._model.cut(word)
            if len(word) <= _LONGEST_WORD:
                if len(self._words) >= _MOST_WORDS:
                    self._words.clear()
                self._words[word] = found
        return found

    def _whole(self) -> HfTokenizer:
        """The library's tokenizer, loaded when first needed."""
        if self._library is None:
            self._library = HfTokenizer(self._path)
        return self._library


def _model(table: Sections) -> Any:
    if table.facts["model"]["kind"] == "unigram":
        from firstlight.runtime.tokenizers.unigram import Unigram

        return Unigram(table)
    from firstlight.runtime.tokenizers.merging import Merges

    return Merges(table)


def _splitter(table: Sections) -> Any:
    facts = dict(table.facts["split"])
    kind = facts.pop("kind")
    if kind == "bytes":
        from firstlight.runtime.tokenizers.byte_words import ByteWords

        return ByteWords(table, **facts)
    return Marked(**facts) if kind == "marked" else Whole()


def _filled(template: Any, texts: list[Tokens]) -> Iterator[Part]:
    """The parts of an encoding: special tokens and the texts, in the template's order."""
    for ids, kind, which in template:
        if which is None:
            yield None, ids, kind, None
        else:
            yield texts[which], texts[which].ids, kind, which
