"""The bytes a token of a tokenizer.json stands for, so that text can leave as it is generated.

Two spellings are in use: byte-level BPE writes each byte as a printable letter (GPT-2's table), SentencePiece writes a
space as U+2581 and a byte that is no letter of the vocabulary as ``<0x0A>``.
"""

from __future__ import annotations

SPACE = "\u2581"


def of_bytes(token: str) -> bytes:
    """The bytes of a token of byte-level BPE; characters outside the table, as in added tokens, as UTF-8."""
    table = _letters()
    return b"".join(table.get(letter) or letter.encode("utf-8", "replace") for letter in token)


def of_pieces(token: str) -> bytes:
    """The bytes of a SentencePiece token."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        try:
            return bytes([int(token[3:5], 16)])
        except ValueError:
            pass
    return token.replace(SPACE, " ").encode("utf-8", "replace")


def stands(letter: str) -> bytes | None:
    """The byte a letter of byte-level BPE stands for; None for another character."""
    return _letters().get(letter)


_table: dict[str, bytes] = {}


def _letters() -> dict[str, bytes]:
    """Radford et al. 2019, ``bytes_to_unicode``: printable bytes are themselves, the rest follow U+0100 in order."""
    if not _table:
        printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
        others = 0x100
        for byte in range(256):
            if byte in printable:
                _table[chr(byte)] = bytes([byte])
            else:
                _table[chr(others)] = bytes([byte])
                others += 1
    return _table
