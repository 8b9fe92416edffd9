from __future__ import annotations

import base64
import json
import math
import struct
from typing import Any

import pytest

from firstlight.invoke.types import Invocation, Reply
from gateways import TableInvoker, failed, report
from unit.gateway.openai.conftest import Asker


def vectors(invocation: Invocation) -> Reply:
    """One vector a text, made of its length."""
    texts = json.loads(invocation.payload)["inputs"]
    payload = json.dumps([[len(text), 3.0, 4.0] for text in texts]).encode()
    return Reply(invocation.request_id, payload, report=report(counts={"prompt_tokens": 2 * len(texts)}))


async def test_numbers(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = vectors
    response = await ask.embed(input=["a", "bcd"])
    assert response.json() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1, 3.0, 4.0]},
            {"object": "embedding", "index": 1, "embedding": [3, 3.0, 4.0]},
        ],
        "model": "embeddings",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    assert invoker.event == {"inputs": ["a", "bcd"], "parameters": {"truncate": False}}
    assert response.headers["x-request-id"] == invoker.seen[0].request_id


async def test_base64(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = vectors
    (found,) = (await ask.embed(encoding_format="base64", user="me")).json()["data"]
    assert struct.unpack("<3f", base64.b64decode(found["embedding"])) == (2.0, 3.0, 4.0)


async def test_fewer_dimensions_have_the_length_one_again(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = vectors
    (found,) = (await ask.embed(input="abcd", dimensions=2)).json()["data"]
    assert found["embedding"] == pytest.approx([0.8, 0.6])
    assert math.hypot(*found["embedding"]) == pytest.approx(1)
    same = (await ask.embed(dimensions=3)).json()["data"][0]["embedding"]
    assert same == [2, 3.0, 4.0]


async def test_many_texts_go_in_several_invocations(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = vectors
    texts = ["x" * (number % 7 + 1) for number in range(150)]
    body = (await ask.embed(input=texts)).json()
    assert [found["embedding"][0] for found in body["data"]] == [len(text) for text in texts]
    assert len(invoker.seen) == 3
    assert body["usage"]["prompt_tokens"] == 300


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": [None]}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 4}, "dimensions"),
        ({"texts": []}, "texts"),
    ],
)
async def test_what_is_refused_names_its_field(
    ask: Asker, invoker: TableInvoker, sent: dict[str, Any], param: str
) -> None:
    invoker.table["embeddings"] = vectors
    response = await ask.embed(**sent)
    assert (response.status, response.json()["error"]["param"]) == (400, param)


async def test_an_encoder_that_gives_no_one_vector(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = [[[0.5, 0.5]]]
    response = await ask.embed()
    assert (response.status, response.json()["error"]["param"]) == (400, "model")


async def test_a_model_that_does_not_embed(ask: Asker) -> None:
    response = await ask.embed(model="stories")
    assert (response.status, response.json()["error"]["code"]) == (404, "model_not_supported")


async def test_a_failure(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["embeddings"] = failed("EngineError", "no", status=500)
    response = await ask.embed(input=["x"] * 100)
    assert (response.status, response.json()["error"]["code"]) == (500, "EngineError")
