"""The answers to the parts of a text, put together while they arrive."""

from __future__ import annotations

from firstlight.runtime.tasks import parts


class Joint:
    """The answers to parts, put together with the separators of the text.

    Args:
        whole: the text is one part: its answer is the model's, as it is.
        last: the last character of what an earlier call answered.
    """

    def __init__(self, whole: bool, last: str = "") -> None:
        self.last = last
        self._whole = whole
        self._said: list[str] = []
        self._separator: str | None = None
        self._held = ""

    @property
    def text(self) -> str:
        """All that was released."""
        return "".join(self._said)

    def begin(self, separator: str) -> None:
        """A part begins, behind a separator."""
        self._separator = separator
        self._held = ""

    def add(self, text: str) -> str:
        """Take more of a part's answer; white space around an answer is no part of it."""
        if self._whole:
            return self.say(text)
        waiting = self._held + text
        if self._separator is not None:
            waiting = waiting.lstrip()
        body = waiting.rstrip()
        self._held = waiting[len(body) :]
        if not body:
            return ""
        if self._separator is not None:
            body = parts.between(self._separator, self.last, body[0]) + body
            self._separator = None
        return self.say(body)

    def end(self) -> str:
        """A part has ended."""
        left, self._separator = self._separator, None
        return "" if self._whole or left is None else self.say(left)

    def say(self, text: str) -> str:
        """Release a text as it is."""
        if text:
            self._said.append(text)
            self.last = text[-1]
        return text

    def forget(self) -> None:
        """What was said until now belongs to an earlier call."""
        self._said.clear()
