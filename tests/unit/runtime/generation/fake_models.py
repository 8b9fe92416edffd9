"""Language models without weights for tests: one that draws by seed from a vocabulary of awkward pieces, and clocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp
from random import Random
from zlib import crc32

from firstlight.runtime.deadline import Deadline
from firstlight.runtime.generation.wishes import Sampling, Token

EOS, BOS, CONTROL = 0, 1, 2
SPECIAL = {"</s>": EOS, "<s>": BOS, "<|turn|>": CONTROL, "<|turn|>x": 3, "[[end]]": 4}
PIECES = ["a", "b", " ", "END", "\nUs", "er", ":", "\n", "ab", "é", "<|turn", "|>", "[[", "end]]", "x"]
HALVES = [b"\xc3", b"\xa9", b"\xf0\x9f", b"\x8c", b"\x8d", b"\xff"]
FIRST_BYTE = 40


class Countdown(Deadline):
    """A deadline that passes after it was asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__(float("inf"))
        self.times = times

    @property
    def passed(self) -> bool:
        self.times -= 1
        return self.times < 0

    def sooner(self, seconds: float | None) -> Deadline:
        return self


class SeededModel:
    """Draws each token by seed, position and what came before; penalties are counted over the whole answer.

    Its tokens are five special ones, pieces of text, halves of characters, and every byte.
    """

    special = {"bos_token": "<s>", "eos_token": "</s>"}  # noqa: RUF012
    vocabulary = FIRST_BYTE + 256

    def __init__(self, context: int = 64, template: str = "", bos: bool = True, ends: float = 0.3) -> None:
        self.context = context
        self.template = template
        self._bos = bos
        self._ends = ends
        texts = [b""] * len(SPECIAL) + [piece.encode() for piece in PIECES] + HALVES
        self._pieces = texts + [b"?"] * (FIRST_BYTE - len(texts)) + [bytes([byte]) for byte in range(256)]
        self._drawn = len(texts)
        self.calls: list[Sampling] = []
        self.closed = 0

    def encode(self, text: str, special: bool = True) -> list[int]:
        if special:
            plain = [FIRST_BYTE + byte for byte in text.encode("utf-8", "replace")]
            return [BOS, *plain] if self._bos else plain
        out: list[int] = []
        at = 0
        while at < len(text):
            found = max((name for name in SPECIAL if text.startswith(name, at)), key=len, default="")
            out += (
                [SPECIAL[found]]
                if found
                else [FIRST_BYTE + byte for byte in text[at].encode("utf-8", "replace")]
            )
            at += len(found) or 1
        return out

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def ends(self, token: int) -> bool:
        return token == EOS

    def generate(self, prompt: Sequence[int], sampling: Sampling, deadline: Deadline) -> Iterator[Token]:
        self.calls.append(sampling)
        answer = list(prompt[len(prompt) - sampling.generated :])
        asked = list(prompt[: len(prompt) - sampling.generated])
        room = self.context - len(asked)
        most = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        try:
            while len(answer) < most:
                if deadline.passed:
                    return
                token, logprob = self._draw(asked, answer, sampling)
                answer.append(token)
                top = [(token, logprob), (8, -3.0)][: sampling.logprobs or 0]
                yield Token(token, logprob if sampling.logprobs is not None else None, top)
                if token == EOS:
                    return
        except GeneratorExit:
            self.closed += 1
            raise

    def _draw(self, asked: list[int], answer: list[int], sampling: Sampling) -> tuple[int, float]:
        before = (*asked[-2:], *answer)[-3:]
        weights = []
        for token in range(self._drawn):
            weight = crc32(f"{before} {token}".encode()) / 2**30
            if token == EOS:
                weight = -9.0 if len(answer) < sampling.min_tokens else weight * self._ends
            if token in asked or token in answer:
                weight /= sampling.repetition_penalty
            weight -= sampling.frequency_penalty * answer.count(token)
            weight -= sampling.presence_penalty * (token in answer)
            weights.append(weight)
        if not sampling.temperature:
            best = max(range(self._drawn), key=weights.__getitem__)
            return best, -0.5
        odds = [exp(weight / sampling.temperature) for weight in weights]
        drawn = Random(f"{sampling.seed} {len(answer)}").choices(range(self._drawn), odds)[0]
        return drawn, -0.25
