"""One answer of a decoder-only model, token by token, as the events of ``runtime.types.GeneratingTask``."""

from __future__ import annotations

from time import perf_counter_ns

from firstlight.runtime import notes
from firstlight.runtime.generation.text import AnswerText

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import Any

    from firstlight.runtime.deadline import Deadline
    from firstlight.runtime.generation.wishes import Sampling, Token
    from firstlight.runtime.types import TokenEngine

    Event = dict[str, Any]


class Answer:
    """An answer that is being written.

    Args:
        engine: writes it.
        prompt: the tokens it follows.
        carried: its beginning, from earlier calls, whose text they have given already.
        sampling: how its tokens are drawn; ``generated`` is the length of ``carried``.
        stops: texts that end it.

    Attributes:
        tokens: all of its tokens.
        text: all of its text.
    """

    def __init__(
        self,
        engine: TokenEngine,
        prompt: Sequence[int],
        carried: Sequence[int],
        sampling: Sampling,
        stops: Sequence[str],
    ) -> None:
        self.tokens = list(carried)
        self.text = AnswerText(stops)
        self._engine = engine
        self._prompt = prompt
        self._carried = len(carried)
        self._sampling = sampling
        room = engine.context - len(prompt)
        self._most = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        for token in carried:
            self.text.add(engine.piece(token))
        self._given = len(self.text.released)

    @property
    def over(self) -> bool:
        """Whether its beginning leaves nothing to write: an answer that has ended is not gone on with."""
        ended = any(map(self._engine.ends, self.tokens)) or self.text.stopped
        return ended or len(self.tokens) >= self._most

    def events(self, deadline: Deadline, carry_on: Callable[[], str]) -> Iterator[Event]:
        """The events, the last of them with text and details.

        Args:
            deadline: after it the answer ends with what it has.
            carry_on: gives the continuation of an answer that the deadline has ended.
        """
        start = perf_counter_ns()
        source = self._engine.generate([*self._prompt, *self.tokens], self._sampling, deadline)
        notes.count("prompt_tokens", len(self._prompt))
        try:
            for token in source:
                if len(self.tokens) == self._carried:
                    notes.timings.setdefault("first_token", (perf_counter_ns() - start) / 1e6)
                self.tokens.append(token.id)
                reason = yield from self._event(token)
                if reason:
                    return
        finally:
            notes.count("generated_tokens", len(self.tokens) - self._carried)
            close = getattr(source, "close", None)
            if close is not None:
                close()
        yield self._cut(deadline, carry_on)

    def _event(self, token: Token) -> Generator[Event, None, bool]:
        """The events of one token; returns whether it was the last."""
        piece = self._engine.piece(token.id)
        if self._engine.ends(token.id):
            held = self.text.end()
            if held:
                yield self._told(None, held)
            yield self._last(self._told(token, "", special=True), "eos_token")
            return True
        text = self.text.add(piece)
        if self.text.stopped:
            yield self._last(self._told(token, text), "stop_sequence")
            return True
        if len(self.tokens) >= self._most:
            self._tell_of_the_context()
            yield self._last(self._told(token, text + self.text.end(), special=not piece), "length")
            return True
        yield self._told(token, text, special=not piece)
        return False

    def _cut(self, deadline: Deadline, carry_on: Callable[[], str]) -> Event:
        """The last event of an answer that the engine ended without a last token."""
        if not deadline.passed:
            self._tell_of_the_context()
            return self._last(self._told(None, self.text.end()), "length")
        if len(self.tokens) == self._carried:
            notes.warn(
                "the time ended before the first token; going on with the answer begins at the same place"
            )
        # What is held back stays so: the answer that goes on with this one knows what becomes of it.
        return self._last(self._told(None, ""), "length", deadline=True, continuation=carry_on())

    def _tell_of_the_context(self) -> None:
        wish = self._sampling.max_tokens
        if wish is None or len(self.tokens) < wish:
            notes.warn(
                f"the answer ends because the model's context of {self._engine.context} tokens is full"
            )

    def _told(self, token: Token | None, text: str, special: bool = False) -> Event:
        """An event; without a token it is that of text which belongs to no single one."""
        if token is None:
            told: dict[str, Any] = {"id": -1, "text": text, "logprob": None, "special": False}
        else:
            told = {"id": token.id, "text": text, "logprob": token.logprob, "special": special}
            piece = self._engine.piece(token.id)
            if self._sampling.logprobs is not None and piece != text.encode():
                told["bytes"] = list(piece)  # its own: the text is what is certain by now
            if self._sampling.logprobs:
                told["top"] = [self._top(other, logprob) for other, logprob in token.top]
        return {"index": len(self.tokens), "token": told, "generated_text": None, "details": None}

    def _top(self, token: int, logprob: float) -> dict[str, Any]:
        return {"id": token, "text": self._engine.piece(token).decode("utf-8", "replace"), "logprob": logprob}

    def _last(self, event: Event, reason: str, **more: Any) -> Event:
        event["generated_text"] = self.text.released[self._given :]
        event["details"] = {
            "finish_reason": reason,
            "generated_tokens": len(self.tokens) - self._carried,
            "prompt_tokens": len(self._prompt),
            "seed": self._sampling.seed if self._sampling.temperature else None,
            **more,
        }
        return event
