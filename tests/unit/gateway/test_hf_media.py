"""Bytes on the inference routes."""

from __future__ import annotations

import json
from base64 import b64encode
from types import SimpleNamespace

import pytest

from firstlight.gateway import hf_media

TAKES = ("audio/", "application/octet-stream")


def call(kind):
    return SimpleNamespace(header=lambda name: kind if name == b"content-type" else "")


@pytest.mark.parametrize("kind", ["audio/wav", "Audio/X-WAV; rate=8", "application/octet-stream", ""])
def test_a_body_of_bytes(kind):
    assert hf_media.inputs(b"RIFF\xff", call(kind), TAKES) == {"inputs": b64encode(b"RIFF\xff").decode()}


@pytest.mark.parametrize(
    ("content", "kind", "takes"),
    [
        (b'{"inputs": ""}', "application/json", TAKES),
        (b' {"inputs": ""}', "", TAKES),
        (b"RIFF", "image/png", TAKES),
        (b"RIFF", "audio/wav", ()),
        (b"RIFF", "", ()),
    ],
)
def test_a_body_that_is_not(content, kind, takes):
    assert hf_media.inputs(content, call(kind), takes) is None


def test_an_answer_of_bytes():
    answer = [{"blob": b64encode(b"RIFF\xff").decode(), "content-type": "audio/wav", "label": "speech"}]
    assert hf_media.bare(json.dumps(answer).encode(), "audio/*") == (b"RIFF\xff", "audio/wav")
    assert hf_media.bare(json.dumps(answer).encode(), "application/json") is None
    for other in (
        answer * 2,
        answer[0],
        [{"blob": 3, "content-type": "audio/wav"}],
        [],
        [{"label": "x"}],
        ["content-type"],
    ):
        assert hf_media.bare(json.dumps(other).encode(), "audio/*") is None
    answer[0]["blob"] = "é"
    assert hf_media.bare(json.dumps(answer).encode(), "audio/*") is None
