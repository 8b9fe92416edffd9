"""A GGUF model that is loaded: its weights, memory-mapped and so shared by all workers, and its vocabulary."""

from __future__ import annotations

import os
from _ctypes import addressof

from firstlight.runtime.engines.library import Int
from firstlight.runtime.engines.llama import structs, texts
from firstlight.runtime.engines.llama.structs import Byte
from firstlight.runtime.errors import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.runtime.engines.llama.library import Library

_NO_VOCABULARY = 0  # LLAMA_VOCAB_TYPE_NONE
_SPECIAL = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",
    "pad": "padding",
    "mask": "mask",
}
"""Names of special tokens in chat templates and in the metadata, where one of them is spelled so."""

_LONGEST_PIECE = 256


class Weights:
    """A model and its vocabulary.

    Args:
        library: the loaded libllama.
        path: the GGUF file, whose header was checked (``checks``).
        repack: rearrange weights for this CPU, in memory of this worker alone.

    Attributes:
        handle, vocabulary: libllama's own names for the model and its vocabulary.
        count: tokens of the vocabulary.
        trained: tokens that prompt and answer had together when the model was trained.
        exact: whether they are float32, and so worth computing with exactly.
        bos: the token a prompt begins with; -1 where there is none.

    Raises:
        EngineError: the library refuses the file, or the model does not write text.
    """

    def __init__(self, library: Library, path: str, repack: bool = False) -> None:
        self._library = library
        self.handle = 0
        library.said()
        parameters = structs.set_model(library.model_default_params(), repack)
        self.handle = library.model_load_from_file(os.fsencode(path), parameters) or 0
        if not self.handle:
            raise EngineError(
                f"libllama cannot load {path}: {library.said()}",
                "see docs/engines/llama.md for what it can load",
            )
        self._check(path)
        self.vocabulary: int = library.model_get_vocab(self.handle)
        self.count: int = library.vocab_n_tokens(self.vocabulary)
        self.trained: int = library.model_n_ctx_train(self.handle)
        self.bos = self._special("bos")
        self.exact: bool = self.value("general.file_type") == "0"
        self._piece = (Byte * _LONGEST_PIECE)()
        self._endings: list[int] | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back; everything made of the model has to be closed before."""
        handle, self.handle = self.__dict__.get("handle", 0), 0
        if handle:
            self._library.model_free(handle)

    def _check(self, path: str) -> None:
        library = self._library
        if library.model_has_encoder(self.handle) or not library.model_has_decoder(self.handle):
            raise EngineError(f"{path} is not a decoder-only model, and the engine llama runs no other")
        if library.model_is_diffusion(self.handle):
            raise EngineError(f"{path} is a diffusion model, which does not write token by token")
        if library.vocab_type(library.model_get_vocab(self.handle)) == _NO_VOCABULARY:
            raise EngineError(f"{path} has no vocabulary", "convert it again, with its tokenizer")

    def template(self) -> str:
        """The chat template in Jinja; empty where the file has none."""
        found: bytes | None = self._library.model_chat_template(self.handle, None)
        return (found or b"").decode("utf-8", "replace")

    def value(self, key: str) -> str:
        """A number or text of the metadata as text; empty where there is none."""
        buffer = (Byte * _LONGEST_PIECE)()
        length = self._library.model_meta_val_str(
            self.handle, key.encode(), addressof(buffer), _LONGEST_PIECE
        )
        return bytes(buffer[: min(max(length, 0), _LONGEST_PIECE - 1)]).decode("utf-8", "replace")

    def special(self) -> Mapping[str, str]:
        """Texts of special tokens by their names in chat templates."""
        found = {}
        for name in _SPECIAL:
            token = self._special(name)
            if token >= 0:
                text: bytes = self._library.vocab_get_text(self.vocabulary, token) or b""
                found[f"{name}_token"] = text.decode("utf-8", "replace")
        return found

    def _special(self, name: str) -> int:
        """A special token that the file names; the library has one for files that name none, which is any word."""
        given = self.value(f"tokenizer.ggml.{_SPECIAL[name]}_token_id")
        return int(given) if given.isdigit() and int(given) < self.count else -1

    def encode(self, text: str, special: bool, most: int) -> list[int]:
        """The tokens of a text.

        Args:
            special: add the tokens a prompt begins with; without it special tokens that are written in the text are
                read as such.
            most: bytes that are taken at most.

        Raises:
            InvalidInput: the text is longer, or has a word that is too long to be cut into tokens.
        """
        raw = texts.checked(text, most)
        tokens = (Int * (len(raw) + 8))()  # at most one for each byte, and those that are added
        arguments = self.vocabulary, raw, len(raw), addressof(tokens), len(tokens), special, not special
        count = texts.with_room(text, lambda: self._library.tokenize(*arguments))
        if count < 0:
            raise EngineError(f"libllama cannot tokenize a text of {len(raw)} bytes: {self._library.said()}")
        return tokens[:count]

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for a special one, and for one that does not exist."""
        if not 0 <= token < self.count:
            return b""
        buffer, convert = self._piece, self._library.token_to_piece
        length = convert(self.vocabulary, token, addressof(buffer), len(buffer), 0, False)
        if length < 0:
            self._piece = buffer = (Byte * -length)()
            length = convert(self.vocabulary, token, addressof(buffer), len(buffer), 0, False)
        return bytes(buffer[:length])

    def ends(self, token: int) -> bool:
        """Whether an answer ends with a token."""
        return 0 <= token < self.count and bool(self._library.vocab_is_eog(self.vocabulary, token))

    def endings(self) -> list[int]:
        """All tokens with which an answer ends; found at the first call, which looks at every token."""
        if self._endings is None:
            self._endings = [token for token in range(self.count) if self.ends(token)]
        return self._endings

    def stretched(self, context: int) -> bool:
        """Whether places of tokens are scaled differently in a context of this size than in a smaller one."""
        before = self.value(f"{self.value('general.architecture')}.rope.scaling.original_context_length")
        return before.isdigit() and context > int(before)
