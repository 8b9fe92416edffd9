"""Text out of a model's tokens, piece by piece: characters that tokens share, strings that end an answer."""

from __future__ import annotations

from codecs import utf_8_decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class AnswerText:
    """The text of one answer while its tokens arrive.

    However the bytes are cut into pieces, what is released in the end is one thing: the bytes read as UTF-8 (what is
    none becomes U+FFFD), without the beginning of a character at the end, up to the stop string that is complete
    first; of several that end at the same place, up to the longest.

    Text that may be the beginning of a stop string is held back until the next piece says whether it is one.

    Attributes:
        stopped: whether a stop string came. It is not part of the text.
        released: everything that was released so far.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stops = stops
        self._bytes = b""
        self._held = ""
        self._released: list[str] = []

    @property
    def released(self) -> str:
        """The answer so far."""
        return "".join(self._released)

    def add(self, piece: bytes) -> str:
        """Take the bytes of one more token.

        Returns:
            The text that is certain now; often that of the token itself, at times nothing or that of several.
        """
        if self.stopped:
            return ""
        waiting = self._bytes + piece
        text, read = utf_8_decode(waiting, "replace", False)
        self._bytes = waiting[read:]
        window = self._held + text
        if not self._stops:
            return self._release(window, len(window))
        found = [(at + len(stop), at) for stop in self._stops if (at := window.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(window[: min(found)[1]], len(window))
        return self._release(window, min(_beginning(window, stop) for stop in self._stops))

    def end(self) -> str:
        """No more tokens come: release what was held back. Bytes that are no whole character are left out."""
        return self._release(self._held, len(self._held))

    def _release(self, window: str, until: int) -> str:
        text, self._held = window[:until], window[until:]
        if text:
            self._released.append(text)
        return text


def _beginning(text: str, stop: str) -> int:
    """Where in the text the longest beginning of the stop string starts that reaches the text's end."""
    at = max(0, len(text) - len(stop) + 1)
    while (at := text.find(stop[0], at)) >= 0:
        if stop.startswith(text[at:]):
            return at
        at += 1
    return len(text)
