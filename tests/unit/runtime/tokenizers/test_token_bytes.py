from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from firstlight.runtime.tokenizers import token_bytes


@given(st.text())
def test_byte_level_is_undone(text):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert b"".join(token_bytes.of_bytes(token) for token, _ in split) == text.encode()


def test_every_byte_has_one_letter():
    assert sorted(token_bytes._letters().values()) == [bytes([byte]) for byte in range(256)]


def test_what_is_no_letter_of_the_table_stays():
    assert token_bytes.of_bytes("日") == "日".encode()


def test_sentencepiece():
    assert token_bytes.of_pieces("\u2581sun") == b" sun"
    assert token_bytes.of_pieces("<0xE2>") == b"\xe2"
    assert token_bytes.of_pieces("<0xZZ>") == b"<0xZZ>"
    assert token_bytes.of_pieces("<unk>") == b"<unk>"
