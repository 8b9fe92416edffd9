"""The ports of the runtime and the types they exchange.

Modules on the path to the first answer import this one under ``TYPE_CHECKING`` only: ``typing`` costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

JSON = Any
"""What ``json.loads`` returns."""

Handler = Callable[[Any, Any], Any]
"""``handler(event, context)``: returns something JSON can carry, or an iterator of ``bytes`` that is streamed."""


class Tensor(Protocol):
    """Numbers in row-major order: a flat typed memoryview and its shape."""

    data: memoryview
    shape: tuple[int, ...]


class Encoding(Protocol):
    """One window of a tokenized text (or pair of texts), special tokens included.

    ``offsets`` are (start, end) in characters of the text the token comes from, (0, 0) for special tokens.
    ``sequence_ids`` holds 0 or 1 for the text a token comes from and None for special tokens.
    ``word_ids`` numbers the words before they were split, None for special tokens.
    """

    ids: list[int]
    type_ids: list[int]
    offsets: list[tuple[int, int]]
    sequence_ids: list[int | None]
    word_ids: list[int | None]


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        max_length: int | None = None,
        truncate: str = "longest_first",
        stride: int = 0,
    ) -> list[Encoding]:
        """Windows of at most ``max_length`` tokens; more than one only where ``stride`` > 0.

        Args:
            truncate: which text gives way: ``longest_first``, ``only_first`` or ``only_second``.
            stride: tokens shared by neighbouring windows; 0 drops what does not fit.
        """

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str: ...

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id."""

    def id(self, token: str) -> int | None:
        """The id of a vocabulary entry, None when there is none."""


class TensorEngine(Protocol):
    """A library that runs a graph."""

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]: ...

    def settle(self) -> None:
        """Use idle time to become faster (prepack weights); called once, never while a run is going on."""


class TokenEngine(Protocol):
    """A library that generates tokens."""

    def generate(self, prompt: Sequence[int], parameters: Mapping[str, Any], deadline: float) -> Iterator[int]: ...


class Recorder(Protocol):
    """Keeps what an invocation left behind; its IAM role may do nothing else."""

    def put(self, record: Mapping[str, Any]) -> None: ...


class Store(Recorder, Protocol):
    """A recorder that can be read."""

    def get(self, request_id: str) -> Mapping[str, Any] | None: ...

    def list(self, **filters: Any) -> Sequence[Mapping[str, Any]]: ...
