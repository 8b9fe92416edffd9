"""From the name of a model to an answering endpoint, with the real client of the hub and a hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy_models
import pickled_files
import pytest
import random_bert
import small_decoders
import small_exports
from safetensors.numpy import load_file, save_file

from firstlight.build import lock
from firstlight.build.convert import ct2
from firstlight.build.gguf import folder as gguf_folder
from firstlight.testing.hub import Hub, local_hub
from serving import Server

SECONDS = 120
TEXT = {"inputs": "a day in the sun"}
ASKED = {"inputs": {"question": "was it the day?", "context": "it was her day, and they sang."}}
WORDS = {"inputs": "w1 w2 w3", "parameters": {"max_new_tokens": 4}}


@dataclass
class Project:
    """A folder to be in, with caches of its own, and the hub it asks."""

    folder: Path
    hub: Hub

    @property
    def env(self) -> dict[str, str]:
        clean = {
            key: value for key, value in os.environ.items() if not key.startswith(("HF_", "FIRSTLIGHT_"))
        }
        home = self.folder.parent / "home"
        return {
            **clean,
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
        }

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "firstlight", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=self.folder, env={**self.env, **env}, text=True, **pipes)

    def run(self, *words: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=SECONDS)
        return process.returncode, out, err

    def add(self, *words: str, **env: str) -> Any:
        code, out, err = self.run("add", *words, "--json", **env)
        assert code == 0, err
        return json.loads(out)

    def answer(self, name: str, event: Any) -> Any:
        code, out, err = self.run("run", name, "-d", json.dumps(event), "--json")
        assert code == 0, err
        return json.loads(out)["payload"]

    @property
    def toml(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "firstlight.toml").read_text())

    @property
    def files(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()}


RENAMED = {
    "bert.encoder.layer": "distilbert.transformer.layer",
    "bert.embeddings": "distilbert.embeddings",
    "bert.pooler.dense": "pre_classifier",
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def renamed(name: str) -> str:
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name


def distilbert(folder: Path) -> None:
    """A DistilBERT of the weights of a small BERT."""
    random_bert.bert(folder, labels=2)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "distilbert",
        "architectures": ["DistilBertForSequenceClassification"],
        "dim": 32,
    }
    config |= {
        "n_heads": 4,
        "n_layers": 2,
        "hidden_dim": 64,
        "activation": "gelu",
        "id2label": {"0": "NO", "1": "YES"},
    }
    weights = load_file(folder / "model.safetensors")
    save_file(
        {renamed(name): value for name, value in weights.items() if "token_type" not in name},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(config))


def sequences(folder: Path, kind: str, architecture: str) -> None:
    numpy_models.like_bart(kind, architectures=[architecture]).save(folder)
    numpy_models.words(folder)


def card(folder: Path, task: str) -> None:
    (folder / "README.md").write_text(f"---\nlicense: mit\npipeline_tag: {task}\n---\n# A model\n")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories of the architectures people ask for, with small random weights."""
    root = tmp_path_factory.mktemp("shelf")
    distilbert(root / "acme" / "distilbert-sst-2")
    card(root / "acme" / "distilbert-sst-2", "text-classification")
    random_bert.bert(root / "acme" / "bert-qa", "BertForQuestionAnswering")
    random_bert.bert(root / "acme" / "lyrics", labels=6)
    sequences(root / "acme" / "opus-mt-en-fr", "marian", "MarianMTModel")
    sequences(root / "acme" / "distilbart", "bart", "BartForConditionalGeneration")
    card(root / "acme" / "distilbart", "summarization")
    small_decoders.llama(root / "made" / "tiny")
    gguf_folder.convert(root / "made" / "tiny", root / "made" / "bundle", precision="f32")
    (root / "acme" / "tiny-gguf").mkdir()
    (root / "made" / "bundle" / "model.gguf").rename(root / "acme" / "tiny-gguf" / "tiny-f32.gguf")
    small_exports.export(root / "acme" / "exported")
    ct2.convert(root / "acme" / "distilbart", root / "made" / "ct2", precision="int8")
    (root / "acme" / "bart-ct2").mkdir()
    for name in ("model.bin", "config.json", "shared_vocabulary.json", "tokenizer.json"):
        shutil.copy(root / "made" / "ct2" / name, root / "acme" / "bart-ct2")
    shutil.rmtree(root / "made")
    return root


@pytest.fixture
def project(shelf: Path, tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "demo").mkdir()
    with local_hub(shutil.copytree(shelf, tmp_path / "shelf")) as hub:
        yield Project(tmp_path / "demo", hub)


@pytest.mark.parametrize(
    ("repository", "task", "engine", "event"),
    [
        ("distilbert-sst-2", "text-classification", "onnx", TEXT),
        ("bert-qa", "question-answering", "onnx", ASKED),
        ("opus-mt-en-fr", "translation", "ctranslate2", WORDS),
        ("distilbart", "summarization", "ctranslate2", WORDS),
        ("lyrics", "text-classification", "onnx", TEXT),
        ("tiny-gguf", "text-generation", "llama", {"inputs": "Once", "parameters": {"max_new_tokens": 3}}),
        ("exported", "text-classification", "onnx", TEXT),
        ("bart-ct2", "text2text-generation", "ctranslate2", WORDS),
    ],
)
def test_a_name_becomes_an_endpoint_that_answers(project, repository, task, engine, event):
    done = project.add(f"acme/{repository}")
    assert (done["endpoint"], done["task"], done["engine"]) == (repository, task, engine)
    assert done["written"] == ["firstlight.lock", "firstlight.toml"]
    assert project.files == {"firstlight.lock", "firstlight.toml"}
    assert project.toml["endpoints"] == {repository: {"model": f"hf:acme/{repository}"}}
    entry = lock.read(project.folder).endpoints[repository]
    assert (entry.revision, entry.task) == (project.hub.commit(f"acme/{repository}", "main"), task)
    assert [file.path for file in entry.files] == done["files"]
    assert project.answer(repository, event)
    code, out, err = project.run("build", "--locked")
    assert code == 0, out + err


def test_what_is_added_is_served_and_called_as_it_was_said(project, monkeypatch):
    for name, value in project.env.items():
        monkeypatch.setenv(name, value)
    done = project.add("acme/distilbert-sst-2", "--as", "mood", "--route", "/mood")
    serve, call = done["next"]
    assert (serve, call.startswith("firstlight invoke mood -d '")) == ("firstlight serve", True)
    event = json.loads(call.partition("-d ")[2].strip("'"))
    with Server(project.folder) as server:
        for path in ("/2015-03-31/functions/mood/invocations", "/mood"):
            status, _, body = server.ask("POST", path, event)
            assert (status, {one["label"] for one in json.loads(body)}) == (200, {"YES", "NO"})


def test_a_page_a_revision_and_a_file_of_the_hub(project):
    tagged = {"tags": {"v1": "at-v1"}}
    folder = project.hub.folder / "acme" / "lyrics"
    shutil.copytree(folder, folder / "at-v1")
    (folder / "hub.json").write_text(json.dumps(tagged))
    assert project.add("acme/lyrics@v1", "--as", "one")["revision"] == project.hub.commit("acme/lyrics", "v1")
    project.add(f"{project.hub.url}/acme/lyrics", "--as", "two")
    project.add("acme/tiny-gguf/tiny-f32.gguf", "--as", "three")
    assert {name: its["model"] for name, its in project.toml["endpoints"].items()} == {
        "one": "hf:acme/lyrics@v1",
        "two": "hf:acme/lyrics",
        "three": "hf:acme/tiny-gguf/tiny-f32.gguf",
    }


def test_folders_files_and_starters_of_this_machine(project, shelf):
    shutil.copytree(shelf / "acme" / "lyrics", project.folder / "models" / "lyrics")
    shutil.copy(shelf / "acme" / "tiny-gguf" / "tiny-f32.gguf", project.folder)
    exported = shutil.copytree(shelf / "acme" / "exported", project.folder.parent / "exported")
    graph = next(exported.rglob("*.onnx"))
    for model, name, kept in (
        ("models/lyrics/", "lyrics", "models/lyrics"),
        ("tiny-f32.gguf", "tiny-f32", "./tiny-f32.gguf"),
        (str(graph), "graph", str(graph)),
        ("starter:qa", "qa", "starter:qa"),
    ):
        done = project.add(model, "--as", name)
        assert (done["bytes"], project.toml["endpoints"][name]["model"]) == (0, kept)
    assert project.hub.requests == []
    assert project.answer("graph", TEXT)
    assert project.answer("lyrics", TEXT)
    assert set(lock.read(project.folder).endpoints) == {"lyrics", "tiny-f32", "graph", "qa"}


def test_the_same_again_changes_nothing_though_the_hub_moved_on(project):
    project.add("acme/lyrics")
    before = {name: (project.folder / name).read_bytes() for name in project.files}
    (project.hub.folder / "acme" / "lyrics" / "README.md").write_text("new\n")
    done = project.add("acme/lyrics")
    assert (done["written"], done["revision"] != project.hub.commit("acme/lyrics", "main")) == ([], True)
    assert done["bytes_here"] == done["bytes"]
    assert {name: (project.folder / name).read_bytes() for name in project.files} == before


def test_a_dry_run_fetches_no_weights_and_writes_nothing(project):
    done = project.add("acme/lyrics", "--dry-run")
    assert done["bytes"] > 100_000
    assert done["memory_mb"] > 0
    assert project.hub.sent("acme/lyrics/model.safetensors") == 0
    assert project.files == set()


def test_a_typo_is_answered_with_the_name_that_was_meant(project):
    code, _, err = project.run("add", "acme/lyrcs")
    assert (code, "did you mean acme/lyrics?" in err, project.files) == (1, True, set())


def test_a_gated_repository_is_added_with_a_token(project):
    folder = project.hub.folder / "acme" / "lyrics"
    (folder / "hub.json").write_text(json.dumps({"gated": True, "tokens": ["hf_reader"]}))
    code, _, err = project.run("add", "acme/lyrics")
    assert (code, "gated" in err, project.files) == (1, True, set())
    assert project.add("acme/lyrics", HF_TOKEN="hf_reader")["gated"] is True
    assert "hf_reader" not in (project.folder / "firstlight.lock").read_text()


def test_what_was_added_is_added_elsewhere_without_the_hub(project):
    project.add("acme/lyrics")
    other = Project(project.folder.parent / "other", project.hub)
    other.folder.mkdir()
    assert other.add("acme/lyrics", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")["written"]
    first, second = (lock.read(place.folder).endpoints["lyrics"] for place in (project, other))
    assert first.digest == second.digest
    code, _, err = other.run("add", "acme/bert-qa", HF_HUB_OFFLINE="1")
    assert (code, "HF_HUB_OFFLINE" in err) == (1, True)


def test_pickles_are_read_where_it_is_allowed_and_said_in_both_files(project):
    folder = project.hub.folder / "acme" / "lyrics"
    pickled_files.saved(folder / "pytorch_model.bin", load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    code, _, err = project.run("add", "acme/lyrics")
    assert (code, "--allow-pickle" in err, project.files) == (1, True, set())
    project.add("acme/lyrics", "--allow-pickle")
    assert project.toml["endpoints"]["lyrics"]["allow_pickle"] is True
    assert lock.read(project.folder).endpoints["lyrics"].allow_pickle
    assert project.answer("lyrics", TEXT)


def test_a_malicious_pickle_runs_nothing_and_leaves_nothing(project):
    folder = project.hub.folder / "acme" / "lyrics"
    (folder / "model.safetensors").unlink()
    trace = project.folder.parent / "it-ran"
    program = b"cos\nsystem\n(" + pickled_files.text(f"touch {trace}") + b"tR."
    pickled_files.zipped(folder / "pytorch_model.bin", b"\x80\x02" + program, {})
    code, _, err = project.run("add", "acme/lyrics", "--allow-pickle")
    assert (code, "asks for os.system" in err) == (1, True)
    assert (trace.exists(), project.files) == (False, set())


def test_two_at_once_lose_none(project):
    names = ("lyrics", "bert-qa", "distilbert-sst-2", "tiny-gguf")
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: project.add(f"acme/{name}"), names))
    assert set(project.toml["endpoints"]) == set(names) == set(lock.read(project.folder).endpoints)
    assert project.files == {"firstlight.lock", "firstlight.toml"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_download_that_is_stopped_leaves_the_project_as_it_was_and_is_taken_up(project, number):
    project.add("starter:qa")
    before = {name: (project.folder / name).read_bytes() for name in project.files}
    weights = "acme/lyrics/model.safetensors"
    project.hub.faults.add(weights, hold=20_000)
    process = project.start("add", "acme/lyrics")
    project.hub.wait(lambda: project.hub.sent(weights) >= 20_000)
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert {name: (project.folder / name).read_bytes() for name in project.files} == before
    project.hub.faults.clear()
    project.add("acme/lyrics")
    assert set(project.toml["endpoints"]) == {"qa", "lyrics"}
