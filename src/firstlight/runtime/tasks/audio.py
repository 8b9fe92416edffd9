"""audio-to-audio: a sound made from a sound; here, the stretches of it in which somebody speaks.

The model is one that hears a window at a time and says how likely it has speech in it, passing on a state (Silero
VAD). A stretch begins with a likely window and ends where none has been likely for a while.
"""

from __future__ import annotations

from firstlight.runtime import deadline, notes
from firstlight.runtime.blob import Blob, read
from firstlight.runtime.errors import BundleError
from firstlight.runtime.tasks import checks
from firstlight.runtime.tensor import Tensor, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from firstlight.runtime.tasks.wav import Wav
    from firstlight.runtime.types import JSON, BundleFacts, TensorEngine

_WAV = "audio/wav"
_HYSTERESIS, _FLOOR = 0.15, 0.01
_MS = 0.001


def _milliseconds(default: int, description: str) -> dict[str, JSON]:
    return {
        "type": "integer",
        "minimum": 0,
        "maximum": 60_000,
        "default": default,
        "description": description,
    }


class AudioToAudio:
    """Speech alone, of a WAV file."""

    name = "audio-to-audio"
    takes = ("audio/", "application/octet-stream")
    schema: dict[str, JSON] = {  # noqa: RUF012 - written once
        "inputs": {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": _WAV,
            "description": "a WAV file as base64",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threshold": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "default": 0.5,
                    "description": "how likely speech must be for a stretch to begin; it ends 0.15 below that",
                },
                "min_speech_duration_ms": _milliseconds(250, "stretches of speech have to be longer"),
                "min_silence_duration_ms": _milliseconds(100, "shorter pauses do not end a stretch"),
                "speech_pad_ms": _milliseconds(30, "kept before and after each stretch"),
            },
        },
        "output": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "blob": {"type": "string", "contentEncoding": "base64"},
                    "content-type": {"type": "string"},
                    "label": {"type": "string"},
                    "segments": {"type": "array", "description": "start and end of each stretch in seconds"},
                },
            },
        },
        "example": {
            "inputs": "UklGRiwAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQgAAAAAAAAAAAAAAA==",
            "parameters": {"threshold": 0.6},
        },
    }

    def __init__(self, bundle: BundleFacts, _tokenizer: object = None) -> None:
        windows = bundle.defaults.get("windows", {})
        try:
            self._rate, self._size, self._before = (int(windows[name]) for name in ("rate", "size", "before"))
            self._state = [int(size) for size in windows["state"]]
        except (KeyError, TypeError, ValueError) as error:
            message = (
                f"the bundle {bundle.name} does not say how its model hears: defaults.windows lacks {error}"
            )
            raise BundleError(message) from error

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[bytes], bool, dict[str, JSON]]:
        """One file; see ``runtime.types.Task.check``."""
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        return [read(inputs, "a WAV file")], True, checked

    def drive(self, engine: TensorEngine, item: bytes, parameters: Mapping[str, JSON]) -> JSON:
        """The answer to one file."""
        from firstlight.runtime.tasks.wav import Wav

        wav = Wav(item)
        likely = list(self._likely(engine, wav))
        if len(likely) * self._size < wav.length * self._rate // wav.rate - self._size:
            heard = len(likely) * self._size / self._rate
            notes.warn(
                f"the time was up after {heard:.1f} seconds of the sound: the rest is not in the answer"
            )
        spoken = self._stretches(likely, wav, parameters)
        return [
            {
                "blob": Blob(wav.cut(spoken), _WAV),
                "content-type": _WAV,
                "label": "speech",
                "segments": [[round(start / wav.rate, 3), round(end / wav.rate, 3)] for start, end in spoken],
            }
        ]

    def _likely(self, engine: TensorEngine, wav: Wav) -> Iterator[float]:
        """How likely each window has speech in it, until the deadline."""
        size, before, time = self._size * 4, bytes(self._before * 4), deadline.current()
        content = wav.samples(self._rate).tobytes()
        count = 1
        for length in self._state:
            count *= length
        state: JSON = make("f", [0.0] * count, tuple(self._state))
        shape = (1, self._size + self._before)
        for start in range(0, len(content), size):
            if time.passed:
                return
            window = before + content[start : start + size].ljust(size, b"\0")
            before = window[len(window) - len(before) :]
            heard: JSON = memoryview(window).cast("f")
            feeds = {"input": Tensor(heard, shape), "state": state}
            chance, state = engine.run(feeds, ("output", "stateN"))
            yield chance.data[0]

    def _stretches(
        self, likely: Sequence[float], wav: Wav, parameters: Mapping[str, JSON]
    ) -> list[tuple[int, int]]:
        """(first, behind the last) frame of each stretch of speech."""
        second = self._rate / self._size  # windows
        quiet = parameters["min_silence_duration_ms"] * _MS * second
        found = stretches(likely, parameters["threshold"], quiet)
        least = parameters["min_speech_duration_ms"] * _MS * second
        found = [(start, end) for start, end in found if end - start > least]
        frames = self._size * wav.rate / self._rate  # of a window
        pad = round(parameters["speech_pad_ms"] * _MS * wav.rate)
        exact = [(round(start * frames), min(round(end * frames), wav.length)) for start, end in found]
        return padded(exact, pad, wav.length)


def stretches(likely: Sequence[float], threshold: float, quiet: float) -> list[tuple[int, int]]:
    """(first, behind the last) window of each stretch of speech.

    Args:
        likely: how likely each window has speech in it.
        threshold: a stretch begins with a window that is as likely.
        quiet: windows without speech that end a stretch.
    """
    low = max(threshold - _HYSTERESIS, _FLOOR)
    found: list[tuple[int, int]] = []
    start = silent = -1
    for place, chance in enumerate(likely):
        if chance >= threshold:
            start, silent = (place if start < 0 else start), -1
        elif start >= 0 and chance < low:
            silent = place if silent < 0 else silent
            if place - silent >= quiet:
                found.append((start, silent))
                start = silent = -1
    if start >= 0:
        found.append((start, len(likely)))
    return found


def padded(found: Sequence[tuple[int, int]], pad: int, length: int) -> list[tuple[int, int]]:
    """Stretches that begin earlier and end later, without running into each other or out of the sound."""
    made = []
    for place, (start, end) in enumerate(found):
        before = found[place - 1][1] if place else 0
        after = found[place + 1][0] if place + 1 < len(found) else length
        room_before = start if not place else (start - before) // 2
        room_after = length - end if place + 1 == len(found) else (after - end) // 2
        made.append((start - min(pad, room_before), end + min(pad, room_after)))
    return made
