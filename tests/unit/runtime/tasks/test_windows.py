"""Our windows against those that the tokenizers library cuts."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from firstlight.build.wordpiece_table import write_table
from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import windows
from firstlight.runtime.tokenizers.hf import HfTokenizer, encodable
from firstlight.runtime.tokenizers.wordpiece import WordPiece
from trying import examples

WORDS = ["the", "river", "runs", "singing", "[SEP]", "x", "at", "dawn", ",", "[CLS]"]
ODD = [" ", " ", "\u0301", "\u302e", "\u1b44", "é", "가", "中", "\u0000", "!"]
TEXT = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
    st.lists(st.one_of(st.sampled_from([*WORDS, *ODD]), st.characters()), max_size=25).map("".join),
)
FIELDS = ("ids", "type_ids", "offsets", "sequence_ids", "word_ids")
SIDES = {"only_first": 0, "only_second": 1}


@pytest.fixture(scope="module", params=["library", "table"])
def tokenizer(request, tokenizer_file, tmp_path_factory):
    """Both tokenizers: the cuts are those of the library, whoever made the encoding."""
    if request.param == "library":
        return HfTokenizer(str(tokenizer_file))
    table = tmp_path_factory.mktemp("table") / "wordpiece.bin"
    assert write_table(tokenizer_file, table)
    return WordPiece(str(table), str(tokenizer_file))


@pytest.fixture(scope="module")
def library(tokenizer_file):
    """The library's own windows of a text or pair."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))

    def cut(limit, *texts, strategy="longest_first", stride=0, direction="right"):
        tokenizer.enable_truncation(limit, stride=stride, strategy=strategy, direction=direction)
        first = tokenizer.encode(*map(encodable, texts))
        return [lists(window) for window in [first, *first.overflowing]]

    return cut


def lists(encoding):
    return [list(getattr(encoding, field)) for field in FIELDS]


@given(text=TEXT, limit=st.integers(3, 24), side=st.sampled_from(["right", "left"]))
def test_a_text_is_cut_at_one_end(tokenizer, library, text, limit, side):
    ours = windows.shortened(tokenizer.encode(text), limit, side=side)
    assert lists(ours) == library(limit, text, direction=side)[0]


@given(text=TEXT, pair=TEXT, limit=st.integers(4, 24))
@example(text="a " * 12, pair="the " * 8, limit=11)
@settings(max_examples=examples(200))
def test_the_longer_text_gives_way_first(tokenizer, library, text, pair, limit):
    ours = windows.shortened(tokenizer.encode(text, pair), limit)
    assert lists(ours) == library(limit, text, pair)[0]


@given(text=TEXT, pair=TEXT, limit=st.integers(4, 24), strategy=st.sampled_from([*SIDES]))
@settings(max_examples=examples(200))
def test_only_one_of_a_pair_gives_way(tokenizer, library, text, pair, limit, strategy):
    whole = tokenizer.encode(text, pair)
    room = limit - 3 - whole.sequence_ids.count(1 - SIDES[strategy])
    if len(whole.ids) > limit and room <= 0:
        with pytest.raises(InvalidInput):
            windows.shortened(whole, limit, strategy=strategy)
        return
    ours = windows.shortened(whole, limit, strategy=strategy)
    assert lists(ours) == library(limit, text, pair, strategy=strategy)[0]


@given(text=TEXT, limit=st.integers(3, 24), stride=st.integers(0, 8))
@settings(max_examples=examples(200))
def test_windows_of_a_text(tokenizer, library, text, limit, stride):
    whole = tokenizer.encode(text)
    if limit - 2 > stride:
        ours = windows.overlapping(whole, limit, stride)
        assert [lists(window) for window in ours] == library(limit, text, stride=stride)
    elif len(whole.ids) > limit:
        with pytest.raises(InvalidInput):
            windows.overlapping(whole, limit, stride)
    else:  # the library refuses the limits, though the text fits
        assert windows.overlapping(whole, limit, stride) == [whole]


@given(
    text=st.one_of(st.just("where is the ship ?"), TEXT),
    pair=TEXT,
    limit=st.integers(4, 24),
    stride=st.integers(0, 6),
    strategy=st.sampled_from([*SIDES]),
)
@example(text="a", pair="the " * 8, limit=8, stride=2, strategy="only_second")
@settings(max_examples=examples(200))
def test_windows_of_one_of_a_pair(tokenizer, library, text, pair, limit, stride, strategy):
    whole, sequence = tokenizer.encode(text, pair), SIDES[strategy]
    if len(whole.ids) <= limit:
        assert windows.overlapping(whole, limit, stride, sequence) == [whole]
    elif limit - 3 - whole.sequence_ids.count(1 - sequence) <= stride:
        with pytest.raises(InvalidInput):
            windows.overlapping(whole, limit, stride, sequence)
    else:
        ours = windows.overlapping(whole, limit, stride, sequence)
        assert [lists(window) for window in ours] == library(
            limit, text, pair, strategy=strategy, stride=stride
        )


def test_the_rest_is_dropped(tokenizer):
    window = windows.shortened(tokenizer.encode("the river the walk"), 4)
    assert [tokenizer.token(token) for token in window.ids] == ["[CLS]", "the", "river", "[SEP]"]


def test_what_is_left_out_is_noted(tokenizer):
    windows.shortened(tokenizer.encode("the river " * 20), 16)
    assert notes.warnings == ["the text has 42 tokens, the model takes 16: the rest was left out"]


def test_what_fits_is_not_noted(tokenizer):
    encoding = tokenizer.encode("the river")
    assert windows.shortened(encoding, 4) is encoding
    assert windows.overlapping(encoding, 4, 0) == [encoding]
    assert notes.warnings == []


def test_cutting_can_be_refused(tokenizer):
    with pytest.raises(InvalidInput, match="the text has 42 tokens, the model takes 16"):
        windows.shortened(tokenizer.encode("the river " * 20), 16, refuse=True)


def test_a_context_without_tokens_has_no_windows(tokenizer):
    with pytest.raises(InvalidInput):
        windows.overlapping(tokenizer.encode("the river " * 20, " "), 16, 2, sequence=1)
