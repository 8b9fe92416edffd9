"""``firstlight add`` of what is on this machine, and how both files are written."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tomllib
from pathlib import Path

import pytest
import random_bert

from firstlight.build import lock
from firstlight.build.types import Made, Wish
from firstlight.cli import entering, planning
from firstlight.project import editing
from firstlight.runtime.errors import ProjectError

WRITTEN = ["firstlight.lock", "firstlight.toml"]


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(folder.parent / "hf"))
    random_bert.bert(folder / "models" / "mood")
    return folder


def toml(project: Path) -> dict[str, object]:
    return tomllib.loads((project / "firstlight.toml").read_text())


def state(project: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in project.iterdir() if file.is_file()}


def test_a_starter_begins_a_project(cli, project):
    done = cli("add", "starter:qa", "--as", "ask", "--json")
    assert done.code == 0, done.err
    assert (done.json["written"], done.json["task"]) == (WRITTEN, "question-answering")
    assert toml(project) == {"name": "demo", "endpoints": {"ask": {"model": "starter:qa"}}}
    assert lock.read(project).endpoints["ask"].licence == done.json["licence"]


def test_a_starter_of_another_task_than_its_bundle(cli, project):
    assert cli("add", "starter:summarize", "--json").json["task"] == "summarization"


def test_the_list_knows_what_the_lock_says(cli, project):
    cli("add", "./models/mood")
    (listed,) = cli("list", "--json").json
    assert (listed["name"], listed["task"]) == ("mood", "text-classification")
    (project / "firstlight.lock").write_text("<<<<<<< mine\n")
    assert cli("list").code == 0


def test_what_was_added_is_as_locked_for_those_who_build(cli, project):
    for words in (["starter:summarize"], ["starter:qa", "--as", "ask"], ["models/mood", "--quantize", "nb8"]):
        assert cli("add", *words).code == 0
    done = cli("build", "--locked")
    assert done.code == 0, done.out + done.err
    before = state(project)
    assert cli("build").code == 0
    assert cli("add", "starter:summarize", "--json").json["written"] == []
    assert state(project) == before


def test_a_folder_is_converted_and_what_was_said_is_written(cli, project):
    text = '# mine\n[endpoints.other]\nmodel = "starter:qa"\n'
    (project / "firstlight.toml").write_text(text)
    done = cli(
        "add", "./models/mood", "--quantize", "fp32", "--route", "/mood", "--task", "text-classification"
    )
    assert done.code == 0, done.err
    assert "mood: text-classification, onnx, fp32; wrote firstlight.lock and firstlight.toml" in done.out
    assert "firstlight invoke mood -d '" in done.err
    assert "states no licence" in done.err
    assert (project / "firstlight.toml").read_text().startswith(text)
    said = {"model": "models/mood", "task": "text-classification", "quantize": "fp32", "route": "/mood"}
    assert toml(project)["endpoints"]["mood"] == said
    entry = lock.read(project).endpoints["mood"]
    assert entry.asked == {"task": "text-classification", "precision": "fp32"}
    assert {file.path for file in entry.files} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_from_a_folder_below_the_project(cli, project, monkeypatch):
    (project / "firstlight.toml").write_text("")
    monkeypatch.chdir(project / "models")
    assert cli("add", "mood", "--json").json["model"] == "models/mood"
    assert set(toml(project)["endpoints"]) == {"mood"}


def test_a_dry_run_writes_nothing(cli, project):
    done = cli("add", "models/mood", "--dry-run")
    assert done.code == 0, done.err
    assert "takes     model.safetensors: BertForSequenceClassification: " in done.out
    assert "licence   not stated" in done.out
    assert state(project) == {}


def test_the_same_again_is_no_change(cli, project):
    cli("add", "models/mood", "--quantize", "fp32")
    before = state(project)
    done = cli("add", "models/mood")
    assert (done.code, "is there already" in done.out) == (0, True)
    assert cli("add", "models/mood", "--quantize", "fp32", "--json").json["written"] == []
    assert state(project) == before


def test_another_model_under_a_name_wants_to_be_said(cli, project):
    (project / "firstlight.toml").write_text(
        '[endpoints.mood]\nscript = "mood.py" # old\ntimeout = 5\n\n[endpoints.qa]\nmodel = "starter:qa"\n'
    )
    (project / "mood.py").write_text("def handler(event, context): ...\n")
    before = state(project)
    done = cli("add", "models/mood")
    assert (done.code, "'mood' already, of mood.py" in done.err, "--as OTHER" in done.err) == (1, True, True)
    assert state(project) == before
    assert cli("add", "models/mood", "--replace").code == 0
    assert toml(project)["endpoints"]["mood"] == {"timeout": 5, "model": "models/mood"}
    assert cli("add", "models/mood", "--quantize", "int8").code == 1
    assert cli("add", "models/mood", "--quantize", "nb8", "--replace").code == 0
    assert lock.read(project).endpoints["mood"].precision == "nb8"


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["qa"], "not the name of a model", "did you mean 'starter:qa'?"),
        (["modles"], "no 'modles' here", "did you mean 'models'?"),
        (["gpt2"], "whose model it is", "owner/gpt2"),
        (["./nowhere"], "nothing at ./nowhere", "path"),
        (["models/moood"], "nothing at models/moood", "did you mean 'mood'?"),
        (["models/else"], "nothing at models/else", "hf:owner/name"),
        (["starter:nonsense"], "no starter named", "starters: "),
        (["models"], "holds no weights", ""),
        (["models/mood", "--task", "fill-mask"], "not for fill-mask", "leave the task out"),
        (["models/mood", "--task", "mind-reading"], "no task 'mind-reading'", ""),
        (["models/mood", "--quantize", "q3"], "--quantize: 'q3' is not one of", ""),
        (["models/mood", "--quantize", "q4_k_m"], "not made into q4_k_m", "fp32, int8, nb8"),
        (["models/mood", "--as", "a b"], "--as: 'a b' cannot be a name", "letters"),
        (["models/mood", "--route", "qa"], "--route: 'qa' cannot be a path", ""),
        (["models/mood", "--route", "/taken"], "already the route of 'taken'", "another path"),
        (["acme/model"], "HF_HUB_OFFLINE", ""),
        (["https://example.com/acme/model"], "not a page of the hub", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_said_and_nothing_is_written(cli, project, words, said, hint):
    (project / "firstlight.toml").write_text('[endpoints.taken]\nmodel = "starter:qa"\nroute = "/taken"\n')
    before = state(project)
    done = cli("add", *words)
    assert (done.code, done.err.count("error:")) == (1, 1)
    assert said in done.err
    assert hint in done.err
    assert state(project) == before


def test_pickles_are_read_only_where_it_is_allowed(cli, project):
    torch_zip = project / "models" / "mood" / "pytorch_model.bin"
    (project / "models" / "mood" / "model.safetensors").unlink()
    torch_zip.write_bytes(b"\x80\x02.")
    done = cli("add", "models/mood")
    assert (done.code, "--allow-pickle" in done.err) == (1, True)
    assert not (project / "firstlight.toml").exists()


def test_a_folder_that_cannot_be_written_is_found_out_before_the_conversion(cli, project):
    done = cli("-C", "/proc", "add", str(project / "models" / "mood"))
    assert (done.code, "/proc cannot be written" in done.err) == (1, True)
    assert not (project.parent / "cache" / "firstlight" / "bundles").exists()


def test_a_large_model_is_given_the_memory_it_is_expected_to_take(cli, project, monkeypatch):
    plan = planning.plan
    monkeypatch.setattr(planning, "plan", lambda *given: planning.replace(plan(*given), memory_mb=2000))
    assert cli("add", "models/mood").code == 0
    assert toml(project)["endpoints"]["mood"]["memory"] == 2560


def test_another_add_that_came_first_is_not_overwritten(cli, project, monkeypatch):
    from firstlight.build import resolve

    make = resolve.make

    def slowly(*given, **more):
        enter(project, "mood")
        return make(*given, **more)

    monkeypatch.setattr(resolve, "make", slowly)
    monkeypatch.setattr(f"{__name__}.made", lambda root: make(Wish("starter:qa"), root))
    done = cli("add", "models/mood")
    assert (done.code, "'mood' already, of starter:qa" in done.err) == (1, True)
    assert toml(project)["endpoints"] == {"mood": {"model": "starter:qa"}}


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("acme/model", "hf:acme/model"),
        ("hf:acme/model@v1", "hf:acme/model@v1"),
        ("acme/model/sub/a-q8_0.gguf@main", "hf:acme/model/sub/a-q8_0.gguf@main"),
        ("https://huggingface.co/acme/model", "hf:acme/model"),
        ("https://huggingface.co/acme/model/tree/v1", "hf:acme/model@v1"),
        ("https://huggingface.co/acme/model/blob/main/a.gguf", "hf:acme/model/a.gguf@main"),
        ("starter:qa", "starter:qa"),
        ("models/mood", "models/mood"),
        ("./models/mood/", "models/mood"),
        ("models", "./models"),
        ("models/../models/mood", "models/mood"),
    ],
)
def test_a_model_is_written_as_it_was_meant(project, said, written):
    assert planning.model_of(said, project) == written


def test_a_model_outside_the_project_is_written_with_its_whole_path(project):
    assert planning.model_of("..", project) == str(project.parent)


def enter(root: Path, name: str) -> None:
    with entering.alone(root):
        entering.enter(root, entering.Entry(name, {"model": "starter:qa"}, made=made(root)))


def made(root: Path) -> Made:
    from firstlight.build import resolve

    return resolve.make(Wish("starter:qa"), root)


def killed(root: Path, step: str) -> None:
    """Ends itself the moment it is to take a step."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    target, name = {"lock": (entering.lock, "write"), "toml": (entering, "_replace")}[step]
    setattr(target, name, die)
    enter(root, "second")


@pytest.mark.parametrize("step", ["lock", "toml"])
def test_a_process_that_is_killed_between_the_two_files_leaves_them_as_they_were(project, step):
    enter(project, "first")
    before = state(project)
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(project, step))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with entering.alone(project):
        """Puts back what the killed process had written."""
    assert state(project) == before
    enter(project, "second")
    assert set(lock.read(project).endpoints) == {"first", "second"}


def test_a_lock_file_that_was_written_alone_is_put_back_only_if_it_belongs_to_what_is_there(project):
    enter(project, "first")
    before = state(project)
    journal = {"toml": entering._digest("something else"), "lock": "version = 1\n"}
    (project / entering.BESIDE).write_text(json.dumps(journal))
    with entering.alone(project):
        assert {**state(project), entering.BESIDE: b""} == {**before, entering.BESIDE: b""}


@pytest.mark.parametrize("left", ["", "{", "[]", '{"toml": 3}'])
def test_what_else_may_be_left_beside_is_no_reason_to_stop(project, left):
    (project / entering.BESIDE).write_text(left)
    enter(project, "first")
    assert set(state(project)) == set(WRITTEN)


def test_a_disk_that_is_full_leaves_both_files_as_they_were(project, monkeypatch):
    enter(project, "first")
    before = state(project)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entering.os, "fsync", full)
    with pytest.raises(ProjectError, match="No space left"):
        enter(project, "second")
    monkeypatch.undo()
    assert state(project) == before


def test_names_of_endpoints():
    names = {
        "hf:owner/Some.Model_v2@main": "Some-Model_v2",
        "hf:owner/tiny-gguf/tiny.gguf": "tiny-gguf",
        "./tiny-q8_0.gguf": "tiny-q8_0",
        "/a/b/c.d/": "c-d",
        "starter:qa": "qa",
        "./%%%": "model",
    }
    assert {model: planning.endpoint_name(model) for model in names} == names


def test_the_file_that_is_begun_is_a_project(project):
    (project / "firstlight.toml").write_text(editing.begun("demo"))
    enter(project, "first")
    assert list(toml(project)) == ["name", "endpoints"]
