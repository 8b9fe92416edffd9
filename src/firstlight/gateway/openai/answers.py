"""What a text-generation task tells of an answer, in the shapes of OpenAI's API reference.

Our own additions stand beside ``finish_reason`` and only where the deadline cut an answer short: ``deadline: true`` and
``continuation``, which the same request sends along to have the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time
from typing import Any

from firstlight.gateway.generations import Event
from firstlight.gateway.openai.asked import Asked
from firstlight.invoke.types import new_request_id

_FINISH = {"length": "length", "eos_token": "stop", "stop_sequence": "stop"}


class Choice:
    """One choice of an answer, as its events arrive.

    Args:
        index: its place among the choices.
        asked: the request.
        prompt: what is put before the answer; empty for nothing.

    Attributes:
        text: so far.
        tokens: the tokens with their log-probabilities and where each begins, in characters of the tokens' own texts
            after the prompt; where log-probabilities were asked for.
        details: what the last event says; empty until then.
    """

    def __init__(self, index: int, asked: Asked, prompt: str = "") -> None:
        self.index = index
        self.text = prompt
        self.tokens: list[tuple[Mapping[str, Any], int]] = []
        self.details: Mapping[str, Any] = {}
        self._logprobs = asked.logprobs
        self._chat = asked.chat
        self._offset = len(prompt)

    def add(self, event: Event) -> str:
        """Take one event; return the text it adds."""
        token, text = event.get("token") or {}, ""
        if not token.get("special"):
            text = str(token.get("text") or "")
            if self._logprobs is not None and token.get("logprob") is not None:
                self.tokens.append((token, self._offset))
                self._offset += len(_own_text(token))
        self.text += text
        self.details = event.get("details") or self.details
        return text

    def finish(self) -> dict[str, Any]:
        """``finish_reason`` and what stands beside it."""
        found: dict[str, Any] = {"finish_reason": _FINISH.get(str(self.details.get("finish_reason")), "stop")}
        if self.details.get("deadline"):
            found |= {"deadline": True, "continuation": self.details.get("continuation")}
        return found

    def logprobs(self, first: int = 0) -> dict[str, Any] | None:
        """The log-probabilities of the tokens from ``first`` on; None where they were not asked for."""
        if self._logprobs is None:
            return None
        tokens = self.tokens[first:]
        if self._chat:
            return {"content": [_chat_token(token, self._logprobs) for token, _ in tokens], "refusal": None}
        return _completion_tokens(tokens, self._logprobs)


class Answer:
    """An answer on its way: its id, its choices, what was used.

    Args:
        asked: the request.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.choices = [
            Choice(number, asked, asked.prompts[number // asked.n] if asked.echo else "")
            for number in range(len(asked.prompts) * asked.n)
        ]
        kind = "chatcmpl" if asked.chat else "cmpl"
        digest = asked.entry.digest
        self._common = {
            "id": f"{kind}-{new_request_id().replace('-', '')}",
            "created": int(time()),
            "model": asked.entry.name,
            "system_fingerprint": f"fp_{digest[:10]}" if digest else None,
        }

    def whole(self) -> dict[str, Any]:
        """The response of a request without ``stream``."""
        kind = "chat.completion" if self.asked.chat else "text_completion"
        choices = [self._whole_choice(choice) for choice in self.choices]
        return {**self._common, "object": kind, "choices": choices, "usage": self.usage()}

    def chunk(self, choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> dict[str, Any]:
        """One event of a streamed response."""
        kind = "chat.completion.chunk" if self.asked.chat else "text_completion"
        found = {**self._common, "object": kind, "choices": choices}
        return {**found, "usage": usage} if self.asked.usage else found

    def piece(self, choice: Choice, text: str, first: int) -> dict[str, Any]:
        """A chunk with text of one choice, and with its tokens from ``first`` on."""
        said: dict[str, Any] = {"delta": {"content": text}} if self.asked.chat else {"text": text}
        logprobs = choice.logprobs(first) if first < len(choice.tokens) else None
        return self.chunk([{"index": choice.index, **said, "logprobs": logprobs, "finish_reason": None}])

    def opening(self, choice: Choice) -> dict[str, Any]:
        """The chunk with which a choice of a chat begins: the role of who speaks."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return self.chunk([{"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None}])

    def closing(self, choice: Choice) -> dict[str, Any]:
        """The chunk with which a choice ends."""
        said: dict[str, Any] = {"delta": {}} if self.asked.chat else {"text": ""}
        return self.chunk([{"index": choice.index, **said, "logprobs": None, **choice.finish()}])

    def usage(self) -> dict[str, int]:
        """Tokens read and written; a prompt counts once, however many choices it has."""
        firsts = self.choices[:: self.asked.n]
        prompt = sum(_count(choice.details, "prompt_tokens") for choice in firsts)
        completion = sum(_count(choice.details, "generated_tokens") for choice in self.choices)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def _whole_choice(self, choice: Choice) -> dict[str, Any]:
        said: dict[str, Any] = {"text": choice.text}
        if self.asked.chat:
            said = {"message": {"role": "assistant", "content": choice.text, "refusal": None}}
        return {"index": choice.index, **said, "logprobs": choice.logprobs(), **choice.finish()}


def _count(details: Mapping[str, Any], name: str) -> int:
    value = details.get(name)
    return value if isinstance(value, int) else 0


def _chat_token(token: Mapping[str, Any], most: int) -> dict[str, Any]:
    top = [_with_bytes(other) for other in (token.get("top") or [])[:most]]
    return {**_with_bytes(token), "top_logprobs": top}


def _own_text(token: Mapping[str, Any]) -> str:
    """A token's own text: what was released with it may be that of others, or nothing yet."""
    own = token.get("bytes")
    return bytes(own).decode("utf-8", "replace") if own is not None else str(token.get("text") or "")


def _with_bytes(token: Mapping[str, Any]) -> dict[str, Any]:
    text, own = _own_text(token), token.get("bytes")
    found = own if own is not None else list(text.encode("utf-8", "surrogatepass"))
    return {"token": text, "logprob": token.get("logprob"), "bytes": found}


def _completion_tokens(tokens: Sequence[tuple[Mapping[str, Any], int]], most: int) -> dict[str, Any]:
    tops = [
        {str(other.get("text") or ""): other.get("logprob") for other in (token.get("top") or [])[:most]}
        for token, _ in tokens
    ]
    return {
        "tokens": [_own_text(token) for token, _ in tokens],
        "token_logprobs": [token.get("logprob") for token, _ in tokens],
        "top_logprobs": tops if most else None,
        "text_offset": [offset for _, offset in tokens],
    }
