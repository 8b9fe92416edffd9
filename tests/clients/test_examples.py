"""Every example is served as it lies in the repository and answers as its README says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving import Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def copied(name: str, into: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / name, into / name))


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(copied("router", tmp_path_factory.mktemp("examples"))) as running:
        yield running


def go(server: Server, **body: str) -> dict[str, object]:
    answer = httpx.post(f"{server.url}/go", json=body, timeout=60).raise_for_status().json()
    assert answer["message"] == "Invocation successful"
    assert answer["responseFromLambda"]["statusCode"] == 200
    return answer["responseFromLambda"]["body"]


def test_every_example_has_a_readme() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == {
        path.parent.name for path in EXAMPLES.glob("*/README.md")
    }


def test_the_first_script_answers_the_form(router: Server) -> None:
    assert go(router, text="what a lovely day")["label"] == "POSITIVE"
    assert "<form" in httpx.get(f"{router.url}/go").raise_for_status().text


def test_the_translator_answers_by_name_and_by_arn(router: Server) -> None:
    expected = {"translation_text": "Où se trouve la gare ?"}
    arn = "arn:aws:lambda:us-east-1:123456789012:function:translate-en2fr"
    for function in ("translate-en2fr", arn):
        assert go(router, text="Where is the train station?", functionARN=function) == expected


def test_the_summarizer_takes_the_key_it_was_written_for(router: Server) -> None:
    text = "The library opened in 1902. The weavers of the town paid for it. Today it lends music and films."
    url = f"{router.url}/2015-03-31/functions/summarization/invocations"
    answer = httpx.post(url, json={"article": text}, timeout=60).raise_for_status().json()
    assert answer["body"]["summary_text"] in text


def test_qa_answers_on_its_route_and_logs_the_texts(tmp_path: Path) -> None:
    project = copied("qa", tmp_path)
    question = {
        "question": "Who built the bridge?",
        "context": "Ada Lane built the bridge in 1871. It fell into the river in 1903.",
    }
    with Server(project) as server:
        answer = httpx.post(f"{server.url}/qa", json=question, timeout=60).raise_for_status().json()
        assert answer["answer"] == "Ada Lane"
    logs = subprocess.run(
        [sys.executable, "-m", "firstlight", "logs", "--json"],
        cwd=project,
        env={**os.environ, "FIRSTLIGHT_DATA_DIR": str(project / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Who built the bridge?" in logs.stdout


def test_lyrics_names_the_kind_of_song(tmp_path: Path) -> None:
    verse = "Hush-a-bye, baby, on the tree top, / When the wind blows the cradle will rock"
    command = [sys.executable, "-m", "firstlight", "run", "lyrics", "-d", f'{{"inputs": "{verse}"}}']
    done = subprocess.run(
        command, cwd=copied("lyrics", tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nursery_rhyme" in done.stdout


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = copied("documents", tmp_path_factory.mktemp("examples"))
    settings = project / "firstlight.toml"
    settings.write_text(settings.read_text().replace("timeout = 5 ", "timeout = 0.7 "))
    with Server(project) as running:
        yield running


def test_a_script_summarises_and_translates(documents: Server) -> None:
    article = (
        "The library opened in 1902. The weavers of the town paid for it. Today it lends music and films."
    )
    url = f"{documents.url}/2015-03-31/functions/digest/invocations"
    body = httpx.post(url, json={"article": article}, timeout=60).raise_for_status().json()["body"]
    assert body["summary"] in article
    assert body["french"] not in ("", body["summary"])


def test_a_long_document_is_translated_in_several_calls(documents: Server, tmp_path: Path) -> None:
    text = "# Notes\n\n" + "The dog sleeps in the garden.\n- I love you.\n\n" * 150
    (tmp_path / "notes.md").write_text(text)
    url = f"{documents.url}/models/translate"
    script, brief = str(EXAMPLES / "documents/translate.py"), "0.05"
    command = [sys.executable, script, str(tmp_path / "notes.md"), url, brief]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "parts" in done.stderr  # it took more than one call
    assert [line[:2].strip("- ") != "" for line in done.stdout.split("\n")] == [
        line[:2].strip("- ") != "" for line in text.split("\n")
    ]
    sentence = done.stdout.split("\n")[2]
    assert done.stdout.count(sentence) == 150


def test_a_translation_is_streamed(documents: Server) -> None:
    asked = {"inputs": "Where is the train station?", "parameters": {"num_beams": 1}, "stream": True}
    url = f"{documents.url}/models/translate"
    with httpx.stream("POST", url, json=asked, timeout=60) as reply:
        events = [json.loads(line.removeprefix("data:")) for line in reply.iter_lines() if line]
    assert "".join(event["token"]["text"] for event in events) == events[-1]["generated_text"]
    assert len(events) > 3


def test_a_pair_of_languages_that_the_model_is_not_made_for(documents: Server) -> None:
    asked = {"inputs": "I love you.", "task": "translation_en_to_de"}
    reply = httpx.post(f"{documents.url}/models/translate", json=asked, timeout=60)
    assert (reply.status_code, "this model's is 'fr'" in reply.json()["error"]) == (400, True)
    asked["task"] = "translation_en_to_fr"
    assert httpx.post(f"{documents.url}/models/translate", json=asked, timeout=60).status_code == 200
