"""The continuation token: an opaque text with which a next call carries on an answer that the deadline has cut.

It is a version byte, a checksum, and deflated: which weights, prompt and parameters the answer belongs to (eight bytes
of a hash each), the seed, when the answer was begun, and the tokens generated so far. No call has to remember anything
for a next one, which may meet another worker. It is no secret and no signature: whoever sends one could as well have
sent its tokens as part of a prompt, so what is read is checked for what could do harm, not for who wrote it.
"""

from __future__ import annotations

import binascii
import zlib
from hashlib import blake2b

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

VERSION = 1
_HASH = 8
_FIXED = 3 * _HASH
_LONGEST_NUMBER = 9
"""Bytes of 63 bits, seven a byte."""

_AGAIN = "repeat the request whose answer was cut, and add its continuation as it came"


def digest(text: str | bytes) -> bytes:
    """Eight bytes that stand for a text: enough to tell a mistake, with no claim to stop an attack."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return blake2b(raw, digest_size=_HASH).digest()


def digest_of_numbers(numbers: Iterable[int]) -> bytes:
    """The same for a list of token ids."""
    return digest(_packed(numbers))


class Continuation:
    """Where an answer stands.

    Args:
        weights: digest of what answers.
        prompt: digest of the tokens of the prompt.
        wishes: digest of the parameters that shape the answer.
        seed: of the generator; 0 where nothing is drawn.
        begun: seconds since the epoch, whole, when the answer was begun.
        tokens: what was generated so far.
    """

    __slots__ = ("begun", "prompt", "seed", "tokens", "weights", "wishes")

    def __init__(
        self, weights: bytes, prompt: bytes, wishes: bytes, seed: int, begun: int, tokens: Sequence[int]
    ) -> None:
        self.weights = weights
        self.prompt = prompt
        self.wishes = wishes
        self.seed = seed
        self.begun = begun
        self.tokens = list(tokens)

    def write(self) -> str:
        """The token: letters, digits, ``-`` and ``_``."""
        plain = self.weights + self.prompt + self.wishes + _packed([self.seed, self.begun, *self.tokens])
        packed = zlib.compress(plain, 9)
        sealed = bytes([VERSION]) + digest(bytes([VERSION]) + packed) + packed
        return binascii.b2a_base64(sealed, newline=False).decode().translate(_TO_URL).rstrip("=")

    @classmethod
    def read(cls, text: str, most: int) -> Continuation:
        """The continuation in a parameter.

        Args:
            most: tokens it may hold; a longer one is refused before it is unpacked.

        Raises:
            InvalidInput: it is none, of another version, or too long.
        """
        room = _FIXED + (most + 2) * _LONGEST_NUMBER
        if len(text) > 2 * room + 64:
            raise _too_long(most)
        sealed = _unwrapped(text)
        if sealed[0] != VERSION:
            raise InvalidInput(
                "parameter 'continuation' is of another version of firstlight", "ask again without it"
            )
        packed = sealed[1 + _HASH :]
        if (
            digest(sealed[:1] + packed) != sealed[1 : 1 + _HASH]
        ):  # of the packed bytes: packing has many spellings
            raise _none()
        plain = _inflated(packed, room)
        if plain is None:
            raise _none()
        numbers = _unpacked(plain[_FIXED:])
        if len(plain) < _FIXED or len(numbers) < 2:
            raise _none()
        if len(numbers) - 2 > most:
            raise _too_long(most)
        hashes = [plain[at : at + _HASH] for at in range(0, _FIXED, _HASH)]
        return cls(hashes[0], hashes[1], hashes[2], numbers[0], numbers[1], numbers[2:])

    def check(self, weights: bytes, prompt: bytes, wishes: bytes) -> None:
        """Whether it belongs to a request.

        Raises:
            InvalidInput: says what of the request is another.
        """
        for own, asked, word in (
            (self.weights, weights, "another model"),
            (self.wishes, wishes, "other parameters"),
            (self.prompt, prompt, "another prompt"),
        ):
            if own != asked:
                raise InvalidInput(f"parameter 'continuation' belongs to {word}", _AGAIN)


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def _none() -> InvalidInput:
    return InvalidInput("parameter 'continuation' is not one that an answer came with", _AGAIN)


def _too_long(most: int) -> InvalidInput:
    return InvalidInput(f"parameter 'continuation' holds more than the {most} tokens that have room", _AGAIN)


def _unwrapped(text: str) -> bytes:
    """The bytes of base64url without padding, in its one spelling."""
    try:
        raw = binascii.a2b_base64(text.translate(_FROM_URL) + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise _none() from error
    spelled = binascii.b2a_base64(raw, newline=False).decode().translate(_TO_URL).rstrip("=")
    if spelled != text or len(raw) <= _HASH:
        raise _none()
    return raw


def _inflated(deflated: bytes, most: int) -> bytes | None:
    """What was deflated, None where it was not or is longer than ``most`` bytes."""
    unpack = zlib.decompressobj()
    try:
        plain = unpack.decompress(deflated, most)
    except zlib.error:
        return None
    return plain if unpack.eof and not unpack.unused_data else None


def _packed(numbers: Iterable[int]) -> bytes:
    """Numbers in seven bits a byte, the lowest first, the eighth bit set where more follow (LEB128)."""
    out = bytearray()
    for number in numbers:
        while number > 0x7F:
            out.append(number & 0x7F | 0x80)
            number >>= 7  # noqa: PLW2901 - eaten up
        out.append(number)
    return bytes(out)


def _unpacked(raw: bytes) -> list[int]:
    """The numbers in LEB128; none where the last one is cut or one is longer than 63 bits."""
    numbers, number, shift = [], 0, 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80:
            if shift >= 7 * _LONGEST_NUMBER:
                return []
            continue
        numbers.append(number)
        number = shift = 0
    return [] if shift else numbers
