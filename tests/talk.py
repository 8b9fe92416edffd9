"""Sounds for tests: something a voice detector takes for speech, made of pulses in the resonances of a mouth."""

from __future__ import annotations

import math
import random
import struct
from functools import cache

RATE = 16_000
_MOUTHS = {
    "a": (120, ((700, 90), (1220, 110), (2600, 160))),
    "i": (180, ((300, 60), (2300, 120), (3000, 160))),
}


@cache
def vowel(name: str, seconds: float) -> tuple[float, ...]:
    """A sung vowel, four syllables a second."""
    pitch, resonances = _MOUTHS[name]
    numbers, phase, found = random.Random(0), 0.0, []
    filters = []
    for frequency, width in resonances:
        decay = math.exp(-math.pi * width / RATE)
        filters.append(
            (2 * decay * math.cos(2 * math.pi * frequency / RATE), -decay * decay, 1 - decay, [0.0, 0.0])
        )
    for place in range(int(seconds * RATE)):
        phase += pitch * (1 + 0.12 * math.sin(2 * math.pi * 2.3 * place / RATE)) / RATE
        value = (phase >= 1) + 0.01 * numbers.uniform(-1, 1)
        phase %= 1
        for first, second, gain, before in filters:
            made = gain * value + first * before[0] + second * before[1]
            before[:] = made, before[0]
            value = 3 * made
        found.append(value * (0.65 - 0.5 * math.cos(2 * math.pi * 3.5 * place / RATE)))
    loudest = max(map(abs, found))
    return tuple(value / loudest / 2 for value in found)


def wav(samples, rate=RATE, bits=16, channels=1, kind=1) -> bytes:
    """A WAV file: every channel has the same samples, from -1 to 1."""
    if kind == 3:
        frames = [struct.pack("<f" if bits == 32 else "<d", value) * channels for value in samples]
    elif bits == 8:
        frames = [struct.pack("<B", round(128 + 127 * value)) * channels for value in samples]
    else:
        top = (1 << (bits - 1)) - 1
        frames = [
            round(top * value).to_bytes(bits // 8, "little", signed=True) * channels for value in samples
        ]
    data = b"".join(frames)
    size = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * size, size, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


SILENCE = (0.0,) * RATE


@cache
def talk() -> bytes:
    """A second of silence, a vowel, a second of silence, another vowel, a second of silence."""
    return wav(SILENCE + vowel("a", 1.2) + SILENCE + vowel("i", 1.0) + SILENCE)
