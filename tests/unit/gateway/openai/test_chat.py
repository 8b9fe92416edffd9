from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.invoke.types import Invocation, Reply
from firstlight.project import Project
from gateways import Client, TableInvoker, failed, generated, speaking, token, with_stories
from unit.gateway.openai.conftest import Asker, chunks


async def test_an_answer(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("Hel", "lo"))
    response = await ask.chat()
    body = response.json()
    assert response.status == 200
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1_700_000_000
    assert body == {
        "object": "chat.completion",
        "model": "stories",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    assert response.headers["x-request-id"] == invoker.seen[0].request_id
    assert "total;dur=4.20" in response.headers["server-timing"]


async def test_what_the_task_is_asked(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    await ask.chat()
    assert invoker.event == {
        "inputs": [{"role": "user", "content": "hi"}],
        "parameters": {"temperature": 1.0, "return_full_text": False, "max_new_tokens": None},
        "stream": True,
    }
    assert invoker.seen[0].wire == "openai"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"max_tokens": 5}, {"max_new_tokens": 5}),
        ({"max_completion_tokens": 5}, {"max_new_tokens": 5}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": None, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}),
        ({"top_k": 40, "min_p": 0.1}, {"top_k": 40, "min_p": 0.1}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ({"frequency_penalty": -1, "presence_penalty": 2}, {"frequency_penalty": -1, "presence_penalty": 2}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"seed": 7}, {"seed": 7}),
        ({"min_tokens": 2, "truncate_prompt_tokens": 9}, {"min_new_tokens": 2, "truncate": 9}),
        ({"continuation": "abc"}, {"continuation": "abc"}),
        ({"chat_template_kwargs": {"a": 1}}, {"chat_template_kwargs": {"a": 1}}),
        ({"logprobs": True}, {"details": True, "top_n_tokens": 0}),
        ({"logprobs": True, "top_logprobs": 4}, {"details": True, "top_n_tokens": 4}),
        ({"response_format": {"type": "json_object"}}, {"grammar": {"type": "json_object"}}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "null"}},
                }
            },
            {"grammar": {"type": "json", "value": {"type": "null"}}},
        ),
        (
            {"response_format": {"type": "json_object", "value": {"type": "null"}}},
            {"grammar": {"type": "json", "value": {"type": "null"}}},
        ),
        (
            {"response_format": {"type": "regex", "value": "a+"}},
            {"grammar": {"type": "regex", "value": "a+"}},
        ),
    ],
)
async def test_a_field_becomes_a_parameter(
    ask: Asker, invoker: TableInvoker, sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    assert (await ask.chat(**sent)).status == 200
    plain = {"temperature": 1.0, "return_full_text": False, "max_new_tokens": None}
    assert ask.parameters == {**plain, **expected}


@pytest.mark.parametrize(
    "sent",
    [
        {"stop": None, "n": None, "tools": None, "response_format": None, "stream": None, "logit_bias": None},
        {
            "response_format": {"type": "text"},
            "logit_bias": {},
            "tools": [],
            "tool_choice": "auto",
            "stop": "",
        },
        {"tools": [{"type": "function"}], "tool_choice": "none", "top_k": -1, "modalities": ["text"]},
        {"user": "me", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "top_k": 0},
    ],
)
async def test_what_changes_nothing(ask: Asker, invoker: TableInvoker, sent: dict[str, Any]) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    assert (await ask.chat(**sent)).status == 200
    assert ask.parameters == {"temperature": 1.0, "return_full_text": False, "max_new_tokens": None}


TOOL = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 2, "continuation": "x"}, "n"),
        ({"seed": -1}, "seed"),
        ({"stop": 5}, "stop"),
        ({"stop": [5]}, "stop"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": 5}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"tools": TOOL}, "tools"),
        ({"tools": TOOL, "tool_choice": "auto"}, "tools"),
        ({"functions": TOOL}, "functions"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"audio": {}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": True}, "stream_options"),
        ({"temprature": 0.5}, "temprature"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
    ],
)
async def test_what_is_refused_names_its_field(
    ask: Asker, invoker: TableInvoker, sent: dict[str, Any], param: str
) -> None:
    response = await ask.chat(**sent)
    error = response.json()["error"]
    assert (response.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}
    assert invoker.seen == []


async def test_a_slip_of_the_pen_is_noticed(ask: Asker) -> None:
    error = (await ask.chat(max_token=5)).json()["error"]
    assert "Unrecognized request argument supplied: max_token" in error["message"]
    assert "did you mean 'max_tokens'?" in error["message"]


async def test_messages_of_parts_and_of_the_developer(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    await ask.chat(
        messages=[
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": parts, "name": "me"},
        ]
    )
    assert invoker.event["inputs"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "a\nb"},
    ]


async def test_several_choices_have_seeds_of_their_own_and_keep_their_order(
    ask: Asker, invoker: TableInvoker
) -> None:
    def answer(invocation: Invocation) -> Reply:
        seed = invoker.event["parameters"]["seed"]
        return speaking(generated(*f"choice {seed}".split(" "), prompt_tokens=4))(invocation)

    invoker.table["stories"] = answer
    body = (await ask.chat(n=3, seed=10)).json()
    assert [(choice["index"], choice["message"]["content"]) for choice in body["choices"]] == [
        (0, "choice10"),
        (1, "choice11"),
        (2, "choice12"),
    ]
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}
    assert sorted(json.loads(seen.payload)["parameters"]["seed"] for seen in invoker.seen) == [10, 11, 12]


async def test_an_answer_that_its_deadline_cut(ask: Asker, invoker: TableInvoker) -> None:
    cut = {"finish_reason": "length", "deadline": True, "continuation": "abc"}
    invoker.table["stories"] = speaking(generated("Hel", **cut))
    (choice,) = (await ask.chat()).json()["choices"]
    assert (choice["finish_reason"], choice["deadline"], choice["continuation"]) == ("length", True, "abc")
    *_, end, done = chunks(await ask.chat(stream=True))
    assert end["choices"] == [{"index": 0, "delta": {}, "logprobs": None, **cut}]
    assert done == "[DONE]"


async def test_log_probabilities(ask: Asker, invoker: TableInvoker) -> None:
    top = [{"id": 1, "text": "Hé", "logprob": -0.5}, {"id": 2, "text": "Ho", "logprob": -1.5}]
    events = [token("Hé", logprob=-0.5, top=top), *generated("llo")[-1:]]
    invoker.table["stories"] = speaking(events)
    (choice,) = (await ask.chat(logprobs=True, top_logprobs=2)).json()["choices"]
    (first,) = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None
    assert first == {
        "token": "Hé",
        "logprob": -0.5,
        "bytes": [72, 195, 169],
        "top_logprobs": [
            {"token": "Hé", "logprob": -0.5, "bytes": [72, 195, 169]},
            {"token": "Ho", "logprob": -1.5, "bytes": [72, 111]},
        ],
    }
    found = chunks(await ask.chat(logprobs=True, top_logprobs=2, stream=True))
    assert found[1]["choices"][0]["logprobs"]["content"] == [first]


async def test_the_log_probability_of_a_token_is_with_its_own_text(ask: Asker, invoker: TableInvoker) -> None:
    held = token("", logprob=-1.0, bytes=[10])
    half = token("", logprob=-2.0, bytes=[195])
    rest = token("\né", logprob=-3.0, bytes=[169])
    invoker.table["stories"] = speaking([held, half, rest, *generated("")[-1:]])
    (choice,) = (await ask.chat(logprobs=True)).json()["choices"]
    assert choice["message"]["content"] == "\né"
    assert [(found["token"], found["bytes"]) for found in choice["logprobs"]["content"]] == [
        ("\n", [10]),
        ("\ufffd", [195]),
        ("\ufffd", [169]),
    ]
    (choice,) = (await ask.complete(logprobs=0, prompt="hi")).json()["choices"]
    assert choice["logprobs"]["text_offset"] == [0, 1, 2]
    assert choice["logprobs"]["top_logprobs"] is None


async def test_a_stream(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("Hel", "", "lo"))
    response = await ask.chat(stream=True)
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-request-id"] == invoker.seen[0].request_id
    *found, done = chunks(response)
    assert done == "[DONE]"
    assert {(chunk["object"], chunk["model"], "usage" in chunk) for chunk in found} == {
        ("chat.completion.chunk", "stories", False)
    }
    assert len({(chunk["id"], chunk["created"]) for chunk in found}) == 1
    assert [chunk["choices"][0] for chunk in found] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        },
        {"index": 0, "delta": {"content": "Hel"}, "logprobs": None, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "logprobs": None, "finish_reason": None},
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"},
    ]


async def test_a_stream_with_usage(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("Hel", "lo"))
    *found, last, _ = chunks(await ask.chat(stream=True, stream_options={"include_usage": True}))
    assert {chunk["usage"] for chunk in found} == {None}
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


async def test_a_stream_of_several_choices(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("a", "b"))
    *found, _ = chunks(await ask.chat(stream=True, n=2))
    texts = ["", ""]
    for chunk in found:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
    assert texts == ["ab", "ab"]
    assert sorted(
        chunk["choices"][0]["index"] for chunk in found if chunk["choices"][0]["finish_reason"]
    ) == [0, 1]


async def test_a_stream_that_breaks_off_says_so(ask: Asker, invoker: TableInvoker) -> None:
    error = b'{"errorType":"EngineError","errorMessage":"it broke","status":500,"hint":"mend it"}'
    invoker.table["stories"] = speaking(
        [token("Hel")], function_error="Unhandled", payload=error, outcome="error"
    )
    response = await ask.chat(stream=True)
    found = chunks(response)
    assert response.status == 200
    assert found[-1] == {
        "error": {
            "message": "it broke (mend it)",
            "type": "server_error",
            "param": None,
            "code": "EngineError",
        }
    }
    whole = await ask.chat()
    assert (whole.status, whole.json()["error"]["message"]) == (500, "it broke (mend it)")
    assert whole.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_that_just_ends_is_not_taken_for_an_answer(
    ask: Asker, invoker: TableInvoker, stream: bool
) -> None:
    invoker.table["stories"] = speaking([token("Hel")])
    response = await ask.chat(stream=stream)
    error = chunks(response)[-1] if stream else response.json()
    assert error["error"]["message"] == "the answer ended early"


async def test_what_fails_before_the_first_token_is_a_plain_error(ask: Asker, invoker: TableInvoker) -> None:
    message = "parameter 'max_new_tokens' must be a whole number of at least 1, got 0"
    invoker.table["stories"] = failed("InvalidInput", message, status=400, hint="")
    response = await ask.chat(stream=True)
    assert response.status == 400
    assert response.json()["error"] == {
        "message": "parameter 'max_tokens' must be a whole number of at least 1, got 0",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "invalid_value",
    }


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ("the prompt has 33 tokens, the model takes 32", "messages", "context_length_exceeded"),
        ("the JSON schema at # is wrong: no such type", "response_format", "invalid_value"),
        ("the regular expression '(' lacks a )", "response_format", "invalid_value"),
        ("this cannot be answered", None, None),
    ],
)
async def test_what_the_task_refuses(
    ask: Asker, invoker: TableInvoker, message: str, param: str | None, code: str | None
) -> None:
    invoker.table["stories"] = failed("InvalidInput", message, status=400)
    error = (await ask.chat()).json()["error"]
    assert (error["message"], error["param"], error["code"]) == (message, param, code)


async def test_a_timeout(ask: Asker, invoker: TableInvoker) -> None:
    invoker.table["stories"] = failed("Sandbox.Timedout", "Task timed out after 3.00 seconds")
    response = await ask.chat()
    assert (response.status, response.json()["error"]["code"]) == (504, "timeout")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("own", "temperature"),
    [
        ({}, 1.0),
        ({"temperature": 0.7}, 0.7),
        ({"temperature": 0.7, "do_sample": False}, 0.0),
        ({"do_sample": True}, 1.0),
        ({"temperature": True}, 1.0),
        ({"temperature": "hot"}, 1.0),
    ],
)
async def test_the_models_own_temperature_is_the_default(
    project: Project, invoker: TableInvoker, own: dict[str, Any], temperature: float
) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    ask = Asker(Client(with_stories(create_app(project, invoker), generation=own)), invoker)
    await ask.chat()
    assert ask.parameters["temperature"] == temperature
    await ask.chat(temperature=0.2)
    assert ask.parameters["temperature"] == 0.2


async def test_a_fingerprint_is_that_of_the_weights(project: Project, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    ask = Asker(Client(with_stories(create_app(project, invoker), digest="0123456789abcdef")), invoker)
    assert (await ask.chat()).json()["system_fingerprint"] == "fp_0123456789"


async def test_a_model_that_does_not_generate(ask: Asker) -> None:
    response = await ask.chat(model="sentiment")
    error = response.json()["error"]
    assert (response.status, error["code"], error["param"]) == (404, "model_not_supported", "model")
    assert "stories" in error["message"]


async def test_below_a_models_own_path(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    body = {"model": "dummy", "messages": [{"role": "user", "content": "hi"}]}
    for path in ("/models/stories/v1/chat/completions", "/models/acme/stories/v1/chat/completions"):
        response = await client("POST", path, body)
        assert (response.status, response.json()["model"]) == (200, "stories")


async def test_the_clients_patience_is_a_deadline(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(generated("x"))
    body = {"model": "stories", "messages": [{"role": "user", "content": "hi"}]}
    await client("POST", "/v1/chat/completions", body, {"prefer": "wait=20"})
    assert invoker.event["parameters"]["max_time"] == 20


async def test_a_job_is_declined(client: Client, invoker: TableInvoker) -> None:
    body = {"model": "stories", "messages": [{"role": "user", "content": "hi"}]}
    response = await client("POST", "/v1/chat/completions", body, {"prefer": "respond-async"})
    assert response.status == 501
    assert "nothing was started" in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"
    assert invoker.seen == []
