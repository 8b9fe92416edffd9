"""Text out of pieces: whatever the pieces, it is what the whole bytes say."""

from codecs import utf_8_decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.generation.text import AnswerText

LETTERS = "ab é\n🌍"
stops = st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=3)


def whole(answer, endings):
    """The definition, on all bytes at once."""
    text, _ = utf_8_decode(answer, "replace", False)
    found = [(text.find(stop) + len(stop), text.find(stop)) for stop in endings if stop in text]
    return (text[: min(found)[1]], True) if found else (text, False)


@st.composite
def pieces(draw):
    letters = draw(st.text(LETTERS, max_size=40)).encode()
    answer = draw(
        st.one_of(st.just(letters), st.binary(max_size=12).map(lambda junk: letters + junk + letters))
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(answer)), max_size=20)))
    return [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]


@given(pieces(), stops)
def test_pieces_give_what_the_whole_bytes_say(parts, endings):
    text = AnswerText(endings)
    released = [text.add(part) for part in parts]
    expected, stopped = whole(b"".join(parts), endings)
    assert expected.startswith(text.released)
    assert "".join([*released, text.end()]) == text.released == expected
    assert text.stopped == stopped


@given(pieces(), stops, st.integers(0, 20))
def test_what_is_released_is_released_whatever_follows(parts, endings, many):
    before, after = AnswerText(endings), AnswerText(endings)
    for part in parts[:many]:
        before.add(part)
        after.add(part)
    rest = "".join(after.add(part) for part in parts[many:]) + after.end()
    assert before.released + rest == after.released


def test_no_half_character_leaves():
    text = AnswerText()
    for byte in LETTERS.encode():
        assert "\ufffd" not in text.add(bytes([byte]))
    assert text.released == LETTERS


def test_a_character_waits_for_its_last_byte():
    text = AnswerText()
    assert [text.add(bytes([byte])) for byte in "🌍!".encode()] == ["", "", "", "🌍", "!"]
    assert text.add(b"\xf0\x9f") == text.end() == ""


def test_the_beginning_of_a_stop_string_waits():
    text = AnswerText(["\nUser:", "END"])
    assert [text.add(part) for part in (b"one\n", b"Us", b"ed E", b"N", b" \nUser", b": two", b"more")] == [
        "one",
        "",
        "\nUsed ",
        "",
        "EN ",
        "",
        "",
    ]
    assert text.stopped
    assert text.end() == ""


def test_what_waited_is_released_at_the_end():
    text = AnswerText(["aab"])
    assert text.add(b"aaa") == "a"
    assert text.end() == "aa"
    assert text.released == "aaa"


@pytest.mark.parametrize(
    ("endings", "expected"),
    [(["abcd", "bc"], "xa"), (["bc", "abc"], "x"), (["x"], ""), (["cd", "xabcdef"], "xab")],
)
def test_the_stop_string_that_is_complete_first_counts(endings, expected):
    for size in range(1, 7):
        text = AnswerText(endings)
        for start in range(0, 7, size):
            text.add(b"xabcdef"[start : start + size])
        assert text.released == expected
        assert text.stopped
