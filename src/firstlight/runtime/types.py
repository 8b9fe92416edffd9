"""The ports of the runtime and the types they exchange.

Modules on the path to the first answer import this one under ``TYPE_CHECKING`` only: ``typing`` costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.wishes import Hypothesis, Sampling, Search, Token

JSON = Any
"""What ``json.loads`` returns."""

Handler = Callable[[Any, Any], Any]
"""``handler(event, context)``: returns something JSON can carry, or an iterator of ``bytes`` that is streamed."""


class Tensor(Protocol):
    """Numbers in row-major order: a flat typed memoryview and its shape."""

    data: memoryview
    shape: tuple[int, ...]


class Encoding(Protocol):
    """A tokenized text (or pair of texts), or a window of one; special tokens included.

    ``offsets`` are (start, end) in characters of the text the token comes from, (0, 0) for special tokens.
    ``sequence_ids`` holds 0 or 1 for the text a token comes from and None for special tokens.
    ``word_ids`` numbers the words before they were split, None for special tokens.
    """

    @property
    def ids(self) -> list[int]: ...

    @property
    def type_ids(self) -> list[int]: ...

    @property
    def offsets(self) -> list[tuple[int, int]]: ...

    @property
    def sequence_ids(self) -> list[int | None]: ...

    @property
    def word_ids(self) -> list[int | None]: ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str, pair: str | None = None) -> Encoding:
        """All tokens of a text or pair of texts; ``runtime.tasks.windows`` cuts what a model cannot take.

        A lone surrogate, which JSON can carry and UTF-8 cannot, is read as U+FFFD.
        """

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens the texts have with special tokens and no limit."""

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str: ...

    def token(self, token_id: int) -> str:
        """The vocabulary entry of an id."""

    def id(self, token: str) -> int | None:
        """The id of a vocabulary entry, None when there is none."""


class BundleFacts(Protocol):
    """What a task reads of a bundle."""

    name: str
    task: str
    labels: list[str]
    defaults: dict[str, Any]

    @property
    def digest(self) -> str:
        """A hash of all that ``bundle.json`` says, the hashes of the weights among it."""


class Prepared(Protocol):
    """One item on its way through a graph: tensors by input name, one row each, and the outputs to fetch."""

    feeds: list[dict[str, Tensor]]
    outputs: tuple[str, ...]
    state: Any


class Task(Protocol):
    """What goes into a graph and what is made of the numbers that come out (``runtime.tasks``)."""

    name: str
    outputs: tuple[str, ...]
    schema: Mapping[str, Any]

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[Any], bool, dict[str, Any]]:
        """The items of a request, whether it was a single one, and its parameters with defaults.

        Raises:
            InvalidInput: names the field or parameter that is wrong.
        """

    def preprocess(self, item: Any, parameters: Mapping[str, Any]) -> Prepared: ...

    def postprocess(self, prepared: Any, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """The answer to one item, of the outputs of each of its rows (in the order of ``prepared.outputs``)."""


class TensorEngine(Protocol):
    """A library that runs a graph."""

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]: ...

    def settle(self) -> None:
        """Use idle time to become faster (prepack weights); called once, never while a run is going on."""


class TokenEngine(Protocol):
    """A decoder-only language model with its vocabulary (``llama``, ``ctranslate2``, ``echo``).

    Attributes:
        context: tokens that prompt and answer may have together.
        vocabulary: how many tokens there are; ids are below it. An id that a caller sent is held against it before
            any other method sees it.
        template: the chat template the weights came with, in Jinja; empty when there is none.
        special: texts of the special tokens by their names in chat templates (``bos_token``, ``eos_token``, ...).
    """

    context: int
    vocabulary: int
    template: str
    special: Mapping[str, str]

    def encode(self, text: str, special: bool = True) -> list[int]:
        """The tokens of a prompt.

        Args:
            special: add the tokens a prompt begins with (BOS). Without it none is added, and special tokens that are
                written in the text are read as such: what a chat template has rendered.
        """

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for: part of a character, perhaps; nothing for a special token."""

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""

    def generate(self, prompt: Sequence[int], sampling: Sampling, deadline: Deadline) -> Iterator[Token]:
        """Each token when it is known, an end token as the last one.

        Ends after an end token, after ``sampling.max_tokens``, when the context is full, and when the deadline has
        passed (while the prompt is read too, then without a token). Closing the iterator ends the work at once.

        Raises:
            InvalidInput: the prompt is longer than the context, or the grammar is none.
            EngineError: the library refuses.
        """


class SequenceEngine(Protocol):
    """An encoder-decoder model (``ctranslate2``, ``onnx-seq2seq``).

    Attributes:
        units: what it speaks, ``ids`` or ``tokens``.
    """

    units: str

    def search(
        self, source: Sequence[Any], prefix: Sequence[Any], search: Search, deadline: Deadline
    ) -> list[Hypothesis]:
        """The best answers to one source, best first.

        Args:
            source: with the special tokens the model expects.
            prefix: what the answer has to begin with, such as the token of a language; not in the hypotheses.

        Raises:
            EngineError: the library refuses.
        """

    def stream(
        self, source: Sequence[Any], prefix: Sequence[Any], search: Search, deadline: Deadline
    ) -> Iterator[Any]:
        """Each unit of the one answer when it is known (``search.num_beams`` is 1), the end token left out.

        Ends early when the deadline has passed. Closing the iterator ends the work at once.
        """


class GeneratingTask(Protocol):
    """A task that drives its engine itself, piece by piece (``runtime.tasks``).

    ``stream`` yields events in the shape text-generation-inference streams::

        {"index": 1, "token": {"id": 5, "text": " sun", "logprob": -0.2, "special": false}, "generated_text": null,
         "details": null}

    the last of them with ``generated_text`` and ``details``: ``finish_reason`` (``length``, ``eos_token``,
    ``stop_sequence``), ``generated_tokens``, ``prompt_tokens``, ``seed``; where the deadline ended it also
    ``deadline: true`` and ``continuation``, which a next call takes as a parameter. A task that makes its answer of
    that one event has ``last``, which is called as ``stream`` is and gives it without the others.
    """

    name: str
    schema: Mapping[str, Any]

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[Any], bool, dict[str, Any]]:
        """See ``Task.check``."""

    def stream(
        self, engine: Any, item: Any, parameters: Mapping[str, Any], deadline: Deadline
    ) -> Iterator[dict[str, Any]]:
        """The events of one item."""

    def answer(self, item: Any, events: Sequence[Mapping[str, Any]], parameters: Mapping[str, Any]) -> JSON:
        """The answer to one item, of all its events, in the shape ``transformers.pipeline`` gives."""


class DrivingTask(Protocol):
    """A task that calls its engine as often as it has to and answers at once, such as one of sounds or pictures.

    Bytes in its answer are a ``runtime.blob.Blob``; ``takes`` are the beginnings of the media types whose bytes are its
    inputs as they are.
    """

    name: str
    takes: tuple[str, ...]
    schema: Mapping[str, Any]

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[Any], bool, dict[str, Any]]:
        """See ``Task.check``."""

    def drive(self, engine: Any, item: Any, parameters: Mapping[str, Any]) -> JSON:
        """The answer to one item."""


class Recorder(Protocol):
    """Keeps what an invocation left behind; its IAM role may do nothing else."""

    def put(self, record: Mapping[str, Any]) -> None: ...


class Store(Recorder, Protocol):
    """A recorder that can be read."""

    def get(self, request_id: str) -> Mapping[str, Any] | None: ...

    def list(
        self,
        endpoint: str | None = None,
        since: float | None = None,
        status: str | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """The newest records that fit, oldest first; with ``after`` (a record's ``seq``) those that follow it."""
