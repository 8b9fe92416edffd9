"""Bytes in answers and requests."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.runtime import handler, jsons
from firstlight.runtime.blob import Blob, alone, asks, read
from firstlight.runtime.errors import InvalidInput


@given(st.binary())
def test_in_json_a_blob_is_base64(data):
    blob = Blob(data, "audio/wav")
    assert (blob.data, blob.content_type) == (data, "audio/wav")
    assert json.loads(jsons.dumps([{"blob": blob}])) == [{"blob": b64encode(data).decode()}]
    assert json.loads(json.dumps({"blob": blob}))["blob"] == b64encode(data).decode()
    assert read(blob, "a sound") == read(data, "a sound") == data
    assert read(f"data:audio/wav;base64,{blob}", "a sound") == data


@pytest.mark.parametrize("inputs", [None, 3, ["aGk="], "aGk", "a Gk=", "data:text/plain,hi", "é"])
def test_what_is_no_base64(inputs):
    with pytest.raises(InvalidInput, match="a picture as base64"):
        read(inputs, "a picture")


@pytest.mark.parametrize(
    ("accept", "asked"),
    [
        ("audio/wav", True),
        ("audio/*;q=0.9", True),
        ("Audio/WAV, */*", True),
        ("text/html, audio/wav", True),
        ("*/*", False),
        ("", False),
        ("application/json, audio/wav", False),
        ("*/*, audio/wav", False),
        ("audio/mpeg", False),
        ("image/*", False),
    ],
)
def test_accept(accept, asked):
    assert asks(accept, "audio/wav") is asked


def test_one_blob_alone():
    blob = Blob(b"x", "audio/wav")
    assert alone([{"blob": blob, "label": "a"}], "audio/*") is blob
    assert alone({"blob": blob}, "audio/*") is blob
    for answer in ([], [{"blob": blob}] * 2, {"a": blob, "b": blob}, [{"blob": "x"}], "x", None, [3]):
        assert alone(answer, "audio/*") is None


class Model:
    """Answers with the bytes it was asked, backwards."""

    takes = ("audio/",)

    def __call__(self, inputs, parameters):
        data = read(inputs, "a sound")
        return [
            {"blob": Blob(data[::-1], "audio/wav"), "content-type": "audio/wav", "label": str(parameters)}
        ]


def ask(headers, body, model=None, **more):
    event = {
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "headers": headers,
        "body": b64encode(body).decode(),
        "isBase64Encoded": True,
        **more,
    }
    return handler.make(model or Model())(event, None)


SOUND = b"RIFF\xff\x00\x80"


def test_bytes_in_and_out_by_http():
    answer = ask({"content-type": "audio/x-wav", "accept": "audio/wav"}, SOUND)
    assert answer["statusCode"] == 200
    assert answer["headers"] == {"content-type": "audio/wav"}
    assert answer["isBase64Encoded"]
    assert answer["body"] == b64encode(SOUND[::-1]).decode()


def test_parameters_come_with_the_query():
    answer = ask({"content-type": "audio/wav"}, SOUND, queryStringParameters={"threshold": "0.7"})
    (found,) = json.loads(answer["body"])
    assert found == {
        "blob": b64encode(SOUND[::-1]).decode(),
        "content-type": "audio/wav",
        "label": "{'threshold': 0.7}",
    }


def test_json_in_and_bytes_out():
    body = json.dumps({"inputs": b64encode(SOUND).decode()}).encode()
    answer = ask({"content-type": "application/json", "accept": "audio/*"}, body)
    assert answer["body"] == b64encode(SOUND[::-1]).decode()


def test_by_invoke_it_is_json():
    (found,) = handler.make(Model())({"inputs": b64encode(SOUND).decode()}, None)
    assert found["blob"] == b64encode(SOUND[::-1]).decode()


def test_a_model_of_text_takes_no_bytes():
    def echo(inputs, _parameters):
        return inputs

    assert ask({"content-type": "audio/wav"}, SOUND, echo)["statusCode"] == 415
    assert ask({"content-type": "image/png"}, SOUND)["statusCode"] == 415
