"""The examples of docs/chat.md, done."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

from gbnf_acceptor import Acceptor

from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.echo_tokens import EchoTokens
from firstlight.runtime.generation.grammars.formats import FORMATS
from firstlight.runtime.generation.grammars.keywords import KEPT
from firstlight.runtime.tasks.text_generation import TextGeneration

PAGE = (Path(__file__).resolve().parents[2] / "docs/chat.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


REQUESTS = [json.loads(block) for block in blocks("json")]


def test_the_template_makes_the_prompt():
    bundle = SimpleNamespace(
        name="small", defaults={"chat_template": blocks("jinja")[0]}, model={}, digest=""
    )
    task, engine = TextGeneration(bundle), EchoTokens(bundle)
    items, _, checked = task.check(
        REQUESTS[0]["inputs"], REQUESTS[0]["parameters"] | {"max_new_tokens": None}
    )
    answer = task.answer(items[0], list(task.stream(engine, items[0], checked, NEVER)), checked)
    assert answer == [{"generated_text": blocks("text")[0].removesuffix("\n")}]


def test_the_requests_are_ones():
    bundle = SimpleNamespace(name="small", defaults={}, model={}, digest="")
    for request in REQUESTS[:3]:
        items, single, _ = TextGeneration(bundle).check(request["inputs"], request["parameters"])
        assert single
        assert items == [request["inputs"]]


def test_the_answer_follows_the_grammar():
    bundle = SimpleNamespace(name="small", defaults={}, model={}, digest="")
    _, _, checked = TextGeneration(bundle).check(REQUESTS[2]["inputs"], REQUESTS[2]["parameters"])
    assert Acceptor(checked["gbnf"]).takes(blocks("json")[3].strip())
    assert not Acceptor(checked["gbnf"]).takes('{"name": "Ann", "town": "Paris"}')


def test_every_keyword_and_format_that_is_kept_is_named():
    kept = PAGE[PAGE.index("Kept:") :]
    exclusive = {"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems"}
    assert {word for word in KEPT if f"`{word}`" not in kept} <= exclusive
    assert {word for word in FORMATS if word not in kept} == set()
