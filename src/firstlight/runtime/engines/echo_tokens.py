r"""The fake language model: it says the prompt once and ends. Its tokens are bytes, so no file is needed.

``FIRSTLIGHT_ECHO_DELAY_MS`` in the environment is how long each token takes. A prompt that holds the byte ``\x15``
(NAK) fails in the middle of its answer, where that byte would come.
"""

from __future__ import annotations

import os
from time import sleep

from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.generation.wishes import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firstlight.runtime.bundle import Bundle
    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.wishes import Sampling

BOS, EOS = 1, 2
FIRST = 3
"""The token of byte 0."""

_NAK = FIRST + 0x15


class EchoTokens:
    """A ``TokenEngine`` (see ``runtime.types``) without weights.

    Attributes:
        closed: generations that were ended from outside.
        generated: tokens made since the engine was loaded.
    """

    special = {"bos_token": "<s>", "eos_token": "</s>"}  # noqa: RUF012 - never changed

    def __init__(self, bundle: Bundle) -> None:
        self.context: int = bundle.model.get("context", 4096)
        self.vocabulary = FIRST + 256
        self.template: str = bundle.defaults.get("chat_template", "")
        self.closed = 0
        self.generated = 0
        self.settled = False

    def encode(self, text: str, special: bool = True) -> list[int]:
        """BOS, where asked for, and the bytes of the text."""
        tokens = [FIRST + byte for byte in text.encode("utf-8", "replace")]
        return [BOS, *tokens] if special else tokens

    def piece(self, token: int) -> bytes:
        """The byte; nothing for a special token."""
        return bytes([token - FIRST]) if token >= FIRST else b""

    def ends(self, token: int) -> bool:
        """Whether it is the end token."""
        return token == EOS

    def generate(self, prompt: Sequence[int], sampling: Sampling, deadline: Deadline) -> Iterator[Token]:
        """The prompt again, then an end token; see ``types.TokenEngine.generate``."""
        if len(prompt) > self.context:
            raise InvalidInput(f"the prompt has {len(prompt)} tokens, the model takes {self.context}")
        if sampling.grammar:
            raise InvalidInput("the fake engine follows no grammar", "leave it out")
        delay = int(os.environ.get("FIRSTLIGHT_ECHO_DELAY_MS") or 0) / 1000
        asked = [token for token in prompt[: len(prompt) - sampling.generated] if token != BOS]
        room = self.context - len(prompt) + sampling.generated
        most = room if sampling.max_tokens is None else min(sampling.max_tokens, room)
        try:
            for token in [*asked, EOS][sampling.generated : most]:
                if delay:
                    sleep(delay)
                if deadline.passed:
                    return
                if token == _NAK:
                    raise EngineError("the prompt asked the fake engine to fail here")
                self.generated += 1
                yield Token(token, None if sampling.logprobs is None else 0.0)
        except GeneratorExit:
            self.closed += 1
            raise

    def settle(self) -> None:
        """Nothing to pack; remembers that it was asked."""
        self.settled = True
