"""WordPiece without a library: the vocabulary is a trie in a memory-mapped file, and nothing is parsed to load it.

The file is written when a bundle is made (``build.wordpiece_table``), from the model's own tokenizer.json and with
the ``tokenizers`` library as the authority on what becomes of each character. Ids, offsets and word ids are those
of ``tokenizers``; a text with a character whose effect depends on its neighbours (a combining mark that
normalisation may move and does not remove) is left to that library.
"""

from __future__ import annotations

from firstlight.runtime.tokenizers import encoding
from firstlight.runtime.tokenizers.hf import HfTokenizer, encodable
from firstlight.runtime.tokenizers.table import Characters, NeedsLibrary, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from firstlight.runtime.tokenizers.encoding import Part
    from firstlight.runtime.types import Encoding

_MOST_WORDS = 8192  # remembered at once: 2 MB at most
_Found = tuple[tuple[int, ...], tuple[int, ...]]  # ids, and where in the word each ends, in characters


class Tokens:
    """The tokens of one text: ids now, offsets and word ids when they are asked for."""

    __slots__ = ("_pieces", "_tokenizer", "ids")

    def __init__(
        self, tokenizer: WordPiece, ids: list[int], pieces: list[tuple[str, list[str] | None]]
    ) -> None:
        self._tokenizer = tokenizer
        self.ids = ids
        self._pieces = pieces  # the text in order: (part, its words), or (an added token, None)

    def word_ids(self) -> list[int]:
        """The number of the word each token comes from; an added token is a word."""
        found, number = [], 0
        for _, words in self._pieces:
            if words is None:
                found.append(number)
                number += 1
                continue
            for word in words:
                found += [number] * len(self._tokenizer.look_up(word)[0])
                number += 1
        return found

    def offsets(self) -> list[tuple[int, int]]:
        """Where each token lies in the text, in characters."""
        found, begin = [], 0
        for part, words in self._pieces:
            if words is None:
                found.append((begin, begin + len(part)))
            elif words:
                self._locate(part, words, begin, found)
            begin += len(part)
        return found

    def _locate(self, part: str, words: list[str], begin: int, found: list[tuple[int, int]]) -> None:
        characters, look_up = self._tokenizer.characters, self._tokenizer.look_up
        origin: list[int] = []  # of each character of the translated text
        for index, character in enumerate(part, begin):
            size = len(characters[ord(character)])
            if size == 1:
                origin.append(index)
            else:
                origin += [index] * size
        translated, at = part.translate(characters), 0
        for word in words:
            at = translated.find(word, at)  # only spaces lie before it
            start = at
            for end in look_up(word)[1]:
                found.append((origin[start], origin[at + end - 1] + 1))
                start = at + end
            at = start


class WordPiece:
    """A BERT tokenizer over a table.

    Args:
        table: the table file.
        path: the tokenizer.json it was made from, for the texts that need the library.
    """

    def __init__(self, table: str, path: str) -> None:
        self._path = path
        self._library: HfTokenizer | None = None
        self._table = opened = Table(table)
        facts = opened.facts
        self.characters = Characters(opened)
        self._base, self._check, self._ids = opened["base"], opened["check"], opened["ids"]
        self._more = facts["more"]  # the node below which continuations of a word lie
        self._limit = facts["max_chars"]
        self._unknown = (facts["unk"],)
        self._added: dict[str, int] = dict(facts["added"])
        self._words: dict[str, _Found] = {}

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of the texts; see ``types.Tokenizer.encode``."""
        try:
            texts = [self._tokens(text)] if pair is None else [self._tokens(text), self._tokens(pair)]
        except NeedsLibrary:
            return self._whole().encode(text, pair)
        template = self._table.facts["single" if pair is None else "pair"]
        return encoding.Encoding(list(_filled(template, texts)))

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""
        return len(self.encode(text, pair).ids)

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of token ids; the rules are those of the library's WordPiece decoder."""
        facts = self._table.facts
        rules = facts.get("decoder")
        if rules is None:
            return self._whole().decode(ids, skip_special)
        left_out = facts["special"] if skip_special else ()
        tokens = [token for number in ids if number not in left_out and (token := self.token(number))]
        from firstlight.runtime.tokenizers.decoding import joined  # most tasks never decode

        return joined(tokens, rules["prefix"], rules["cleanup"])

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id; empty for an id outside the vocabulary."""
        starts = self._table["starts"]
        if not 0 <= token_id < len(starts) - 1:
            return ""
        return str(self._table["tokens"][starts[token_id] : starts[token_id + 1]], "utf-8")

    def id(self, token: str) -> int | None:
        """The id of a vocabulary entry, None when there is none."""
        if token in self._added:
            return self._added[token]
        data = encodable(token).encode()
        found, end = self._longest(data, 0, 0)
        return found if found >= 0 and end == len(data) else None

    def look_up(self, word: str) -> _Found:
        """The ids of one word, and where in it each of them ends."""
        found = self._words.get(word)
        if found is None:
            if len(self._words) >= _MOST_WORDS:
                self._words.clear()
            found = self._words[word] = self._split(word)
        return found

    def _tokens(self, text: str) -> Tokens:
        pieces: list[tuple[str, list[str] | None]] = []
        ids: list[int] = []
        known, look_up = self._words, self.look_up
        for part, added in self._parts(text):
            if added is not None:
                ids.append(added)
                pieces.append((part, None))
                continue
            words = part.translate(self.characters).split()
            pieces.append((part, words))
            for word in words:
                ids += known[word][0] if word in known else look_up(word)[0]
        return Tokens(self, ids, pieces)

    def _parts(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The text in parts: what lies between added tokens, and the added tokens (leftmost, then longest)."""
        near = {content: at for content in self._added if (at := text.find(content)) >= 0}
        start = 0
        while near:
            at, content = min(((at, content) for content, at in near.items()), key=_leftmost_longest)
            if at > start:
                yield text[start:at], None
            yield content, self._added[content]
            start = at + len(content)
            for other in [other for other, place in near.items() if place < start]:
                near[other] = text.find(other, start)
                if near[other] < 0:
                    del near[other]
        if start < len(text):
            yield text[start:] if start else text, None

    def _split(self, word: str) -> _Found:
        """Greedy longest match from the left; a word with a rest that matches nothing is unknown as a whole."""
        if len(word) > self._limit:
            return self._unknown, (len(word),)
        data = word.encode("utf-8", "surrogatepass")
        ids, ends, start, node = [], [], 0, 0
        while start < len(data):
            found, start = self._longest(data, start, node)
            if found < 0:
                return self._unknown, (len(word),)
            ids.append(found)
            ends.append(start)
            node = self._more
        if len(data) != len(word):
            ends = [len(data[:end].decode()) for end in ends]
        return tuple(ids), tuple(ends)

    def _longest(self, data: bytes, start: int, node: int) -> tuple[int, int]:
        """The id (-1 for none) and the end of the longest entry below a node that ``data`` has at ``start``."""
        base, check, ids = self._base, self._check, self._ids
        found, end = -1, start
        for at in range(start, len(data)):
            byte = data[at]
            node = base[node] + byte
            if check[node] != byte:
                break
            if ids[node] >= 0:
                found, end = ids[node], at + 1
        return found, end

    def _whole(self) -> HfTokenizer:
        """The library's tokenizer, loaded when first needed."""
        if self._library is None:
            self._library = HfTokenizer(self._path)
        return self._library


def _leftmost_longest(place: tuple[int, str]) -> tuple[int, int]:
    return place[0], -len(place[1])


def _filled(template: Any, texts: list[Tokens]) -> Iterator[Part]:
    """The parts of an encoding: special tokens and the texts, in the template's order."""
    sequence = 0
    for ids, kind in template:
        if ids:
            yield None, ids, kind, None
        else:
            yield texts[sequence], texts[sequence].ids, kind, sequence
            sequence += 1
