"""Speech out of a recording: by a model that is scripted, and by the one that ships."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight import starters
from firstlight.runtime import deadline, notes
from firstlight.runtime.blob import Blob
from firstlight.runtime.deadline import Deadline
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.model import Model
from firstlight.runtime.tasks.audio import AudioToAudio, padded, stretches
from firstlight.runtime.tasks.wav import Wav
from firstlight.runtime.tensor import make
from talk import SILENCE, talk, vowel, wav

WINDOWS = {"rate": 16_000, "size": 512, "before": 64, "state": [2, 1, 128]}


def task(**windows):
    return AudioToAudio(SimpleNamespace(name="ears", defaults={"windows": {**WINDOWS, **windows}}))


class Ears:
    """Says what it is told to, and checks what it hears."""

    def __init__(self, likely):
        self.likely = likely
        self.heard = []

    def run(self, feeds, outputs):
        assert outputs == ("output", "stateN")
        place = len(self.heard)
        assert feeds["input"].shape == (1, 576)
        assert feeds["state"].data[0] == place
        self.heard.append(list(feeds["input"].data))
        return [make("f", [self.likely[place]], (1, 1)), make("f", [place + 1.0] * 256, (2, 1, 128))]


def ask(engine, content, **parameters):
    doing = task()
    (item,), single, checked = doing.check(content, parameters)
    assert single
    (answer,) = doing.drive(engine, item, checked)
    return answer


def test_windows_overlap_and_the_last_is_filled_up():
    samples = [place / 2000 for place in range(1200)]
    ears = Ears([0.0] * 3)
    answer = ask(ears, wav(samples))
    assert answer["segments"] == []
    assert Wav(answer["blob"].data).length == 0
    first, second, third = ears.heard
    assert first[:64] == [0.0] * 64
    assert second[:64] == first[-64:]
    assert first[64:] == pytest.approx(samples[:512], abs=1e-4)
    assert third[64 : 64 + 176] == pytest.approx(samples[1024:], abs=1e-4)
    assert third[64 + 176 :] == [0.0] * 336


def test_the_answer_is_cut_out_of_the_recording_as_it_is():
    samples = [(place % 90) / 100 for place in range(512 * 3 * 20)]
    likely = [0.0] * 5 + [0.9] * 10 + [0.0] * 5
    content = wav(samples, 48_000, 24, 2)
    answer = ask(Ears(likely), content, speech_pad_ms=0)
    assert answer["segments"] == [[0.16, 0.48]]
    assert (answer["content-type"], answer["label"]) == ("audio/wav", "speech")
    cut = Wav(answer["blob"].data)
    assert (cut.rate, cut.channels, cut.length) == (48_000, 2, 15_360)
    assert answer["blob"].data[44:] == content[44 + 7680 * 6 : 44 + 23_040 * 6]


def test_parameters():
    likely = [0.0] * 4 + [0.6] * 10 + [0.4] * 3 + [0.1] * 2 + [0.6] * 10 + [0.1] * 10
    content = wav([0.0] * 512 * len(likely))

    def found(**asked):
        exact = {"speech_pad_ms": 0, "min_speech_duration_ms": 0, "min_silence_duration_ms": 0, **asked}
        segments = ask(Ears(likely), content, **exact)["segments"]
        return [[round(second * 16_000 / 512) for second in segment] for segment in segments]

    assert found() == [[4, 17], [19, 29]]
    assert found(threshold=0.58) == [[4, 14], [19, 29]]
    assert found(threshold=0.7) == []
    assert found(min_silence_duration_ms=100) == [[4, 29]]
    assert found(min_speech_duration_ms=320) == [[4, 17]]
    assert found(min_speech_duration_ms=900) == []
    assert found(speech_pad_ms=96) == [[1, 18], [18, 32]]


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0.2, 0.9), st.integers(0, 6))
def test_stretches_are_in_order_and_begin_likely(likely, threshold, quiet):
    found = stretches(likely, threshold, quiet)
    ends = [end for pair in found for end in pair]
    assert ends == sorted(ends)
    for start, end in found:
        assert likely[start] >= threshold
        assert end == len(likely) or likely[end] < threshold
    inside = {place for start, end in found for place in range(start, end)}
    assert {place for place, chance in enumerate(likely) if chance >= threshold} <= inside


@given(st.lists(st.integers(0, 50), max_size=10), st.integers(0, 30))
def test_padding_stays_inside_and_apart(ends, pad):
    ends = sorted(set(ends))
    found = list(zip(ends[::2], ends[1::2], strict=False))
    made = padded(found, pad, 50)
    flat = [end for pair in made for end in pair]
    assert flat == sorted(flat)
    assert all(0 <= a <= start and end <= b <= 50 for (start, end), (a, b) in zip(found, made, strict=True))
    assert all(start - a <= pad and b - end <= pad for (start, end), (a, b) in zip(found, made, strict=True))


def test_what_there_was_no_time_for_is_said(monkeypatch):
    notes.clear()
    monkeypatch.setattr(deadline, "_current", Deadline(0.0))
    answer = ask(Ears([]), wav(SILENCE))
    assert answer["segments"] == []
    assert notes.warnings == ["the time was up after 0.0 seconds of the sound: the rest is not in the answer"]


@pytest.mark.parametrize("inputs", [3, None, [], {"a": 1}, "no base64!", "data:audio/wav;base64,???"])
def test_inputs_that_are_none(inputs):
    with pytest.raises(InvalidInput, match="base64"):
        task().check(inputs, {})


@pytest.mark.parametrize("windows", [{"rate": None}, {"size": "x"}, {"state": 3}])
def test_a_bundle_that_does_not_say_how_it_hears(windows):
    with pytest.raises(BundleError, match=r"defaults\.windows"):
        task(**windows)


@pytest.fixture(scope="module")
def speech():
    return Model.load(starters.path("speech"), verify="sizes")


def test_the_starter_hears_speech_and_nothing_else(speech):
    (answer,) = speech(talk())
    assert len(answer["segments"]) == 2
    for (start, end), near in zip(answer["segments"], ((1.0, 2.2), (3.2, 4.2)), strict=True):
        assert start == pytest.approx(near[0], abs=0.15)
        assert end == pytest.approx(near[1], abs=0.6)
    blob = answer["blob"]
    assert isinstance(blob, Blob)
    spoken = sum(end - start for start, end in answer["segments"])
    assert Wav(blob.data).length == pytest.approx(spoken * 16_000, abs=20)
    assert speech(wav(SILENCE))[0]["segments"] == []


def test_other_rates_are_heard_alike(speech):
    samples = SILENCE[:8000] + vowel("i", 1.0) + SILENCE[:8000]
    (exact,) = speech(wav(samples))[0]["segments"]
    doubled = [value for value in samples for _ in range(2)]
    (heard,) = speech(wav(doubled, 32_000, channels=2))[0]["segments"]
    assert heard == pytest.approx(exact, abs=0.1)


def test_after_settling_it_hears_the_same(speech):
    before = speech(talk())[0]["segments"]
    speech.settle()
    assert speech(talk())[0]["segments"] == before
