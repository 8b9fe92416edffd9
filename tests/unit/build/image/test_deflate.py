from __future__ import annotations

import hashlib
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.build.image import deflate, gzips


def inflated(text: bytes, before: bytes = b"") -> bytes:
    stream = zlib.decompressobj(-15, zdict=before) if before else zlib.decompressobj(-15)
    return stream.decompress(deflate.piece(text, before) + deflate.END) + stream.flush()


def words(count: int, seed: int = 7) -> bytes:
    """Text with repetitions near and far, by a generator whose numbers Python never changes."""
    some = random.Random(seed)
    known = [bytes(some.choices(b"etaoin shrdlu", k=some.randrange(1, 12))) for _ in range(300)]
    return b" ".join(known[int(some.random() ** 2 * 300)] for _ in range(count))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_goes_in_comes_out(text: bytes, before: bytes) -> None:
    assert inflated(text, before) == text


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 700)), max_size=12))
def test_runs_come_out_too(runs: list[tuple[int, int]]) -> None:
    text = b"".join(bytes([value]) * count for value, count in runs)
    assert inflated(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(words(8_000), id="words"),
        pytest.param(random.Random(1).randbytes(70_000), id="noise that is stored"),
        pytest.param(words(4000) + random.Random(1).randbytes(90_000) + words(4000), id="noise in words"),
        pytest.param(bytes(range(256)) * 40, id="every byte"),
        pytest.param(bytes(40_000), id="zeros"),
    ],
)
def test_texts_of_many_kinds(text: bytes) -> None:
    assert inflated(text) == text


def test_matches_reach_back_to_the_far_end_of_the_window() -> None:
    lead = random.Random(3).randbytes(1000)
    text = lead + random.Random(4).randbytes(deflate.WINDOW - 1000) + lead
    assert inflated(text) == text
    assert len(deflate.piece(text, b"")) < len(text) - 900
    assert len(deflate.piece(lead, lead)) < 60


def test_what_repeats_nowhere_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights: digits that come up more or less often, and no words."""
    monkeypatch.setattr(deflate, "PIECE", 1 << 16)
    some = random.Random(6)
    text = bytes(int(some.gauss(128, 9)) for _ in range(deflate.PIECE))
    assert inflated(text) == text
    assert len(deflate.piece(text, b"")) < 0.7 * len(text)
    text = text[: deflate.PIECE - 40_000] + words(10_000)[:40_000]
    assert inflated(text) == text


def test_it_is_not_much_larger_than_zlibs() -> None:
    text = words(10_000)
    assert len(deflate.piece(text, b"")) < 1.15 * len(zlib.compress(text, 6))


def test_the_bytes_are_the_same_everywhere() -> None:
    """Written down once; another compressor, processor or Python must not change them. Layers would be others."""
    text = words(10_000) + random.Random(5).randbytes(70_000) + bytes(9000)
    assert hashlib.sha256(deflate.piece(text, b"before")).hexdigest() == GOLDEN_PIECE


def test_threads_and_parts_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "PIECE", 1 << 16)
    text = words(14_000) + words(12_000, seed=8)
    assert len(text) > deflate.PIECE + deflate.WINDOW
    one = gzips.write([text], tmp_path / "one", threads=1)
    some = random.Random(2)
    cuts = sorted(some.randrange(len(text)) for _ in range(20))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert gzips.write(parts, tmp_path / "two", threads=3) == one
    made = (tmp_path / "one").read_bytes()
    assert (tmp_path / "two").read_bytes() == made
    stream = zlib.decompressobj(31)
    assert stream.decompress(made) == text
    assert (stream.eof, stream.unused_data) == (True, b"")  # one member
    assert one.digest == f"sha256:{hashlib.sha256(made).hexdigest()}"
    assert one.diff_id == f"sha256:{hashlib.sha256(text).hexdigest()}"
    assert (one.size, one.unpacked) == (len(made), len(text))


def test_an_empty_stream(tmp_path: Path) -> None:
    gzips.write([], tmp_path / "empty")
    assert zlib.decompress((tmp_path / "empty").read_bytes(), 31) == b""


GOLDEN_PIECE = "cf1b37664af9a061fb7dc13e7fa2ac3a525e69922d73b3ce27e34995ceec4c55"
