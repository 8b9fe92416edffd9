"""WAV files: what is in one, its samples as numbers, and another file of some of its stretches.

Format: RIFF chunks; ``fmt `` says how the samples of ``data`` are kept ("Multimedia Programming Interface and Data
Specifications 1.0", 1991, and Microsoft's WAVEFORMATEXTENSIBLE). PCM of 8, 16, 24 and 32 bits and floats of 32 and
64 bits are read.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, pairwise
from struct import error as StructError  # noqa: N812
from struct import pack, unpack_from

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {
    (_PCM, 8): "B",
    (_PCM, 16): "h",
    (_PCM, 24): "i",
    (_PCM, 32): "i",
    (_FLOAT, 32): "f",
    (_FLOAT, 64): "d",
}
_HINT = "send a WAV file: PCM of 8, 16, 24 or 32 bits, or floats"
_SLOWEST, _FASTEST, _CHANNELS = 4_000, 384_000, 32


class Wav:
    """The samples of a WAV file.

    Args:
        content: the file.

    Attributes:
        rate: frames a second.
        channels: samples a frame.
        length: frames.

    Raises:
        InvalidInput: it is no WAV file, or of a kind that is not read.
    """

    def __init__(self, content: bytes) -> None:
        self._format, self._data = _chunks(content)
        try:
            kind, self.channels, self.rate, _, _, self._bits = unpack_from("<HHIIHH", self._format)
        except StructError:
            raise InvalidInput("the WAV file does not say how its samples are kept", _HINT) from None
        if kind == _EXTENSIBLE and len(self._format) >= 26:
            (kind,) = unpack_from("<H", self._format, 24)
        self._kind = _KINDS.get((kind, self._bits), "")
        if not self._kind:
            message = f"the WAV file keeps its samples as {self._bits} bits of kind {kind}, which is not read"
            raise InvalidInput(message, _HINT)
        if not (1 <= self.channels <= _CHANNELS and _SLOWEST <= self.rate <= _FASTEST):
            raise InvalidInput(
                f"the WAV file has {self.channels} channels and {self.rate} frames a second", _HINT
            )
        self._frame = self.channels * self._bits // 8
        self.length = len(self._data) // self._frame

    def cut(self, stretches: Sequence[tuple[int, int]]) -> bytes:
        """A WAV file of some stretches of this one, as its samples are.

        Args:
            stretches: (first, behind the last) frame of each.
        """
        data = b"".join(self._data[start * self._frame : end * self._frame] for start, end in stretches)
        filled = data + b"\0" * (len(data) % 2)
        chunks = b"fmt " + pack("<I", len(self._format)) + self._format + b"\0" * (len(self._format) % 2)
        chunks += b"data" + pack("<I", len(data)) + filled
        return b"RIFF" + pack("<I", 4 + len(chunks)) + b"WAVE" + chunks

    def samples(self, rate: int) -> array[float]:
        """All channels as one, from -1 to 1, at another rate; float32."""
        return _at_rate(self._mono(), self.rate, rate)

    def _mono(self) -> array[float]:
        raw = bytes(self._data[: self.length * self._frame])
        if self._bits == 24:
            raw = _widened(raw)
        values: array[float] = array(self._kind)
        values.frombytes(raw)
        if sys.byteorder == "big" and self._kind != "B":
            values.byteswap()
        middle = 128.0 if self._kind == "B" else 0.0
        scale = {"B": 128.0, "h": 32768.0, "i": 2147483648.0}.get(self._kind, 1.0) * self.channels
        if self.channels == 1:
            return array("f", [(value - middle) / scale for value in values])
        middle *= self.channels
        columns = (values[channel :: self.channels] for channel in range(self.channels))
        return array("f", [(sum(frame) - middle) / scale for frame in zip(*columns, strict=True)])


def _chunks(content: bytes) -> tuple[bytes, memoryview]:
    """The format and the samples of a file; a length that goes beyond its end is that of a stream, and is cut."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise InvalidInput("the bytes are not a WAV file", _HINT)
    form, at = b"", 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"fmt ":
            form = content[at + 8 : at + 8 + size]
        elif name == b"data":
            return form, memoryview(content)[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    raise InvalidInput("the WAV file has no samples", _HINT)


def _widened(raw: bytes) -> bytes:
    """Samples of 24 bits as ones of 32, the lowest byte 0."""
    wide = bytearray(len(raw) // 3 * 4)
    for place in range(3):
        wide[place + 1 :: 4] = raw[place::3]
    return bytes(wide)


def _at_rate(samples: array[float], rate: int, wanted: int) -> array[float]:
    """Samples at another rate: the mean of those in each new one's time, or in between two where there are fewer."""
    count = len(samples) * wanted // rate
    if rate == wanted or not count:
        return samples if count else array("f")
    if rate > wanted:
        sums = array("d", [0.0, *accumulate(samples)])
        edges = [place * rate // wanted for place in range(count + 1)]
        return array("f", [(sums[b] - sums[a]) / (b - a) for a, b in pairwise(edges)])
    padded = samples + samples[-1:]
    made = array("f", bytes(4 * count))
    for place in range(count):
        whole, part = divmod(place * rate, wanted)
        made[place] = padded[whole] + (padded[whole + 1] - padded[whole]) * part / wanted
    return made
