"""A SentencePiece model as a tokenizer of the ``tokenizers`` library, with the ids a model was trained on.

The ids of most models are not those of the SentencePiece file: fairseq put four tokens in front, Marian has a
vocabulary of its own that the pieces of two files share, and languages come behind. A ``Layout`` says what stands at
each id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from firstlight.build.convert.tokenizer.sentencepiece import (
    BPE,
    CONTROL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    SentencePieces,
)

_SPACE = "\u2581"


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands at each id of a vocabulary.

    Attributes:
        entries: text and score by id.
        unknown: id of what no piece covers.
        special: tokens that are read as such wherever a text has them, and are no part of decoded text.
        added: ids of tokens behind the model's own entries, in the order of their ids.
        before, after: tokens that are put around a text.
        size: ids from here on are pieces the model has no embedding for: they stand for ``unknown``.
        words: whether every kind of white space parts words, also one that the charsmap leaves alone.
    """

    entries: list[tuple[str, float]]
    unknown: int
    special: Sequence[str] = ()
    added: Sequence[str] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    size: int | None = None
    words: bool = False


def of_pieces(model: SentencePieces, layout: Layout) -> Tokenizer:
    """The tokenizer that cuts a text as SentencePiece does and numbers its pieces as the layout says."""
    tokenizer = Tokenizer(cutting(model, layout))
    tokenizer.normalizer = _normalizer(model)
    scheme = "always" if model.dummy_prefix else "never"
    if model.trims:
        whole = any(_SPACE in text.lstrip(_SPACE) for text, _ in layout.entries)
        spaces = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=not whole)
        tokenizer.pre_tokenizer = (
            pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces]) if layout.words else spaces
        )
    last = decoders.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), last]) if model.byte_fallback else last
    own = [piece.text for piece in model.pieces if piece.kind == USER_DEFINED]
    known = {text for text, _ in layout.entries}
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in own if text in known])
    special = [*(text for text in layout.special if text in known), *layout.added]
    tokenizer.add_special_tokens([_special(text) for text in special])
    if layout.before or layout.after:
        tokenizer.post_processor = _around(tokenizer, layout)
    return tokenizer


def _special(text: str) -> AddedToken:
    """A mask stands for a word, the space before it included."""
    return AddedToken(text, special=True, normalized=False, lstrip=text == "<mask>")


def _around(tokenizer: Tokenizer, layout: Layout) -> processors.TemplateProcessing:
    names = dict.fromkeys([*layout.before, *layout.after])
    return processors.TemplateProcessing(
        single=[*layout.before, "$A", *layout.after],
        pair=[*layout.before, "$A", "$B", *layout.after],
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in names],
    )


def cutting(model: SentencePieces, layout: Layout) -> models.Model:
    """What cuts a text into pieces, numbered as the layout says."""
    if model.kind != BPE:
        return models.Unigram(layout.entries, layout.unknown, byte_fallback=model.byte_fallback)
    ids = {text: number for number, (text, _) in enumerate(layout.entries)}
    return models.BPE(
        ids,
        list(merges(model)),
        unk_token=layout.entries[layout.unknown][0],
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
    )


def merges(model: SentencePieces) -> Iterable[tuple[str, str]]:
    """Every two pieces that make a third, those with the best third first.

    SentencePiece joins the neighbours whose union has the best score; which halves it is made of does not matter, so
    each cut of it into two pieces is a merge.
    """
    scores = {
        piece.text: piece.score for piece in model.pieces if piece.kind not in (CONTROL, UNKNOWN, UNUSED)
    }
    ids = {piece.text: number for number, piece in enumerate(model.pieces)}
    found = []
    for text, score in scores.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in scores and right in scores:
                found.append((-score, ids[text], ids[left], ids[right], left, right))
    found.sort()
    return ((left, right) for *_, left, right in found)


def _normalizer(model: SentencePieces) -> normalizers.Normalizer:
    """What SentencePiece does before it cuts.

    ``tokenizers`` looks up whole graphemes of up to five bytes, and of others each character, where SentencePiece takes
    the longest match: letters with two accents of their own would lose one. Composing them first prevents that, for the
    charsmaps that compose.
    """
    steps: list[normalizers.Normalizer] = []
    if model.charsmap:
        charsmap = normalizers.Precompiled(model.charsmap)
        if charsmap.normalize_str("e\u0301") == "\u00e9":
            steps.append(normalizers.NFC())
        steps.append(charsmap)
    if model.trims:
        steps += [normalizers.Replace(Regex("^ +| +$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    else:  # Metaspace would take a text's own first space for the one that is put before it
        steps += [normalizers.Prepend(_SPACE)] if model.dummy_prefix else []
        steps.append(normalizers.Replace(" ", _SPACE))
    return normalizers.Sequence(steps)


def entries(model: SentencePieces) -> list[tuple[str, float]]:
    """The pieces of a file by their own ids; those that may not be used stand under a name no text has."""
    return [
        (f" {number}" if piece.kind == UNUSED else piece.text, piece.score)
        for number, piece in enumerate(model.pieces)
    ]


def numbered(
    model: SentencePieces, ids: Mapping[str, int], special: Iterable[str]
) -> tuple[list[tuple[str, float]], int]:
    """Entries by the ids of a vocabulary of its own, and how many ids that vocabulary has.

    A token of the vocabulary that is no piece of this file can come out of the model but not go in: it stands there
    under a name with a space in it, which no text has once its spaces are replaced. A piece the vocabulary lacks is
    still cut, as SentencePiece would; it comes behind.
    """
    scores = {piece.text: piece.score for piece in model.pieces if piece.kind not in (CONTROL, UNUSED)}
    kept = set(special)
    size = max(ids.values()) + 1
    entries = [(f" {number}", 0.0) for number in range(size)]
    for text, number in ids.items():
        if text in scores or text in kept:
            entries[number] = (text, scores.get(text, 0.0))
    missing = [
        (piece.text, piece.score)
        for piece in model.pieces
        if piece.text not in ids and piece.kind not in (CONTROL, UNKNOWN, UNUSED)
    ]
    return entries + missing, size
