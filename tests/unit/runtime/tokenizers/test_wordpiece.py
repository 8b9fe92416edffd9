"""The table's tokenizer is the library's, for any text."""

import json
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bert import SPECIAL, describe, vocabulary

from firstlight.build.wordpiece_table import write_table
from firstlight.runtime.errors import BundleError
from firstlight.runtime.tokenizers.wordpiece import WordPiece
from trying import examples

FIELDS = ("ids", "type_ids", "offsets", "word_ids", "sequence_ids")
HARD = [
    "",
    "   \t\n",
    "naïve café ÅNGSTRÖM e\u0301",
    "e\u0323\u0301 a\u0301\u0323",
    "İstanbul ẞ ß ﬁ Ǆ ǅ",
    "中文字符 日本語 한국어 한 각",
    "a\u0000b\u200dc\u00add\ufffde\ufeff",
    "a\u0301\u302e\u1b44b \u302fx\u1b44\u0301",
    "x\U0001d165\U0001d16dy",
    "[MASK][MASK] [SEP]x[CL S] [mask] [[MASK]]",
    "unaffable UNAFFABLEs unaffablez",
    "x" * 20 + " " + "x" * 21,
    "😀👩\u200d👩\u200d👧 it's 20.26",
    "\u3000\u00a0\u2028\u0085\u001c\u001f\u000b",
    "\U0003ffff\U000e0001\U0010ffff\ue000",
    "¿qué? “the” — a…b",
]
odd_characters = ["\u0301", "\u302e", "\u1b44", "é", "가", "中", "\u0000", "!"]
pieces = st.sampled_from([*vocabulary(), *SPECIAL, " ", " ", *odd_characters])
texts = st.one_of(
    st.text(max_size=60),
    st.lists(pieces, max_size=25).map("".join),
    st.lists(st.one_of(pieces, st.characters()), max_size=25).map("".join),
)


def alike(both, *texts):
    ours, theirs = both.ours.encode(*texts), both.library.encode(*texts)
    for field in FIELDS:
        assert getattr(ours, field) == getattr(theirs, field), field
    return ours


@pytest.fixture(params=["uncased", "cased", "odd"])
def both(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("text", HARD)
def test_hard_texts(both, text):
    alike(both, text)
    alike(both, text, "the river")
    alike(both, "the river", text)


@given(texts)
@settings(max_examples=examples(200), deadline=None)
def test_any_text(uncased, cased, odd, text):
    for both in (uncased, cased, odd):
        alike(both, text)


@given(texts, texts)
@settings(max_examples=examples(100), deadline=None)
def test_any_pair(uncased, odd, first, second):
    alike(uncased, first, second)
    alike(odd, first, second)


def test_every_character_between_letters(uncased, cased, odd):
    """Each character of Unicode once: what it becomes, and where its tokens lie."""
    whole = (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    codes = [code for code in whole if code < 0x40000 or code % 997 == 0 or code % 0x10000 > 0xFF00]
    if os.environ.get("FIRSTLIGHT_TESTS") == "inner":  # the whole of it takes seconds
        codes = codes[::16]
    for both, step in ((uncased, 1), (cased, 5), (odd, 7)):
        for start in range(0, len(codes), 4096 * step):
            alike(both, " ".join(f"a{chr(code)}b" for code in codes[start : start + 4096 * step : step]))


def test_embedded_padding_and_truncation_are_ignored(uncased):
    text = "the river " * 20
    assert len(alike(uncased, text).ids) == 42
    assert uncased.ours.count("the") == uncased.library.count("the") == 3


def test_half_a_surrogate_pair_is_a_replacement_character(both):
    ours, theirs = both.ours.encode("a\ud800b c"), both.ours.encode("a\ufffdb c")
    assert (ours.ids, ours.offsets) == (theirs.ids, theirs.offsets)
    alike(both, "a\udfffb \ud800")


def test_long_texts_of_every_kind_agree(uncased):
    for part in ("the unaffable river ", "qxz" * 6 + " ", "中", "[MASK]", "é!", "x" * 19 + " ", "\u1b44"):
        alike(uncased, part * (20_000 // len(part)))


def test_vocabulary(uncased):
    for token, number in vocabulary().items():
        assert uncased.ours.token(number) == token
        assert uncased.ours.id(token) == number
    assert uncased.ours.token(-1) == uncased.library.token(-1) == ""
    assert uncased.ours.token(10**6) == uncased.library.token(10**6) == ""
    assert uncased.ours.id("zzz") is uncased.library.id("zzz") is None
    assert uncased.ours.id("") is uncased.library.id("") is None


@given(st.lists(st.integers(0, len(vocabulary()) + 2), max_size=20), st.booleans())
@settings(max_examples=examples(100), deadline=None)
def test_decode(uncased, ids, skip):
    assert uncased.ours.decode(ids, skip) == uncased.library.decode(ids, skip)


def test_memory_of_words_and_characters_is_bounded(uncased):
    tokenizer = WordPiece(str(uncased.table), str(uncased.file))
    for start in range(0x4E00, 0x4E00 + 20_000, 1000):
        tokenizer.encode("".join(map(chr, range(start, start + 1000))))
    assert len(tokenizer.characters) < 10_000
    assert tokenizer.encode("The rivers").ids == uncased.library.encode("The rivers").ids


def changed(path, value):
    described = describe()
    *folders, last = path
    inner = described
    for folder in folders:
        inner = inner[folder]
    inner[last] = value
    return described


@pytest.mark.parametrize(
    "described",
    [
        changed(["normalizer"], {"type": "Lowercase"}),
        changed(["normalizer"], None),
        changed(["normalizer", "clean_text"], False),
        changed(["pre_tokenizer"], {"type": "Whitespace"}),
        changed(["post_processor"], None),
        changed(["post_processor", "pair"], [{"Sequence": {"id": name, "type_id": 0}} for name in "BA"]),
        changed(["added_tokens", 4, "lstrip"], True),
        changed(["added_tokens", 4, "normalized"], True),
        changed(["added_tokens", 4, "single_word"], True),
        changed(["model", "type"], "BPE"),
    ],
)
def test_what_the_table_cannot_express_is_left_to_the_library(tmp_path, described):
    file, table = tmp_path / "tokenizer.json", tmp_path / "wordpiece.bin"
    file.write_text(json.dumps(described), encoding="utf-8")
    assert write_table(file, table) is False
    assert not table.exists()


@pytest.mark.parametrize("content", [b"", b"FLWP", b"\0" * 4096, None])
def test_a_file_that_is_no_table(tmp_path, uncased, content):
    table = tmp_path / "wordpiece.bin"
    table.write_bytes(uncased.table.read_bytes()[:200] if content is None else content)
    with pytest.raises(BundleError, match=r"wordpiece\.bin"):
        WordPiece(str(table), str(uncased.file))
