from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.invoke.types import Invocation, Reply
from gateways import TableInvoker, generated, speaking, token
from unit.gateway.openai.conftest import Asker, chunks


async def test_an_answer(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("Hel", "lo", finish_reason="length"))
    body = (await ask.complete()).json()
    assert body.pop("id").startswith("cmpl-")
    del body["created"]
    assert body == {
        "object": "text_completion",
        "model": "stories",
        "system_fingerprint": None,
        "choices": [{"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    assert invoker.event["inputs"] == "hi"
    assert ask.parameters == {"temperature": 1.0, "return_full_text": False, "max_new_tokens": 16}


async def test_several_prompts_and_choices(ask: Asker, invoker: TableInvoker) -> None:
    def answer(invocation: Invocation) -> Reply:
        event = json.loads(invocation.payload)
        return speaking(generated(f"{event['inputs']}{event['parameters']['seed']}"))(invocation)

    invoker.table["stories"] = answer
    body = (await ask.complete(prompt=["a", "b"], n=2, seed=5, best_of=2)).json()
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [
        (0, "a5"),
        (1, "a6"),
        (2, "b5"),
        (3, "b6"),
    ]
    assert body["usage"] == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}


@pytest.mark.parametrize("stream", [True, False])
async def test_the_prompt_again(ask: Asker, invoker: TableInvoker, stream: bool) -> None:
    invoker.table["stories"] = speaking(generated(" there"))
    response = await ask.complete(echo=True, stream=stream)
    if stream:
        *found, _ = chunks(response)
        assert [chunk["choices"][0]["text"] for chunk in found] == ["hi", " there", ""]
    else:
        assert response.json()["choices"][0]["text"] == "hi there"


async def test_log_probabilities(ask: Asker, invoker: TableInvoker) -> None:
    top = [{"id": 1, "text": "a", "logprob": -0.5}, {"id": 2, "text": "b", "logprob": -1.5}]
    events = [token("ab", logprob=-0.5, top=top), token("c", logprob=-1.0, top=top[:1]), *generated("")[-1:]]
    invoker.table["stories"] = speaking(events)
    (choice,) = (await ask.complete(logprobs=2)).json()["choices"]
    assert choice["logprobs"] == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"a": -0.5, "b": -1.5}, {"a": -0.5}],
        "text_offset": [0, 2],
    }
    *found, _ = chunks(await ask.complete(logprobs=2, stream=True))
    assert [chunk["choices"][0]["logprobs"] for chunk in found[:2]] == [
        {
            "tokens": ["ab"],
            "token_logprobs": [-0.5],
            "top_logprobs": [{"a": -0.5, "b": -1.5}],
            "text_offset": [0],
        },
        {"tokens": ["c"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -0.5}], "text_offset": [2]},
    ]


async def test_a_stream(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("Hel", "lo"))
    *found, last, done = chunks(await ask.complete(stream=True, stream_options={"include_usage": True}))
    assert done == "[DONE]"
    assert [chunk["choices"][0] for chunk in found] == [
        {"index": 0, "text": "Hel", "logprobs": None, "finish_reason": None},
        {"index": 0, "text": "lo", "logprobs": None, "finish_reason": None},
        {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"},
    ]
    assert {chunk["object"] for chunk in [*found, last]} == {"text_completion"}
    assert last["usage"]["total_tokens"] == 5


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "n"),
        ({"prompt": ["a", "b"], "continuation": "x"}, "n"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": True}, "logprobs"),
        ({"logprobs": 0, "echo": True}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
    ],
)
async def test_what_is_refused_names_its_field(
    ask: Asker, invoker: TableInvoker, sent: dict[str, Any], param: str
) -> None:
    response = await ask.complete(**sent)
    assert (response.status, response.json()["error"]["param"]) == (400, param)
    assert invoker.seen == []
