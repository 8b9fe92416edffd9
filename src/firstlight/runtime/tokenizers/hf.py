"""Any tokenizer.json by the ``tokenizers`` library: exact for every kind, 30 ms to import and load."""

from __future__ import annotations

from firstlight.runtime.errors import BundleError, MissingExtra
from firstlight.runtime.tokenizers import token_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from firstlight.runtime.types import Encoding


class HfTokenizer:
    """``tokenizers.Tokenizer`` behind the port; padding and truncation stored in the file are ignored."""

    def __init__(self, path: str) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingExtra("this model's tokenizer needs tokenizers", "pip install tokenizers") from error
        try:
            self._tokenizer = Tokenizer.from_file(path)
        except Exception as error:  # tokenizers raises bare Exception
            raise BundleError(
                f"{path} is not a tokenizer that this version of tokenizers reads: {error}"
            ) from error
        self._special: set[int] | None = None
        self._byte_level = False
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of the texts; see ``types.Tokenizer.encode``."""
        found: Encoding = self._tokenizer.encode(encodable(text), None if pair is None else encodable(pair))
        return found

    @property
    def size(self) -> int:
        """How many ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def rendered(self, text: str) -> list[int]:
        """The tokens of a text that has its special tokens in it already, as a chat template writes them."""
        return list(self._tokenizer.encode(encodable(text), add_special_tokens=False).ids)

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes a token stands for; nothing for a special one and for an id outside the vocabulary."""
        token = self.token(token_id)
        if self._special is None:
            added = self._tokenizer.get_added_tokens_decoder()
            self._special = {key for key, entry in added.items() if entry.special}
            decoder = self._tokenizer.decoder
            self._byte_level = decoder is not None and "ByteLevel" in repr(decoder)
        if token_id in self._special:
            return b""
        return token_bytes.of_bytes(token) if self._byte_level else token_bytes.of_pieces(token)

    def located(self, text: str) -> Any:
        """The encoding of a text without special tokens around it."""
        return self._tokenizer.encode(encodable(text), add_special_tokens=False)

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""
        return len(self.encode(text, pair).ids)

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of token ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=skip_special))

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id; empty for an id outside the vocabulary."""
        return self._tokenizer.id_to_token(token_id) or "" if token_id >= 0 else ""

    def id(self, token: str) -> int | None:
        """The id of a vocabulary entry, None when there is none."""
        found: int | None = self._tokenizer.token_to_id(encodable(token))
        return found


def encodable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, one character for one, so that offsets stay."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text
