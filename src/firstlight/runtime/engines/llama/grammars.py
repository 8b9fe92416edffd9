"""Grammars (GBNF) that an answer has to follow."""

from __future__ import annotations

from _ctypes import addressof, byref

from firstlight.runtime.engines.llama.structs import Candidate, Candidates
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.engines.llama.candidates import Table
    from firstlight.runtime.engines.llama.library import Library

_LONGEST = 200_000  # characters
_DEEPEST = 300  # parentheses: the parser recurses, and overruns the stack at some tens of thousands
_ROOT = b"root"


class Grammar:
    """What may come next under a grammar.

    Args:
        library: the loaded libllama.
        vocabulary: libllama's name for the vocabulary.
        text: the grammar; its first rule is called ``root``.

    Raises:
        InvalidInput: the text is no grammar.
    """

    def __init__(self, library: Library, vocabulary: int, text: str) -> None:
        self._library = library
        self._handle = 0
        _check(text)
        library.said()
        self._handle = library.sampler_init_grammar(vocabulary, text.encode("utf-8", "replace"), _ROOT) or 0
        if not self._handle:
            raise InvalidInput(f"the grammar is not GBNF that libllama can read: {library.said()}")
        self._one = Candidate()
        self._alone = Candidates()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        handle, self._handle = self.__dict__.get("_handle", 0), 0
        if handle:
            self._library.sampler_free(handle)

    def allows(self, token: int) -> bool:
        """Whether a token may come next."""
        one, alone = self._one, self._alone
        one.id, one.logit, one.probability = token, 1.0, 0.0
        alone.first, alone.count, alone.selected, alone.sorted = addressof(one), 1, -1, False
        self._library.sampler_apply(self._handle, byref(alone))
        return bool(one.logit == 1.0)

    def restrict(self, table: Table) -> None:
        """Make every token impossible that may not come next."""
        table.apply(self._handle)

    def accept(self, token: int) -> None:
        """Go on behind a token.

        Raises:
            InvalidInput: it may not come next; the library would end the process.
        """
        if not self.allows(token):
            raise InvalidInput(f"what was generated before does not follow the grammar (token {token})")
        self._library.sampler_accept(self._handle, token)


def _check(text: str) -> None:
    """Refuse what the library's parser cannot survive: it recurses for parentheses and counts repetitions down."""
    import re

    if len(text) > _LONGEST or "\0" in text:
        raise InvalidInput(
            f"the grammar has {len(text)} characters or a NUL", f"at most {_LONGEST} can be read"
        )
    depth = 0
    for character in re.findall(r"[()]", text):
        depth += 1 if character == "(" else -1
        if depth > _DEEPEST:
            raise InvalidInput(f"the grammar has more than {_DEEPEST} parentheses inside each other")
    for least, most in re.findall(r"\{\s*(\d+)\s*,\s*(\d+)\s*\}", text):
        if len(most) > 6 or int(least) > int(most):
            raise InvalidInput(f"the grammar repeats something from {least} to {most} times")
