"""Decoder-only models in GGUF files, on libllama."""

from __future__ import annotations

from firstlight.runtime.engines import cpus
from firstlight.runtime.engines.llama import library
from firstlight.runtime.engines.llama.candidates import Table
from firstlight.runtime.engines.llama.crew import Crew
from firstlight.runtime.engines.llama.memory import Memory
from firstlight.runtime.engines.llama.sampling import Sampler
from firstlight.runtime.engines.llama.weights import Weights
from firstlight.runtime.errors import BundleError, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.wishes import Sampling, Token

DEFAULT_CONTEXT = 4096
_BYTES_PER_TOKEN = 64  # of a text, at most: only long runs of one character have longer tokens
_AHEAD = 192  # tokens of an answer for which there is room at once
_CHECKED = 1


class LlamaEngine:
    """A GGUF model; see ``TokenEngine`` for what it does.

    Args:
        bundle: ``model.file`` is the GGUF file; ``model.context`` the tokens that prompt and answer may have together,
            by default what the model was trained for, at most 4,096; ``model.repack`` has the weights rearranged for
            this CPU, which is faster for some quantisations and takes memory of each worker's own; ``model.checked``
            says that the file passed this version of ``checks`` when the bundle was made.

    Attributes:
        context, vocabulary, template, special: see ``TokenEngine``.

    Raises:
        BundleError: the settings are not what they should be.
        MissingExtra: libllama is not installed.
        EngineError: libllama is not of a known version, or the file is damaged or not a model that it runs.
    """

    def __init__(self, bundle: Bundle) -> None:
        file, context = bundle.model.get("file", "model.gguf"), bundle.model.get("context")
        if not isinstance(file, str) or not (context is None or (type(context) is int and context > 0)):
            raise BundleError(
                f"model in {bundle.path}/bundle.json has no file, or a context that is not a number"
            )
        path = bundle.file(file)
        _check(path, bundle.model.get("checked"))
        self._library = library.loaded()
        self._weights = Weights(self._library, path, bundle.model.get("repack") is True)
        self.context: int = context or min(self._weights.trained, DEFAULT_CONTEXT)
        self.vocabulary: int = self._weights.count
        self.template = self._weights.template()
        self.special: Mapping[str, str] = self._weights.special()
        whole = self._weights.stretched(self.context)
        self._memory = Memory(self._library, self._weights, self.context, Crew(cpus.threads()), whole)
        self._table: Table | None = None

    def encode(self, text: str, special: bool = True) -> list[int]:
        """The tokens of a text; see ``TokenEngine.encode``.

        Raises:
            InvalidInput: the text is longer than the context can be, or has a word that is too long.
        """
        return self._weights.encode(text, special, max(1 << 16, self.context * _BYTES_PER_TOKEN))

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; see ``TokenEngine.piece``."""
        return self._weights.piece(token)

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer; see ``TokenEngine.ends``."""
        return self._weights.ends(token)

    def generate(self, prompt: Sequence[int], sampling: Sampling, deadline: Deadline) -> Iterator[Token]:
        """Each token when it is known; see ``TokenEngine.generate``.

        Raises:
            InvalidInput: at once, the prompt or the grammar is wrong.
            EngineError: while tokens are drawn, the library refuses.
        """
        tokens = self._checked(prompt)
        sampler = Sampler(self._library, self._weights, self._room_to_choose(sampling), sampling, tokens)
        return self._generated(tokens, sampler, sampling, deadline)

    def settle(self) -> None:
        """Nothing to do: what was loaded is what runs, and its pages are shared with other workers."""

    def _generated(
        self, tokens: list[int], sampler: Sampler, sampling: Sampling, deadline: Deadline
    ) -> Iterator[Token]:
        room = self.context - len(tokens)
        if sampling.max_tokens is not None:
            room = min(room, sampling.max_tokens - sampling.generated)
        if room <= 0 or deadline.passed:
            return
        memory, position = self._memory, sampling.generated
        answer = len(tokens) - position
        memory.reserve(min(len(tokens) + min(room, _AHEAD), self.context))
        try:
            for place in range(position, position + room):
                if not memory.read(tokens, answer, deadline):
                    return
                token = sampler.draw(memory.context, place)
                yield token
                if self._weights.ends(token.id):
                    return
                tokens.append(token.id)
        finally:
            sampler.close()

    def _checked(self, prompt: Sequence[int]) -> list[int]:
        """A list of the prompt's own: it grows with the answer."""
        tokens = list(prompt) or [self._weights.bos]
        if min(tokens) < 0 and not prompt:
            raise InvalidInput(
                "the prompt is empty, and this model has no token to begin with", "give some text"
            )
        if min(tokens) < 0 or max(tokens) >= self._weights.count:
            raise InvalidInput(f"the prompt has a token that is not one of the model's {self._weights.count}")
        if len(tokens) > self.context:
            raise InvalidInput(
                f"the prompt has {len(tokens)} tokens, and this model's context holds {self.context}",
                "shorten it, or give the parameter truncate",
            )
        return tokens

    def _room_to_choose(self, sampling: Sampling) -> Table | None:
        if self._table is None and (sampling.grammar or sampling.logprobs is not None):
            self._table = Table(self._library, self._weights.count)
        return self._table


def _check(path: str, passed: object) -> None:
    """Look at the file's header, unless that was done when the bundle was made: it takes 20 ms for 50,000 tokens."""
    if passed == _CHECKED:
        return
    from firstlight.runtime.engines.llama import checks, header

    checks.check(header.read(path), path)
