"""Where the sentences of a text begin and end, by its punctuation, without a model and without a language.

The rules are those of segmenters by rule (Kiss and Strunk 2006, "Unsupervised multilingual sentence boundary
detection", section 2, names the same traps): a period ends a sentence unless it belongs to an abbreviation, an
initial or a number; closing quotes and brackets belong to the sentence they close; scripts that are written without
spaces end a sentence by the mark alone. What is between two sentences is white space and nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HARD = "。！？｡。۔।॥።။៕‼⁇"  # noqa: RUF001 - full-width marks on purpose
"""Marks that end a sentence whatever follows."""

_SOFT = ".!?…؟։⁈⁉"  # noqa: RUF001
_MARKS = _SOFT + HARD
_STOPS = _MARKS + "\n\u2029"
_CLOSING = "\"'”’»›)]}」』）】》〉〕"  # noqa: RUF001
_OPENING = "\"'“‘«‹([{「『（【《〈〔¿¡-–—"  # noqa: RUF001
_BULLETS = "-*•‣◦–—#>"  # noqa: RUF001


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    "dr mr mrs ms mx prof messrs mme mlle mgr dra sra srta dña dhr mw st mt ft vs cf viz eg ie e.g i.e approx ca "
    "apr.j.-c z.b d.h u.a s.o v.a o.ä m.e bzw ggf vgl evtl bspw sog hr fr hrsg p.ex ej"
)
"""Abbreviations that something always follows."""

_TITLES = _words("Sen Rep Gov Gen Col Lt Sgt Capt Cpt Cmdr Adm Rev Hon Pres Dept Str Abs Aufl Bd M")
"""The same, where they begin with a capital."""

_BEFORE_NUMBERS = _words(
    "no nos nr pp pg p fig figs eq eqs sec ch chap vol art bl núm pág al "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
"""Abbreviations where a number follows; without one, words of their own."""

_SELDOM_LAST = _words(
    "etc inc ltd co corp bros jr sr esq ave blvd rd a.m p.m ph.d b.a m.a m.d d.c u.s u.k u.n e.u usw p.s n.b"
)
"""Abbreviations that end a sentence at times: where a word follows that often begins one."""

_BEGINNERS = _words(
    "the a an he she it they we i you this that these those there here his her its their our my your in on at by for "
    "from with to as if when while after before since although though because but and or so yet however then now no "
    "not what who where why how one some many most all both each every"
)
_MONTHS = _words(
    "januar jänner februar märz april mai juni juli august september oktober november dezember "
    "januari februari maart mei augustus december ledna února března"
)
"""A number with a period before one of these is a day (German and its neighbours)."""

_WORD = 24
"""Characters that are looked at for the word before a mark; longer ones are no abbreviations."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order and trimmed; a text without any is one empty sentence."""
    return [text[start:end] for start, end in spans(text)] or [""]


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence begins and ends, in characters; only white space is outside of them.

    A blank line ends a sentence; so does a line break before a bullet or a number of a list. The time taken grows
    with the length of the text alone, whatever it is made of.
    """
    start = 0
    for end in _boundaries(text):
        begin = skip_space(text, start, end)
        stop = end
        while stop > begin and text[stop - 1].isspace():
            stop -= 1
        if begin < stop:
            yield begin, stop
        start = end


def spaceless(letter: str) -> bool:
    """Whether a character is of a script that puts no spaces between words (Chinese, Japanese, Thai and others)."""
    code = ord(letter)
    return (
        (0x2E80 <= code <= 0x9FFF and not 0x3130 <= code <= 0x318F)
        or 0xF900 <= code <= 0xFAFF
        or 0xFF01 <= code <= 0xFF9F
        or 0x20000 <= code <= 0x3FFFF
        or (0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF)
    )


def _boundaries(text: str) -> Iterator[int]:
    """Where sentences end: behind the mark and what closes with it; the end of the text at last."""
    at, size, line = 0, len(text), 0
    while at < size:
        letter = text[at]
        if letter not in _STOPS:
            at += 1
            continue
        if letter in "\n\u2029":
            if letter == "\u2029" or _new_block(text, at + 1):
                yield at + 1
            at += 1
            line = at
            continue
        after = _run(text, at, _MARKS)
        closed = _run(text, after, _CLOSING)
        if _ends(text, line, at, after, closed):
            yield closed
        at = closed
    yield size


def _ends(text: str, line: int, at: int, after: int, closed: int) -> bool:
    """Whether the marks at ``at`` to ``after``, with what closes until ``closed``, end a sentence."""
    if any(mark in HARD for mark in text[at : min(after, at + _WORD)]):
        return True
    if closed == len(text):
        return True
    if not text[closed].isspace():
        return False
    following = _word_after(text, closed)
    trails = text[at] == "…" or text[at : at + 2] == ".."
    if following[:1].islower() and (closed > after or trails):
        return False  # "Really?" he asked. Well... he said.
    return after - at > 1 or text[at] != "." or not _abbreviated(text, line, at, following)


def _abbreviated(text: str, line: int, at: int, following: str) -> bool:
    """Whether the period at ``at`` belongs to the word before it."""
    begin = at
    while begin > max(line, at - _WORD) and not text[begin - 1].isspace():
        begin -= 1
    word = text[begin:at].lstrip(_OPENING)
    lowered = word.lower()
    if lowered in _NEVER_LAST or word in _TITLES:
        return True
    if lowered in _BEFORE_NUMBERS:
        return following[:1].isdigit()
    if lowered in _SELDOM_LAST or (len(word) > 1 and "." in word and word.replace(".", "").isalpha()):
        return following.lower() not in _BEGINNERS or following[:1].islower()
    if len(word) == 1 and word.isupper():
        return word != "I"
    if word.isdigit():
        listed = begin - line < _WORD and not text[line:begin].strip(_BULLETS + " \t")
        return len(word) <= 2 and (listed or following.lower() in _MONTHS)
    return False


def _word_after(text: str, at: int) -> str:
    """The word behind white space, without what opens it; a bounded piece of it."""
    begin = skip_space(text, at, len(text))
    piece = text[begin : begin + _WORD].lstrip(_OPENING)
    end = 0
    while end < len(piece) and piece[end].isalnum():
        end += 1
    return piece[:end]


def after_marker(text: str, start: int, end: int) -> int:
    """Where a stretch of text begins behind the bullet or number of a list, or the signs of a heading.

    Args:
        start: of the stretch; it is returned where the line begins before it or there is no such mark.
    """
    line = text.rfind("\n", max(0, start - _WORD), start) + 1
    if text[line:start].strip() or (line == 0 and start > _WORD):
        return start
    marked = _marker(text, start)
    behind = end if marked is None else skip_space(text, min(marked, end), end)
    return start if behind == end else behind


def _new_block(text: str, at: int) -> bool:
    """Whether a line that begins at ``at`` is blank, or an entry of a list."""
    end = at
    while end < len(text) and text[end] in " \t\r\f\v\u00a0\u3000":
        end += 1
    return end == len(text) or text[end] in "\n\u2029" or _marker(text, end) is not None


def _marker(text: str, at: int) -> int | None:
    """The end of what marks an entry of a list or a heading at the beginning of a line; None where nothing does."""
    end = at
    while end < min(len(text), at + 3) and text[end].isdigit():
        end += 1
    if end > at:
        end += 1
        marked = text[end - 1 : end] in (".", ")")
    else:
        end = _run(text, at, "#") if text[at] == "#" else at + 1
        marked = text[at] in _BULLETS
    return end if marked and text[end : end + 1].isspace() else None


def _run(text: str, at: int, letters: str) -> int:
    while at < len(text) and text[at] in letters:
        at += 1
    return at


def skip_space(text: str, at: int, end: int) -> int:
    """The first place from ``at`` that is not white space; ``end`` where there is none."""
    while at < end and text[at].isspace():
        at += 1
    return at
