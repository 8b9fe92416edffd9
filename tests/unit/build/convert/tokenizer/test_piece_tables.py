"""Tables of SentencePiece's and byte-level tokenizers give what the library gives; all families: tests/clients."""

# ruff: noqa: RUF001 - letters that look alike are what tokenizers are compared on
from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import small_pieces
from hypothesis import given, settings
from hypothesis import strategies as st
from piece_sides import HARD, Sides, changed, made, set_to, texts
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors

from firstlight.build import bundle, piece_check, piece_table
from firstlight.build.convert import tokenizer
from firstlight.runtime import tokenizers
from firstlight.runtime.errors import BundleError
from firstlight.runtime.tokenizers.pieces import Pieces
from trying import examples

FEW = ("marian", "t5-bpe-bytes", "prefixed")


@pytest.fixture(scope="module", params=FEW)
def sides(request: pytest.FixtureRequest) -> Sides:
    return Sides(made(request.param))


def test_hard_texts(sides: Sides) -> None:
    for text in HARD:
        sides.alike(text)
    for first, second in pairwise(HARD):
        sides.alike(first, second)


@pytest.mark.parametrize("family", FEW)
def test_any_text(family: str) -> None:
    sides = Sides(made(family))

    @settings(max_examples=examples(40), deadline=None)
    @given(texts, texts)
    def compared(first: str, second: str) -> None:
        sides.alike(first)
        sides.alike(first, second)

    compared()


def test_a_text_that_is_not_very_long_needs_no_tokenizer_of_the_library(sides: Sides) -> None:
    fresh = Pieces(str(sides.table), str(sides.folder / "nowhere.json"))
    for text in (
        "What a lovely day.",
        "Où est la gare ? L’été.",
        "日本語 한국어",
        "a\r\nb",
        "Быстрая лиса 😀",
        "e\u0301 ❤\ufe0f ที่ \u1112\u1161\u11ab",
    ):
        assert fresh.encode(text).ids == sides.library.encode(text).ids
        assert fresh.encode(text).offsets == sides.library.encode(text).offsets
        assert fresh.locate(text).tokens == sides.library.located(text).tokens


SPACED = AddedToken(" spaced", normalized=False, rstrip=True)
LOOSE = AddedToken("loose", single_word=True)


@pytest.mark.parametrize(
    "found",
    [
        changed("marian", set_to("pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="first"))),
        changed("t5", set_to("pre_tokenizer", pre_tokenizers.Whitespace())),
        changed("t5", set_to("normalizer", normalizers.BertNormalizer())),
        changed("t5", set_to("normalizer", normalizers.Replace(" ", ""))),
        changed("t5", lambda found: found.add_tokens([LOOSE])),
        changed("t5", lambda found: found.add_tokens([AddedToken("Ｗｉｄｅ", normalized=True)])),
        changed("t5", lambda found: found.add_tokens([SPACED])),
        changed("gpt2", set_to("pre_tokenizer", pre_tokenizers.ByteLevel(use_regex=False))),
        changed(
            "marian",
            set_to("post_processor", processors.TemplateProcessing("$A $A", "$B $A", [])),
        ),
    ],
)
def test_what_the_table_cannot_express_is_left_to_the_library(tmp_path: Path, found: Tokenizer) -> None:
    found.save(str(tmp_path / "tokenizer.json"))
    kind = piece_table.write_table(tmp_path / "tokenizer.json", tmp_path / "pieces.bin")
    if kind is None:
        assert not (tmp_path / "pieces.bin").exists()
    else:  # what was not refused is expressed
        for text in HARD:
            Sides(tmp_path).alike(text)


def test_a_table_that_says_something_else_is_refused(tmp_path: Path) -> None:
    content = (made("t5") / "pieces.bin").read_bytes()
    other = (made("t5-bpe") / "tokenizer.json").read_text()
    assert piece_check.agree((made("t5") / "tokenizer.json").read_text(), content)
    assert not piece_check.agree(other, content)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_damaged_tables_are_named(tmp_path: Path, family: str) -> None:
    whole = (made(family) / "pieces.bin").read_bytes()
    table, file = tmp_path / "pieces.bin", str(made(family) / "tokenizer.json")
    for size in (0, 3, 50, 200, len(whole) // 2, len(whole) - 1):
        table.write_bytes(whole[:size])
        with pytest.raises(BundleError, match=r"pieces\.bin"):
            Pieces(str(table), file)
    for content in (b"\0" * 4096, whole + b"\0", whole[:12] + b"\xff" * 40 + whole[52:]):
        table.write_bytes(content)
        with pytest.raises(BundleError, match=r"pieces\.bin"):
            Pieces(str(table), file)
    with pytest.raises(BundleError, match=r"nowhere\.bin"):
        Pieces(str(tmp_path / "nowhere.bin"), file)


@settings(max_examples=examples(150), deadline=None)
@given(place=st.floats(0, 1), byte=st.integers(1, 255), family=st.sampled_from(["t5", "t5-bpe", "bart"]))
def test_a_flipped_byte_is_an_answer_or_an_error(place: float, byte: int, family: str) -> None:
    """Hashes are what tells damage; a table that gets past them may be wrong and must not crash."""
    whole = bytearray((made(family) / "pieces.bin").read_bytes())
    at = int(place * (len(whole) - 1))
    whole[at] ^= byte
    table = made(family) / "flipped.bin"
    table.unlink(missing_ok=True)  # the old one may still be mapped
    table.write_bytes(whole)
    with suppress(BundleError):
        ours = Pieces(str(table), str(made(family) / "tokenizer.json"))
        encoding = ours.encode("What a lovely day, L\u2019\u00e9t\u00e9 12 \u4e2d <mask>.")
        assert len(encoding.offsets) == len(encoding.ids)
        ours.decode(encoding.ids)


def loaded(out: Path, settings: Any) -> Any:
    found: Any = type(
        "Found", (), {"tokenizer": settings, "path": str(out), "file": lambda _, name: str(out / name)}
    )
    return tokenizers.load(found())


@pytest.mark.parametrize(("missing", "separate"), [(0, False), (9, False), (0, True)])
def test_answers_of_another_vocabulary_are_mapped_too(tmp_path: Path, missing: int, separate: bool) -> None:
    small_pieces.marian(tmp_path, missing, separate)
    out = tmp_path / "out"
    out.mkdir()
    found = tokenizer.add(tmp_path, out, "marian")
    listed = loaded(out, found.settings)
    content = (out / "target.json").read_bytes()
    meta = {"name": "n", "task": "translation", "engine": "ctranslate2", "precision": "fp32", "labels": [],
            "defaults": {}, "source": {}, "parity": {}, "model": {"file": "none"}}  # fmt: skip
    bundle.write(out, {**meta, "tokenizer": dict(found.settings)})
    settings = json.loads((out / "bundle.json").read_text())["tokenizer"]
    assert (settings["kind"], settings["table"], settings["target"]) == (
        "unigram",
        "pieces.bin",
        "target.bin",
    )
    assert not (out / "target.json").exists()
    mapped = loaded(out, settings)
    for text in (*small_pieces.TEXTS, *HARD):
        assert mapped.encode(text).ids == listed.encode(text).ids, text
        assert mapped.encode(text).offsets == listed.encode(text).offsets, text
    for number in range(-1, len(found.source) + len(found.target) + 2):
        assert mapped.token(number) == listed.token(number)
        assert mapped.bytes_of(number) == listed.bytes_of(number)
        assert mapped.id(mapped.token(number) or "no such") == listed.id(listed.token(number) or "no such")
        assert mapped.decode([number, 5, 3, number]) == listed.decode([number, 5, 3, number])
    for broken in (b"", content, (out / "target.bin").read_bytes()[:300]):
        (out / "target.bin").unlink()
        (out / "target.bin").write_bytes(broken)
        with pytest.raises(BundleError, match=r"target\.bin"):
            loaded(out, settings)
