"""WAV files of every kind, and bytes that are none."""

from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.wav import Wav
from talk import wav

TONE = [0.0, 0.25, 0.5, -0.5, -1.0, 0.125]


@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_kinds(bits, kind, channels):
    read = Wav(wav(TONE, 16_000, bits, channels, kind))
    assert (read.rate, read.channels, read.length) == (16_000, channels, len(TONE))
    assert list(read.samples(16_000)) == pytest.approx(TONE, abs=0.01 if bits == 8 else 1e-4)


def test_extensible():
    plain = wav(TONE, bits=24)
    form = plain[20:36]
    long = (
        struct.pack("<H", 0xFFFE)
        + form[2:]
        + struct.pack("<HHI", 22, 24, 4)
        + struct.pack("<H", 1)
        + bytes(14)
    )
    chunks = b"WAVEfmt " + struct.pack("<I", len(long)) + long + b"LIST\3\0\0\0abc\0" + plain[36:]
    content = b"RIFF" + struct.pack("<I", len(chunks)) + chunks
    read = Wav(content)
    assert list(read.samples(16_000)) == pytest.approx(TONE, abs=1e-4)
    again = Wav(read.cut([(1, 4)]))
    assert list(again.samples(16_000)) == pytest.approx(TONE[1:4], abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=5), st.sampled_from([8, 16, 24]))
def test_cuts_are_read_by_others(pieces, bits):
    samples = [((7 * place) % 41 - 20) / 41 for place in range(40)]
    read = Wav(wav(samples, 8_000, bits, 2))
    stretches = [(start, min(40, start + size)) for start, size in pieces if start < 40]
    cut = read.cut(stretches)
    with wave.open(io.BytesIO(cut)) as other:
        assert (other.getnchannels(), other.getframerate(), other.getsampwidth()) == (2, 8_000, bits // 8)
        expected = b"".join(
            wav(samples, 8_000, bits, 2)[44:][a * bits // 4 : b * bits // 4] for a, b in stretches
        )
        assert other.readframes(1000) == expected


@pytest.mark.parametrize(
    ("rate", "wanted"), [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (11_025, 16_000)]
)
def test_rates(rate, wanted):
    slope = [place / 4000 for place in range(4000)]
    found = Wav(wav(slope, rate)).samples(wanted)
    assert len(found) == 4000 * wanted // rate
    for place in range(0, len(found), 97):
        assert found[place] == pytest.approx(place * rate / wanted / 4000, abs=0.002)


def test_a_length_that_is_not_true_is_that_of_a_stream():
    content = bytearray(wav(TONE))
    content[40:44] = b"\xff\xff\xff\xff"
    assert Wav(bytes(content)).length == len(TONE)
    assert Wav(wav(TONE)[:-1]).length == len(TONE) - 1


def test_no_samples_at_all():
    read = Wav(wav([]))
    assert read.length == 0
    assert list(read.samples(16_000)) == []
    assert list(Wav(wav([0.5], 48_000)).samples(16_000)) == []
    assert Wav(read.cut([])).length == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04rest of an MP3", "not a WAV file"),
        (wav(TONE)[:36], "no samples"),
        (b"RIFF\0\0\0\0WAVE", "no samples"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "does not say how"),
        (wav(TONE, kind=6, bits=8), "8 bits of kind 6"),
        (wav(TONE, channels=33), "33 channels"),
        (wav(TONE, rate=100), "100 frames"),
    ],
)
def test_bytes_that_are_none(content, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        Wav(content)
    assert "WAV" in caught.value.hint


@given(st.binary(max_size=80), st.integers(0, 60))
def test_damaged_files_are_read_or_refused(noise, at):
    content = wav(TONE)
    try:
        read = Wav(content[:at] + noise + content[at + len(noise) :])
        assert Wav(read.cut([(0, read.length)])).length == read.length
    except InvalidInput:
        pass
