"""The page's own event stream: text as it comes, then the answer as markup."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from firstlight.gateway.app import create_app
from firstlight.invoke.types import Invocation, Reply
from firstlight.project import Endpoint, Project, RecordPolicy
from gateways import Client, TableInvoker, failed, report

HEADERS = {"content-type": "application/x-www-form-urlencoded", "x-fragment": "stream"}
DETAILS = {"finish_reason": "length", "generated_tokens": 2, "prompt_tokens": 3, "seed": None}


def token(text: str, **last: Any) -> dict[str, Any]:
    return {"token": {"id": 5, "text": text}, "generated_text": None, "details": None, **last}


SPOKEN = (token(" a <b>"), token(" king", generated_text=" a <b> king", details=DETAILS))


def speaking(*events: dict[str, Any], broken: bool = False) -> Callable[[Invocation], Reply]:
    def answer(invocation: Invocation) -> Reply:
        reply = Reply(invocation.request_id, content_type="text/event-stream", report=report())

        async def stream() -> AsyncGenerator[bytes]:
            for event in events:
                yield f"data:{json.dumps(event)}\n\n".encode()
            if broken:
                error = failed("EngineError", "it broke")(invocation)
                reply.payload, reply.function_error = error.payload, "Unhandled"

        reply.stream = stream()
        return reply

    return answer


@pytest.fixture
def project(tmp_path: Path) -> Project:
    story = Endpoint("stories", model="starter:stories", task="text-generation")
    return Project("demo", tmp_path, None, {"stories": story}, RecordPolicy(), tmp_path)


@pytest.fixture
def client(project: Project, invoker: TableInvoker) -> Client:
    return Client(create_app(project, invoker))


async def asked(client: Client, **values: str) -> list[dict[str, str]]:
    body = urlencode({"inputs": "Once", "task": "text-generation", **values})
    response = await client("POST", "/endpoints/stories", body, HEADERS)
    assert response.status == 200
    if response.headers["content-type"] != "text/event-stream":
        return [{"html": response.text}]
    return [json.loads(line.removeprefix("data:")) for line in response.text.strip().split("\n\n")]


async def test_text_comes_piece_by_piece_and_then_the_whole(client: Client, invoker: TableInvoker) -> None:
    invoker.table["stories"] = speaking(*SPOKEN)
    *texts, last = await asked(client, **{"parameters.max_new_tokens": "2"})
    assert texts == [{"text": " a <b>"}, {"text": " king"}]
    assert '<span class="prompt">Once</span> a &lt;b&gt; king</p>' in last["html"]
    assert last["html"].count('class="tick"') == 2
    assert "First piece after" in last["html"]
    assert "tokens that was asked for" in last["html"]
    sent = invoker.event
    assert (sent["stream"], sent["parameters"]["max_new_tokens"]) == (True, 2)


async def test_an_answer_cut_by_its_deadline_can_go_on(client: Client, invoker: TableInvoker) -> None:
    details = {**DETAILS, "deadline": True, "continuation": "abc"}
    invoker.table["stories"] = speaking(token(" a", generated_text=" a", details=details))
    last = (await asked(client))[-1]["html"]
    assert "Time was up" in last
    assert "Go on</button>" in last
    assert "parameters.continuation&quot;: &quot;abc" in last
    assert "before&quot;: &quot; a" in last


async def test_what_earlier_parts_said_stays(client: Client, invoker: TableInvoker) -> None:
    details = {**DETAILS, "deadline": True, "continuation": "def"}
    invoker.table["stories"] = speaking(token(" king", generated_text=" king", details=details))
    going_on = {"parameters.continuation": "abc", "before": " a"}
    last = (await asked(client, **going_on))[-1]["html"]
    assert '<span class="prompt">Once a</span> king</p>' in last
    assert "before&quot;: &quot; a king" in last
    assert invoker.event["parameters"]["continuation"] == "abc"
    assert "before" not in json.dumps(invoker.event)


@pytest.mark.parametrize(
    ("answering", "said"),
    [
        (speaking(SPOKEN[0], broken=True), "it broke"),
        (speaking(SPOKEN[0]), "ended its answer early"),
        (failed("InvalidInput", "no such thing", status=400), "no such thing"),
    ],
)
async def test_what_goes_wrong_is_said(
    client: Client, invoker: TableInvoker, answering: Any, said: str
) -> None:
    invoker.table["stories"] = answering
    last = (await asked(client))[-1]["html"]
    assert "No answer" in last
    assert said in last


async def test_a_form_with_mistakes_is_answered_at_once(client: Client, invoker: TableInvoker) -> None:
    (only,) = await asked(client, **{"parameters.max_new_tokens": "many"})
    assert "not a number" in only["html"]
    assert invoker.seen == []


async def test_the_page_says_that_it_streams(client: Client) -> None:
    page = (await client("GET", "/endpoints/stories")).text
    assert " data-stream" in page
    assert ">Stop</button>" in page
    assert 'type="hidden" name="parameters.continuation"' in page
    assert 'name="parameters.grammar"' not in page


async def test_the_page_of_a_starter_says_what_takes_its_place(client: Client) -> None:
    page = (await client("GET", "/endpoints/stories")).text
    assert "Put a real model in its place" in page
    assert "firstlight serve hf:" in page
