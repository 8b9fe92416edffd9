"""How far an answer is, and the token with which a next call goes on from there."""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON

_MOST = 1 << 20
_NOT_WISHES = ("continuation", "listed", "max_time")


class Progress:
    """How far an answer is, as a continuation carries it.

    Attributes:
        done: parts that are written.
        total: tokens of the answer in them.
        last: the last character of the answer; empty where there is none.
        units: token ids of the part that is being written.
        drafts: token ids of each part whose answer is not part of the text but will be shortened again.
    """

    __slots__ = ("done", "drafts", "last", "total", "units")

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.last = ""
        self.units: list[int] = []
        self.drafts: list[list[int]] = []

    def numbers(self) -> list[int]:
        """All of it as numbers from 0 up."""
        flat = [self.done, self.total, ord(self.last) if self.last else 0, len(self.units), *self.units]
        for draft in self.drafts:
            flat += [len(draft), *draft]
        return flat

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Progress | None:
        """The progress in numbers; None where there is none in them."""
        made = cls()
        if len(numbers) < 4 or numbers[2] > 0x10FFFF:
            return None
        made.done, made.total = numbers[:2]
        made.last = chr(numbers[2]) if numbers[2] else ""
        runs, at = [], 3
        while at < len(numbers):
            end = at + 1 + numbers[at]
            if end > len(numbers):
                return None
            runs.append(list(numbers[at + 1 : end]))
            at = end
        made.units, made.drafts = runs[0], runs[1:]
        return made


def sealed(weights: str, text: str, parameters: Mapping[str, JSON], seed: int, progress: Progress) -> str:
    """A continuation.

    Args:
        weights: digest of the bundle.
        seed: what was drawn with.
    """
    from firstlight.runtime.generation.continuation import Continuation, digest  # only where one is needed

    wishes = digest(_wishes(parameters))
    return Continuation(digest(weights), digest(text), wishes, seed, 0, progress.numbers()).write()


def opened(weights: str, text: str, parameters: Mapping[str, JSON]) -> tuple[int, Progress]:
    """Seed and progress of the continuation among the parameters.

    Raises:
        InvalidInput: it is none, or belongs to another request.
    """
    from firstlight.runtime.generation.continuation import Continuation, digest

    read = Continuation.read(parameters["continuation"], _MOST)
    read.check(digest(weights), digest(text), digest(_wishes(parameters)))
    progress = Progress.of(read.tokens)
    if progress is None:
        raise InvalidInput("parameter 'continuation' is not one of this task")
    return read.seed, progress


def _wishes(parameters: Mapping[str, JSON]) -> str:
    return repr(sorted((name, value) for name, value in parameters.items() if name not in _NOT_WISHES))
