"""The continuation token: what was written is read, and nothing else."""

import binascii
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.continuation import VERSION, Continuation, digest, digest_of_numbers

MODEL, PROMPT, WISHES = digest("model"), digest_of_numbers([1, 2, 3]), digest("wishes")
tokens = st.lists(st.integers(0, 300_000), max_size=60)
numbers = st.integers(0, 2**63 - 1)


def made(ids=(5, 300, 70_000), seed=7, begun=1_700_000_000):
    return Continuation(MODEL, PROMPT, WISHES, seed, begun, ids)


def sealed(plain, version=VERSION):
    """A token as ``write`` seals it, of any content."""
    packed = zlib.compress(plain)
    raw = bytes([version]) + digest(bytes([version]) + packed) + packed
    return binascii.b2a_base64(raw, newline=False).decode().translate(str.maketrans("+/", "-_")).rstrip("=")


@given(tokens, numbers, numbers)
def test_what_was_written_is_read(ids, seed, begun):
    text = made(ids, seed, begun).write()
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    read = Continuation.read(text, 60)
    assert (read.tokens, read.seed, read.begun) == (ids, seed, begun)
    read.check(MODEL, PROMPT, WISHES)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ((digest("x"), PROMPT, WISHES), "belongs to another model"),
        ((MODEL, digest("x"), WISHES), "belongs to another prompt"),
        ((MODEL, PROMPT, digest("x")), "belongs to other parameters"),
    ],
)
def test_it_belongs_to_one_request(other, word):
    with pytest.raises(InvalidInput, match=word):
        Continuation.read(made().write(), 10).check(*other)


@given(
    st.one_of(st.text(max_size=80), st.binary(max_size=80).map(lambda raw: binascii.b2a_base64(raw).decode()))
)
@example("")
@example("A")
@example("é")
@example("AQ==")
def test_garbage_is_refused(text):
    with pytest.raises(InvalidInput, match="continuation"):
        Continuation.read(text, 60)


@given(st.data())
def test_a_changed_one_is_refused(data):
    text = made().write()
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz0189-_= \n.").filter(lambda letter: letter != text[at]))
    changed = data.draw(
        st.sampled_from(
            [text[:at] + letter + text[at + 1 :], text[:at], text[:at] + text[at + 1 :], text + letter]
        )
    )
    with pytest.raises(InvalidInput, match="continuation"):
        Continuation.read(changed, 60)


def test_the_same_content_packed_in_another_way_is_refused():
    head, packed = parts(made().write())
    other = zlib.compress(zlib.decompress(packed), 0)
    assert other != packed
    text = binascii.b2a_base64(head + other, newline=False).decode().translate(str.maketrans("+/", "-_"))
    with pytest.raises(InvalidInput, match="continuation"):
        Continuation.read(text.rstrip("="), 60)


def parts(text):
    """Version and checksum of a token, and what is packed."""
    raw = binascii.a2b_base64(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4))
    return raw[:9], raw[9:]


@given(st.binary(max_size=60))
def test_a_sealed_one_of_any_content_is_read_or_refused(content):
    plain = MODEL + PROMPT + WISHES + content
    try:
        read = Continuation.read(sealed(plain), 60)
    except InvalidInput:
        return
    assert all(0 <= number < 2**63 for number in [read.seed, read.begun, *read.tokens])


@pytest.mark.parametrize("plain", [b"", MODEL, MODEL + PROMPT + WISHES, MODEL + PROMPT + WISHES + b"\x01"])
def test_a_sealed_one_that_lacks_a_part_is_refused(plain):
    with pytest.raises(InvalidInput, match="not one that an answer came with"):
        Continuation.read(sealed(plain), 60)


def test_another_version_is_named():
    with pytest.raises(InvalidInput, match="another version"):
        Continuation.read(sealed(MODEL + PROMPT + WISHES + b"\0\0", version=9), 60)


def test_one_that_is_too_long_is_refused_before_it_is_unpacked():
    text = made(range(1000, 1100)).write()
    assert Continuation.read(text, 100).tokens == list(range(1000, 1100))
    with pytest.raises(InvalidInput, match="more than the 99 tokens"):
        Continuation.read(text, 99)
    with pytest.raises(InvalidInput, match="more than the 99 tokens"):
        Continuation.read("A" * 100_000, 99)
    bomb = sealed(MODEL + PROMPT + WISHES + bytes(10_000_000))
    assert len(bomb) < 20_000
    with pytest.raises(InvalidInput, match="not one that an answer came with"):
        Continuation.read(bomb, 4096)


def test_it_is_compact():
    assert len(made(range(0, 30_000, 30)).write()) < 3_000
