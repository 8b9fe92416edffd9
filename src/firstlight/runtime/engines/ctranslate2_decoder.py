"""Decoder-only models on CTranslate2: a ``TokenEngine``, quick at reading long prompts.

CTranslate2 draws from a generator of its own that no seed reaches, so sampled answers cannot be had again here; and it
reads a prompt in one go, so a deadline is only looked at once that is done.
"""

from __future__ import annotations

from firstlight.runtime import jsons, notes, tokenizers
from firstlight.runtime.engines import ctranslate2_library
from firstlight.runtime.engines.cpus import threads
from firstlight.runtime.errors import BundleError, EngineError, InvalidInput
from firstlight.runtime.generation.wishes import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.engines.ctranslate2_library import Run
    from firstlight.runtime.generation.wishes import Sampling

_CONTEXT = 2048
"""Tokens, where the bundle does not say how many its model was trained on."""


class Generator:
    """Generates tokens from tokens.

    Args:
        bundle: its folder holds the converted model, with tokenizer.json beside it.

    Raises:
        MissingExtra: ctranslate2 is not installed.
        BundleError: the bundle has no tokenizer.
        EngineError: ctranslate2 cannot load the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        module = ctranslate2_library.load()
        tokenizer: Any = tokenizers.load(bundle)
        if not hasattr(tokenizer, "bytes_of"):
            raise BundleError(f"the bundle {bundle.name} has no tokenizer.json", "make the bundle again")
        self._tokenizer = tokenizer
        self.vocabulary: int = tokenizer.size
        self.context: int = bundle.model.get("context", _CONTEXT)
        self.template: str = bundle.defaults.get("chat_template", "")
        self.special: dict[str, str] = bundle.defaults.get("special", {})
        self._ends = self._end_tokens(bundle)
        for name in ("config.json", "model.bin"):
            bundle.file(name)
        try:
            self._generator: Any = module.Generator(
                bundle.path, device="cpu", inter_threads=1, intra_threads=threads()
            )
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"ctranslate2 cannot load {bundle.path}: {error}") from error
        self._run: Run | None = None
        import atexit

        atexit.register(self.close)

    def close(self) -> None:
        """End what is going on and the library's threads: one that calls back into an ending interpreter aborts."""
        if self._run is not None:
            self._run.stop()
        self._generator = None

    def encode(self, text: str, special: bool = True) -> list[int]:
        """The tokens of a prompt; see ``types.TokenEngine.encode``."""
        tokens: list[int] = self._tokenizer.encode(text).ids if special else self._tokenizer.rendered(text)
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for."""
        piece: bytes = self._tokenizer.bytes_of(token)
        return piece

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return token in self._ends

    def generate(self, prompt: Sequence[int], sampling: Sampling, deadline: Deadline) -> Iterator[Token]:
        """Each token when it is known; see ``types.TokenEngine.generate``.

        Raises:
            InvalidInput: the prompt does not fit, or a wish that CTranslate2 cannot fulfil.
        """
        _refuse(sampling)
        room = self.context - len(prompt)
        if not prompt or room < 0:
            said = f"has {len(prompt)} tokens, the model takes {self.context}" if prompt else "is empty"
            raise InvalidInput(f"the prompt {said}", "send another one")
        if sampling.max_tokens is not None:
            room = min(room, sampling.max_tokens - sampling.generated)
        if room < 1 or deadline.passed:
            return
        tokens, options = [self._tokenizer.token(token) for token in prompt], self._options(sampling, room)
        # Asked for anew each time: a reference kept here would outlive `close`, and so would the library's threads.
        self._run = ctranslate2_library.Run(
            lambda step: self._generator.generate_batch([tokens], callback=step, **options), deadline
        )
        try:
            for step in self._run.steps():
                yield Token(step.token_id, step.log_prob)
        finally:
            self._run.stop()

    def settle(self) -> None:
        """Nothing to do: weights are packed on load."""

    def _options(self, sampling: Sampling, room: int) -> dict[str, Any]:
        options: dict[str, Any] = {
            "max_length": room,
            "min_length": min(max(sampling.min_tokens - sampling.generated, 0), room),
            "repetition_penalty": sampling.repetition_penalty,
            "return_scores": sampling.logprobs is not None,
            "include_prompt_in_result": False,
        }
        if self._ends:
            options["end_token"] = sorted(self._ends)
        if sampling.temperature:
            notes.warn("ctranslate2 draws without a seed: the same request may be answered differently")
            options["sampling_topk"] = sampling.top_k
            options["sampling_topp"] = sampling.top_p
            options["sampling_temperature"] = sampling.temperature
        return options

    def _end_tokens(self, bundle: Bundle) -> frozenset[int]:
        own = bundle.defaults.get("end_tokens")
        if own is None:
            path = bundle.file("config.json")
            try:
                with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms
                    own = [jsons.loads(file.read()).get("eos_token", "</s>")]
            except ValueError as error:
                raise EngineError(f"ctranslate2 cannot load {bundle.path}: {path} is not JSON") from error
        ids = [self._tokenizer.id(token) for token in own]
        return frozenset(token for token in ids if token is not None)


def _refuse(sampling: Sampling) -> None:
    wishes = {
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "min_p": sampling.min_p,
        "grammar": sampling.grammar,
        "top_n_tokens": sampling.logprobs,
    }
    for name, wish in wishes.items():
        if wish:
            raise InvalidInput(f"the engine ctranslate2 has no {name}", "leave it out, or serve a GGUF file")
