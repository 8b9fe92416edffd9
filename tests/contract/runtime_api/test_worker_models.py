"""The starters in a bare worker, and the scripts of the seeds with one line changed."""

import json
import sys
from pathlib import Path

import pytest

from contract.runtime_api.recorder import RuntimeApi
from contract.runtime_api.workers import Start
from firstlight import starters

PATH = {"FIRSTLIGHT_PATH": ":".join(entry for entry in sys.path if entry.endswith("site-packages"))}


@pytest.fixture
def tcp():
    with RuntimeApi() as api:
        yield api


def test_a_starter_answers_every_trigger(tcp: RuntimeApi, start: Start) -> None:
    start(tcp, FIRSTLIGHT_BUNDLE=str(starters.path("sentiment")), **PATH)
    answer = tcp.invoke(b'{"inputs": "what a lovely day"}')
    (best,) = json.loads(answer.body)
    assert (best["label"], best["score"] > 0.8) == ("POSITIVE", True)
    timings = json.loads(answer.headers["firstlight-notes"])["timings"]
    assert set(timings) >= {"preprocess", "engine", "postprocess"}
    assert json.loads(tcp.invoke(b'{"text": "what a lovely day"}').body) == [best]
    assert json.loads(tcp.invoke(b'{"instances": ["what a lovely day"]}').body) == {"predictions": [best]}
    response = json.loads(
        tcp.invoke(b'{"httpMethod": "POST", "body": "{\\"text\\": \\"what a lovely day\\"}"}').body
    )
    assert json.loads(response["body"]) == [best]
    error = json.loads(tcp.invoke(b'{"inputs": "a", "parameters": {"topk": 1}}').body)
    assert (error["errorType"], error["status"]) == ("InvalidInput", 400)
    assert "topk" in error["errorMessage"]


SEED_1 = """
import json
from {source} import pipeline

nlp = pipeline("sentiment-analysis")

def handler(event, context):
    response = {{
        "statusCode": 200,
        "body": nlp(event['text'])[0]
    }}
    return response
"""


def test_the_sentiment_script_with_one_line_changed(tcp: RuntimeApi, start: Start) -> None:
    start(tcp, SEED_1.format(source="firstlight"), file="sentiment.py", **PATH)
    response = json.loads(tcp.invoke(b'{"text": "what a lovely day"}').body)
    assert response["statusCode"] == 200
    assert response["body"]["label"] == "POSITIVE"


def test_a_bundle_that_was_changed_is_an_init_error(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    bundle = {"schema": 1, "name": "x", "task": "echo", "engine": "echo"}
    bundle["files"] = {"model.onnx": {"size": 3, "sha256": "0" * 64}}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    (tmp_path / "model.onnx").write_bytes(b"abcd")
    worker = start(tcp, FIRSTLIGHT_BUNDLE=str(tmp_path))
    assert worker.end()[0] == 1
    (message,) = tcp.of("/init/error")
    error = json.loads(message.body)
    assert (error["errorType"], error["stackTrace"]) == ("BundleError", [])
    assert "model.onnx" in error["errorMessage"]
