"""Texts on their way to libllama's tokenizer, which must not run out of stack.

For some vocabularies it splits texts into words by ``std::regex``, whose depth of recursion is the length of a word:
a word of 13,000 letters overruns a stack of 8 MB and ends the process. Such a text is tokenized in a thread whose
stack has room for its longest word.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HARMLESS = 3000
"""Letters that a word may have on any stack: three runs of them, at 700 bytes each, are 6 MB."""

_LONGEST = 200_000
_FOR_A_LETTER = 2100  # bytes of stack: three runs of such letters may be one word
_AT_LEAST = 1 << 20


def checked(text: str, most: int) -> bytes:
    """A text as UTF-8; a lone surrogate, which JSON can carry, is U+FFFD.

    Raises:
        InvalidInput: it has more bytes than ``most``.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raw = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if len(raw) > most:
        raise InvalidInput(
            f"the prompt has {len(raw)} bytes, more than this model's context can hold",
            f"give at most {most} bytes",
        )
    return raw


def with_room(text: str, function: Callable[[], int]) -> int:
    """Call a function that recurses once for each letter of the longest word.

    Raises:
        InvalidInput: the word is too long for any stack, or there is no memory for it.
    """
    longest = _longest_run(text) if len(text) > _HARMLESS else 0
    if longest <= _HARMLESS:
        return function()
    if longest > _LONGEST:
        raise InvalidInput(
            f"the prompt has {longest} letters, digits or signs in a row", f"at most {_LONGEST} can be read"
        )
    return _in_thread(function, _AT_LEAST + longest * _FOR_A_LETTER)


def _in_thread(function: Callable[[], int], stack: int) -> int:
    import _thread

    results: list[int] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            results.append(function())
        finally:
            ended.release()

    before = _thread.stack_size(-(-stack // _AT_LEAST) * _AT_LEAST)
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError as error:
        raise InvalidInput("the prompt has a word that is too long for this worker's memory") from error
    finally:
        _thread.stack_size(before)
    ended.acquire()
    return results[0]


def _longest_run(text: str) -> int:
    """How many characters of one class (letters and digits, white space, or neither) follow each other at most."""
    import re

    return max((run.end() - run.start() for run in re.finditer(r"\w+|\s+|[^\w\s]+", text)), default=0)
