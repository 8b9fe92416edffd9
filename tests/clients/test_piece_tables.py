"""Tables of tokenizers of every family against the library: hard texts, any texts, long ones, every character."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from piece_sides import BOTH, FAMILIES, HARD, Sides, changed, made, set_to, texts
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors

from firstlight.build import piece_table
from firstlight.runtime.tokenizers.pieces import LONGEST, Pieces
from firstlight.runtime.tokenizers.table import NeedsLibrary


@pytest.fixture(scope="module", params=FAMILIES)
def sides(request: pytest.FixtureRequest) -> Sides:
    return Sides(made(request.param))


def test_hard_texts(sides: Sides) -> None:
    for text in HARD:
        sides.alike(text)
    for first, second in pairwise(HARD):
        sides.alike(first, second)


def test_tokens_in_any_order_decode_alike(sides: Sides) -> None:
    any_order(sides)


def any_order(sides: Sides) -> None:
    assert sides.ours._table.facts["decoder"]
    size = sides.ours.size
    assert size == sides.library.size
    for start in range(0, size, 7):
        ids = [(start * 31 + step * 17) % (size + 2) for step in range(9)]
        for skip in (True, False):
            assert sides.ours.decode(ids, skip) == sides.library.decode(ids, skip)
    for number in range(-1, size + 1):
        assert sides.ours.token(number) == sides.library.token(number)
        assert sides.ours.bytes_of(number) == sides.library.bytes_of(number)
        assert sides.ours.id(sides.ours.token(number)) == sides.library.id(sides.ours.token(number))
    assert sides.ours.id("") == sides.library.id("")
    assert sides.ours.id("zq\x00") is None


def test_text_with_special_tokens_in_it(sides: Sides) -> None:
    for text in HARD[::3]:
        assert sides.ours.rendered(text) == sides.library.rendered(text)
        assert sides.ours.count(text) == sides.library.count(text)


def test_half_a_surrogate_pair_is_a_replacement_character(sides: Sides) -> None:
    found, expected = sides.ours.encode("a\ud800b \udfff"), sides.library.encode("a\ud800b \udfff")
    assert (found.ids, found.offsets) == (expected.ids, expected.offsets)
    assert sides.ours.id("\ud800") == sides.library.id("\ud800")


def test_the_same_tokenizer_gives_the_same_bytes(sides: Sides, tmp_path: Path) -> None:
    piece_table._made.cache_clear()
    piece_table.write_table(sides.folder / "tokenizer.json", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == sides.table.read_bytes()


@pytest.mark.parametrize("family", FAMILIES)
def test_any_text(family: str) -> None:
    sides = Sides(made(family))

    @settings(max_examples=200, deadline=None)
    @given(texts, texts)
    def compared(first: str, second: str) -> None:
        sides.alike(first)
        sides.alike(first, second)

    compared()


@pytest.mark.parametrize("family", ["marian", "t5-crossing", "t5-bpe", "bart"])
def test_long_texts(family: str) -> None:
    sides = Sides(made(family))
    for part in ("the lovely day. ", "x", "中", " ", "'s", "<unk>", "<mask> ", "aé½ ", "▁"):
        sides.alike(part * (12_000 // len(part)))
    assert sides.ours._library is None
    sides.alike("a" * (LONGEST + 1))
    assert sides.ours._library is not None


@pytest.mark.parametrize(("family", "part"), [("marian", 3), ("albert", 6), ("prefixed", 6)])
def test_characters_of_all_kinds(family: str, part: int) -> None:
    """One in three or six once: what it becomes, where its tokens lie; those that act on neighbours by themselves."""
    sides = Sides(made(family))
    kept: tuple[list[str], list[str]] = ([], [])
    for character in (chr(code) for code in range(0x40000) if not 0xD800 <= code < 0xE000):
        kept[plain(sides.ours, character)].append(character)
    assert len(kept[1]) > 140_000
    for characters, size in ((kept[1][::part], 2048), (kept[0][::part], 256)):
        for start in range(0, len(characters), size):
            sides.alike(
                " ".join(f"a{character}b{character}" for character in characters[start : start + size])
            )
    assert sides.ours._library is None


def plain(ours: Pieces, character: str) -> bool:
    try:
        character.translate(ours._normal._characters)
    except NeedsLibrary:
        return False
    return True


def bare(found: Tokenizer) -> None:
    """As the tokenizers of Llama are: only the beginning of the whole text gets a mark."""
    found.normalizer = None
    found.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    found.decoder = decoders.Sequence(steps)


NORMAL = AddedToken("day", normalized=True)
MARKED = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


@pytest.mark.parametrize(
    "found",
    [
        changed(
            "t5",
            lambda found: found.add_tokens([NORMAL, AddedToken("a", lstrip=True)]),
        ),
        changed("t5", bare),
        changed("t5-bpe-bytes", bare),
        changed("marian", set_to("pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="never"))),
        changed("t5", set_to("normalizer", MARKED)),
        changed("t5", set_to("normalizer", normalizers.NFKC())),
        changed("bart", set_to("normalizer", normalizers.NFC())),
        changed("bart", set_to("post_processor", processors.ByteLevel(trim_offsets=True))),
        changed("bart", lambda found: found.add_tokens([AddedToken("lovely", lstrip=True, rstrip=True)])),
        changed("gpt2", lambda found: found.add_tokens([AddedToken(" " * size) for size in (2, 3, 8)])),
    ],
)
def test_variants_that_are_expressed(tmp_path: Path, found: Tokenizer) -> None:
    found.save(str(tmp_path / "tokenizer.json"))
    assert piece_table.write_table(tmp_path / "tokenizer.json", tmp_path / "pieces.bin") in BOTH
    sides = Sides(tmp_path)
    any_order(sides)
    for text in (*HARD, "a lovely  day lovely", "daylovely a", "  day</s> day"):
        sides.alike(text)
        sides.alike("x", text)


def test_memory_of_words_is_bounded() -> None:
    sides = Sides(made("t5"))
    for start in range(0, 20_000, 2000):
        sides.ours.encode(" ".join(map(str, range(start, start + 2000))))
    assert len(sides.ours._words) <= 8192
    sides.alike("What a day 123")
