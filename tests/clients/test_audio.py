"""Sound in, sound out: ``huggingface_hub``, boto3 and plain HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from huggingface_hub import InferenceClient

from serving import Server
from talk import talk

PROJECT = '[endpoints.speech]\nmodel = "starter:speech"\nroute = "/speech"\n'


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hearing")
    (folder / "firstlight.toml").write_text(PROJECT)
    with Server(folder) as running:
        yield running


def cut(hearing: Server) -> bytes:
    """The speech of the recording, by Invoke."""
    client = boto3.client(
        "lambda",
        endpoint_url=hearing.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    payload = json.dumps({"inputs": base64.b64encode(talk()).decode()})
    reply = client.invoke(FunctionName="speech", Payload=payload)
    (found,) = json.loads(reply["Payload"].read())
    assert set(found) == {"blob", "content-type", "label", "segments"}
    assert len(found["segments"]) == 2
    return base64.b64decode(found["blob"])


@pytest.mark.parametrize("as_file", [True, False])
def test_inference_client(hearing: Server, tmp_path: Path, as_file: bool) -> None:
    client = InferenceClient(f"{hearing.url}/models/speech", token="none", timeout=60)
    sound: Path | bytes = talk()
    if as_file:
        sound = tmp_path / "talk.wav"
        sound.write_bytes(talk())
    (found,) = client.audio_to_audio(sound)
    assert (found.label, found.content_type) == ("speech", "audio/wav")
    assert found.blob == cut(hearing)


@pytest.mark.parametrize("path", ["/models/speech", "/pipeline/audio-to-audio", "/"])
def test_bytes_both_ways(hearing: Server, path: str) -> None:
    headers = {"content-type": "audio/wav", "accept": "audio/*"}
    status, answered, body = hearing.ask("POST", path, talk(), headers)
    assert (status, answered["content-type"]) == (200, "audio/wav")
    assert body == cut(hearing)


def test_the_route_of_the_project(hearing: Server) -> None:
    """As API Gateway would carry it: base64 in the event, base64 in the answer."""
    headers = {"content-type": "audio/wav", "accept": "audio/wav"}
    status, answered, body = hearing.ask("POST", "/speech", talk(), headers)
    assert (status, answered["content-type"]) == (200, "audio/wav")
    assert body == cut(hearing)


def test_parameters_in_the_query(hearing: Server) -> None:
    status, _, body = hearing.ask("POST", "/models/speech?threshold=1", talk(), {"content-type": "audio/wav"})
    assert status == 200
    assert json.loads(body)[0]["segments"] == []
    status, _, body = hearing.ask("POST", "/models/speech?volume=1", talk(), {"content-type": "audio/wav"})
    assert status == 400
    assert "volume" in json.loads(body)["error"]


def test_what_is_no_sound(hearing: Server) -> None:
    status, _, body = hearing.ask("POST", "/models/speech", b"ID3 an MP3", {"content-type": "audio/mpeg"})
    assert status == 400
    assert "not a WAV file" in json.loads(body)["error"]
    status, _, _ = hearing.ask("POST", "/models/speech", b"\x89PNG", {"content-type": "image/png"})
    assert status == 415
    assert hearing.ask("POST", "/models/speech", talk(), {"content-type": "audio/wav"})[0] == 200
