"""transformers' calls of the generating tasks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import firstlight
from firstlight import pipelines
from firstlight.runtime.errors import InvalidInput, NotSupported

CHAT = [{"role": "user", "content": "hi"}]


class Stand:
    """A model that remembers what it was asked and says a number that rises."""

    def __init__(self, task: str, **generation: Any) -> None:
        self.task = SimpleNamespace(name=task)
        self.bundle = SimpleNamespace(task=task, labels=[], defaults={"generation": generation})
        self.engine = SimpleNamespace(encode=list, ends=lambda token: token == 2)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, inputs: Any, parameters: dict[str, Any]) -> Any:
        self.asked.append({"inputs": inputs, **parameters})
        return [{"generated_text": str(len(self.asked))}]


def stand(task: str, generation: dict[str, Any] | None = None, **settings: Any) -> pipelines.Pipeline:
    return pipelines.Pipeline(Stand(task, **generation or {}), None, settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> pipelines.Pipeline:
    folder = tmp_path_factory.mktemp("echo")
    facts = {"schema": 1, "name": "echo", "task": "text-generation", "engine": "echo", "files": {}}
    facts["defaults"] = {"chat_template": "{% for message in messages %}{{ message.content }}{% endfor %}"}
    (folder / "bundle.json").write_text(json.dumps(facts))
    made: pipelines.Pipeline = firstlight.pipeline("text-generation", model=folder)
    return made


def test_a_text_and_several(echo: pipelines.Pipeline) -> None:
    assert echo("ab", max_new_tokens=2, do_sample=False) == [{"generated_text": "abab"}]
    assert echo("ab", return_full_text=False) == [{"generated_text": "ab"}]
    assert echo(["a", "b"]) == [[{"generated_text": "aa"}], [{"generated_text": "bb"}]]
    assert echo(text_inputs="a") == [{"generated_text": "aa"}]
    assert echo("a", num_return_sequences=2) == [{"generated_text": "aa"}] * 2
    (chat,) = echo(CHAT, max_new_tokens=4)
    assert chat["generated_text"][:1] == CHAT
    assert chat["generated_text"][1]["role"] == "assistant"
    assert [len(answers) for answers in echo([CHAT, CHAT], max_new_tokens=4)] == [1, 1]


def test_max_length_counts_the_prompt(echo: pipelines.Pipeline) -> None:
    assert echo("abc", max_length=6) == [
        {"generated_text": "abcab"}
    ]  # BOS, three of the prompt, two new ones
    assert echo("abc", max_length=6, max_new_tokens=3) == [{"generated_text": "abcabc"}]
    with pytest.raises(InvalidInput, match="the prompt has 4 tokens, and max_length is 4"):
        echo("abc", max_length=4)
    with pytest.raises(NotSupported, match="a chat has none yet"):
        echo(CHAT, max_length=40)


def test_tokens_are_drawn_as_transformers_draws_them() -> None:
    pipe = stand("text-generation")
    pipe("a")
    pipe("a", do_sample=False)
    pipe("a", temperature=0)
    pipe("a", temperature=0.2, top_k=0)
    assert [
        {name: asked[name] for name in sorted(asked) if name != "inputs"} for asked in pipe.model.asked
    ] == [
        {"do_sample": True, "temperature": 0.7, "top_k": 50},
        {"do_sample": False},
        {"do_sample": False},
        {"do_sample": True, "temperature": 0.2, "top_k": 0},
    ]
    own = stand("text-generation", {"do_sample": False, "temperature": 0.3})
    own("a")
    own("a", top_p=0.9)
    assert [asked["do_sample"] for asked in own.model.asked] == [False, True]
    assert own.model.asked[1]["temperature"] == 0.3


def test_several_answers_have_seeds_of_their_own() -> None:
    pipe = stand("text-generation")
    answers = pipe("a", num_return_sequences=3, seed=7)
    assert answers == [{"generated_text": "1"}, {"generated_text": "2"}, {"generated_text": "3"}]
    assert [asked["seed"] for asked in pipe.model.asked] == [7, 8, 9]
    pipe("a", num_return_sequences=2)
    first, second = (asked["seed"] for asked in pipe.model.asked[3:])
    assert second == first + 1
    with pytest.raises(InvalidInput, match="without sampling all answers are one"):
        pipe("a", num_return_sequences=2, do_sample=False)


def test_other_words_for_what_there_is() -> None:
    pipe = stand("text-generation", None, generate_kwargs={"max_new_tokens": 3})
    pipe(
        "a",
        stop_sequence="b",
        pad_token_id=0,
        eos_token_id=[2],
        use_cache=True,
        num_beams=1,
        return_text=True,
    )
    pipe(CHAT, continue_final_message=True)
    first, second = pipe.model.asked
    assert (first["stop"], first["max_new_tokens"]) == ("b", 3)
    assert set(first) == {"inputs", "stop", "max_new_tokens", "do_sample", "temperature", "top_k"}
    assert second["chat_template_kwargs"] == {"continue_final_message": True}
    with pytest.warns(UserWarning, match="clean_up_tokenization_spaces is ignored"):
        pipe("a", clean_up_tokenization_spaces=True)
    with pytest.raises(InvalidInput, match="'stop' and 'stop_strings' contradict"):
        pipe("a", stop="x", stop_strings=["y"])


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("text-generation", {"streamer": object()}, "cannot take a streamer"),
        ("text-generation", {"return_tensors": True}, "cannot have return_tensors=True"),
        ("text-generation", {"return_text": False}, "cannot have return_text=False"),
        ("text-generation", {"num_beams": 4}, "cannot have another num_beams than 1"),
        ("text-generation", {"eos_token_id": 5}, "eos_token_id 5 is no token that ends"),
        ("summarization", {"return_tensors": "pt"}, "cannot have return_tensors='pt'"),
        ("translation", {"return_text": False}, "cannot have return_text=False"),
        ("text2text-generation", {"streamer": object()}, "cannot take a streamer"),
        ("text2text-generation", {"generation_config": object()}, "cannot take a generation_config"),
        ("translation", {"stopping_criteria": [object()]}, "cannot take a stopping_criteria"),
    ],
)
def test_what_a_pipeline_cannot_do(task: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NotSupported, match=message):
        stand(task)("a", **arguments)


def test_arguments_that_ask_for_what_is_done() -> None:
    pipe = stand("summarization")
    pipe("a", return_tensors=False, return_text=True, pad_token_id=0, max_length=9)
    assert pipe.model.asked == [{"inputs": "a", "max_length": 9}]


def test_the_scripts_of_transformers() -> None:
    """What tutorials call, on the starters."""
    translate = firstlight.pipeline("translation_en_to_fr")
    (found,) = translate("Where is the train station?", max_length=40)
    assert set(found) == {"translation_text"}
    assert translate(["Where is the train station?"])[0]["translation_text"] == found["translation_text"]
    assert [
        len(answers) for answers in translate(["I love you.", "She sleeps."], num_return_sequences=2)
    ] == [2, 2]
    text = "Where is the train station?"
    assert firstlight.pipeline("text2text-generation", "starter:translate-en2fr")(text) == [
        {"generated_text": translate(text)[0]["translation_text"]}
    ]
    with pytest.warns(UserWarning, match="extractive summary"):
        (summary,) = firstlight.pipeline("summarization")(
            "The library opened in 1902. The weavers paid for it. Today it lends films.",
            max_length=130,
            min_length=3,
            do_sample=False,
        )
    assert set(summary) == {"summary_text"}


def test_a_model_of_another_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'tgt_lang' is 'de', and this model's is 'fr'"):
        firstlight.pipeline("translation_en_to_de", model="starter:translate-en2fr")("I love you.")
