"""The ``openai`` package as it is, told nothing but the server's address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest

from clients.talking import LONG, Ending, metric, until
from serving import Server

HELLO = [{"role": "user", "content": "Hellö, world"}]


@pytest.fixture
def client(talkative: Server) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{talkative.url}/v1", api_key="none", timeout=60) as made:
        yield made


@pytest.fixture
async def waiting(talkative: Server) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(base_url=f"{talkative.url}/v1", api_key="none", timeout=60) as made:
        yield made


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == [
        "parrot",
        "slow",
        "hasty",
        "small",
        "embeddings",
    ]
    model = client.models.retrieve("acme/small")
    assert (model.id, model.object, model.owned_by) == ("small", "model", "acme")
    assert model.created > 1_700_000_000


def test_chat(client: Any) -> None:
    answer = client.chat.completions.create(model="parrot", messages=HELLO)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Hellö, world")
    assert choice.finish_reason == "stop"
    assert answer.usage.prompt_tokens >= 13
    assert answer.usage.completion_tokens >= 13
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.model == "parrot"
    assert answer.system_fingerprint.startswith("fp_")
    assert len(answer._request_id) == 36


def test_chat_of_several_choices_and_with_a_limit(client: Any) -> None:
    answer = client.chat.completions.create(model="parrot", messages=HELLO, n=3, max_tokens=4, seed=5)
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [
        (0, "Hell"),
        (1, "Hell"),
        (2, "Hell"),
    ]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage.completion_tokens == 12


def test_chat_stops_at_a_string(client: Any) -> None:
    answer = client.chat.completions.create(model="parrot", messages=HELLO, stop=[", w"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Hellö", "stop")


def test_log_probabilities(client: Any) -> None:
    messages = [{"role": "user", "content": "abc"}]
    answer = client.chat.completions.create(model="parrot", messages=messages, logprobs=True, top_logprobs=1)
    content = answer.choices[0].logprobs.content
    assert [token.token for token in content] == ["a", "b", "c"]
    assert content[0].logprob == 0.0
    held = client.completions.create(model="parrot", prompt="abc", stop=["cx"], logprobs=0)
    assert held.choices[0].logprobs.tokens == ["a", "b", "c"]
    assert content[0].bytes == [97]


def test_a_streamed_chat(client: Any) -> None:
    stream = client.chat.completions.create(
        model="parrot", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "Hellö, world"
    assert len(chunks) > 12
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens >= 13


def test_the_clients_own_way_to_stream(client: Any) -> None:
    with client.chat.completions.stream(model="parrot", messages=HELLO) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.content == "Hellö, world"
    assert {"chunk", "content.delta", "content.done"} <= kinds


def test_a_streamed_chat_of_several_choices(client: Any) -> None:
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(model="parrot", messages=HELLO, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: "Hellö, world", 1: "Hellö, world"}


def test_completions(client: Any) -> None:
    answer = client.completions.create(model="parrot", prompt=["one", "two"], max_tokens=20, echo=True)
    assert [choice.text for choice in answer.choices] == ["oneone", "twotwo"]
    assert client.completions.create(model="parrot", prompt="x" * 50).choices[0].text == "x" * 16
    stream = client.completions.create(model="parrot", prompt="one", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "one"
    answer = client.completions.create(model="parrot", prompt="abc", logprobs=1)
    assert answer.choices[0].logprobs.tokens == ["a", "b", "c"]
    assert answer.choices[0].logprobs.text_offset == [0, 1, 2]


def test_embeddings_as_the_client_asks_for_them_and_as_numbers(client: Any) -> None:
    texts = ["a lamp in the window", "fresh bread"]
    packed = client.embeddings.create(model="embeddings", input=texts)
    plain = client.embeddings.create(model="embeddings", input=texts, encoding_format="float")
    assert [found.index for found in packed.data] == [0, 1]
    for one, other in zip(packed.data, plain.data, strict=True):
        assert len(one.embedding) > 100
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert sum(number * number for number in one.embedding) == pytest.approx(1, abs=1e-4)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 8
    short = client.embeddings.create(model="embeddings", input=texts[0], dimensions=32).data[0].embedding
    assert len(short) == 32
    assert sum(number * number for number in short) == pytest.approx(1, abs=1e-4)


def test_the_path_of_one_model(talkative: Server) -> None:
    with openai.OpenAI(base_url=f"{talkative.url}/models/acme/parrot/v1", api_key="none") as client:
        assert [model.id for model in client.models.list()] == ["parrot"]
        answer = client.chat.completions.create(model="whatever", messages=HELLO)
        assert answer.choices[0].message.content == "Hellö, world"


def test_what_is_asked_wrongly(client: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    with pytest.raises(openai.BadRequestError, match="tools") as raised:
        client.chat.completions.create(model="parrot", messages=HELLO, tools=[tool])
    assert (raised.value.param, raised.value.type) == ("tools", "invalid_request_error")
    assert raised.value.request_id
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="parrot", messages=HELLO, extra_body={"temprature": 1})
    assert raised.value.param == "temprature"
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="small", prompt="x" * 100, stream=True)
    assert raised.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="embeddings", input=[1, 2, 3])
    assert raised.value.param == "input"


def test_a_model_that_is_not_there(client: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="models here: parrot, slow") as raised:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


async def test_a_busy_server(waiting: Any, talkative: Server) -> None:
    ask = waiting.with_options(max_retries=0).completions.create
    asking = [
        asyncio.create_task(ask(model="slow", prompt=LONG, max_tokens=4000, n=128)) for _ in range(9)
    ]  # more than the queue of one endpoint takes
    refused, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    error = next(iter(refused)).exception()
    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit_exceeded"
    assert int(error.response.headers["retry-after"]) >= 1
    answer = await ask(model="slow", prompt="next")
    assert answer.choices[0].text == "next"
    await asyncio.to_thread(until, lambda: not metric(talkative, "firstlight_in_flight", endpoint="slow"))


def test_a_failure_of_the_model_is_not_tried_again(client: Any, talkative: Server) -> None:
    ended = Ending(talkative, "parrot")
    with pytest.raises(openai.InternalServerError, match="fail here"):
        client.completions.create(model="parrot", prompt="\x15")
    ended.wait(error=1)


def test_a_failure_in_the_middle_of_a_stream(client: Any) -> None:
    broken = [{"role": "user", "content": "abc\x15def"}]
    stream = client.chat.completions.create(model="parrot", messages=broken, stream=True)
    assert "".join(next(stream).choices[0].delta.content for _ in range(4)) == "abc"
    with pytest.raises(openai.APIError, match="fail here") as raised:
        next(stream)
    assert raised.value.type == "server_error"
    answer = client.chat.completions.create(model="parrot", messages=HELLO)
    assert answer.choices[0].message.content == "Hellö, world"


def test_too_much(client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.completions.create(model="parrot", prompt="x" * 7_000_000)
    assert (raised.value.status_code, raised.value.code) == (413, "request_too_large")


def test_the_token(guarded: Server) -> None:
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="s3cret") as client:
        assert [model.id for model in client.models.list()] == ["embeddings"]
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.models.list()
        assert raised.value.code == "invalid_api_key"


def test_a_server_that_is_called_by_another_name(client: Any) -> None:
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(default_headers={"Host": "evil.example"}).models.list()


def test_an_answer_that_runs_into_its_deadline_goes_on_in_the_next(client: Any) -> None:
    said, more, calls = "", {}, 0
    while more is not None:
        answer = client.completions.create(
            model="hasty", prompt="a parrot with a lot to say " * 2, max_tokens=100, extra_body=more
        )
        (choice,) = answer.choices
        said += choice.text
        calls += 1
        if choice.finish_reason == "length":
            assert choice.deadline is True
            more = {"continuation": choice.continuation}
        else:
            more = None
    assert said == "a parrot with a lot to say " * 2
    assert calls > 1


def test_closing_a_stream_ends_the_generation(client: Any, talkative: Server) -> None:
    ended = Ending(talkative, "slow")
    stream = client.completions.create(model="slow", prompt=LONG, max_tokens=4000, stream=True)
    for _ in range(3):
        next(stream)
    assert metric(talkative, "firstlight_in_flight", endpoint="slow") == 1
    stream.close()
    assert 3 <= ended.wait(cancelled=1) < len(LONG) / 2
    answer = client.completions.create(model="slow", prompt="next", max_tokens=4)
    assert answer.choices[0].text == "next"
    assert ended.wait(ok=1, cancelled=1) < len(LONG) / 2


async def test_the_asynchronous_client(waiting: Any, talkative: Server) -> None:
    answer, vectors = await asyncio.gather(
        waiting.chat.completions.create(model="parrot", messages=HELLO),
        waiting.embeddings.create(model="embeddings", input="x"),
    )
    assert answer.choices[0].message.content == "Hellö, world"
    assert len(vectors.data[0].embedding) > 100
    stream = await waiting.chat.completions.create(model="parrot", messages=HELLO, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hellö, world"
    with pytest.raises(openai.NotFoundError):
        await waiting.completions.create(model="nope", prompt="x")


@pytest.mark.parametrize("stream", [True, False])
async def test_giving_up_on_an_answer_ends_the_generation(
    waiting: Any, talkative: Server, stream: bool
) -> None:
    ended = Ending(talkative, "slow")
    asking = asyncio.create_task(
        waiting.with_options(max_retries=0).completions.create(
            model="slow", prompt=LONG, max_tokens=4000, n=1, stream=stream
        )
    )
    if stream:
        answer = await asking
        await anext(answer)
        await answer.close()
    else:
        await asyncio.to_thread(until, lambda: metric(talkative, "firstlight_in_flight", endpoint="slow"))
        asking.cancel()
    assert await asyncio.to_thread(ended.wait, cancelled=1) < len(LONG) / 2
