"""``firstlight build``, ``verify`` and ``update``, of models of this machine."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import random_bert

from firstlight.build import lock
from firstlight.build.lock import building
from firstlight.runtime.bundle import Bundle

PROJECT = """
[endpoints.mood]
model = "model"  # mine

[endpoints.qa]
model = "starter:qa"

[endpoints.hello]
script = "hello.py"
"""
STAGE = """
[stage.prod.endpoints.mood]
quantize = "nb8"
"""


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
    random_bert.bert(folder / "model")
    (folder / "model" / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "hello.py").write_text("def handler(event, context): ...\n")
    (folder / "firstlight.toml").write_text(PROJECT)
    return folder


def ask_for(project: Path, old: str, new: str) -> None:
    file = project / "firstlight.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def sha256_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_build_makes_bundles_and_writes_the_lock(cli, project):
    done = cli("build")
    assert done.code == 0, done.err
    assert [line.partition(", bundle")[0] for line in done.out.splitlines()] == [
        "mood: text-classification, onnx, fp32",
        "qa: question-answering, onnx, int8",
        "firstlight.lock is written",
    ]
    locked = lock.read(project)
    assert set(locked.endpoints) == {"mood", "qa"}
    mood = locked.endpoints["mood"]
    assert (mood.model, mood.licence, mood.precision) == ("model", "mit", "fp32")
    assert [file.path for file in mood.files] == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    text = (project / "firstlight.lock").read_text()
    assert str(project) not in text
    again = cli("build", "--json")
    assert [one["state"] for one in again.json["endpoints"]] == ["as locked", "as locked"]
    assert again.json["written"] is False
    assert Bundle.open(again.json["endpoints"][0]["path"], "hashes").digest == mood.digest
    assert (project / "firstlight.lock").read_text() == text


def test_one_endpoint_alone(cli, project):
    assert cli("build", "qa").code == 0
    assert set(lock.read(project).endpoints) == {"qa"}
    done = cli("build", "hello")
    assert done.code == 1
    assert "no endpoint 'hello' with a model" in done.err


def test_stages_have_entries_where_they_ask_for_something_else(cli, project):
    ask_for(project, "[endpoints.qa]", STAGE + "\n[endpoints.qa]")
    assert cli("build", "--stage", "prod").code == 0
    locked = lock.read(project)
    assert (set(locked.endpoints), locked.stages["prod"]["mood"].precision) == ({"qa"}, "nb8")
    assert cli("build").code == 0
    locked = lock.read(project)
    assert locked.endpoints["mood"].precision == "fp32"
    assert cli("build", "--locked", "--stage", "prod").code == 0
    ask_for(project, 'quantize = "nb8"', 'quantize = "fp32"')
    done = cli("build", "--locked")
    assert done.code == 1
    assert "mood (stage prod): quantize: nb8 in the lock, fp32 in firstlight.toml" in done.out
    ask_for(project, 'quantize = "fp32"', "memory = 512")
    assert "mood (stage prod): no longer in firstlight.toml, taken out" in cli("build").out
    assert lock.read(project).stages == {}


def test_a_changed_project_file_is_built_anew(cli, project):
    cli("build")
    ask_for(project, '"model"', '"model"\nquantize = "nb8"')
    strict = cli("build", "--locked", "--json")
    assert strict.code == 1
    assert strict.json["problems"] == [
        {
            "endpoint": "mood",
            "stage": None,
            "found": "quantize: left open in the lock, nb8 in firstlight.toml",
        }
    ]
    done = cli("build")
    assert "mood: text-classification, onnx, nb8" in done.out
    assert "  precision: fp32 -> nb8" in done.out.splitlines()
    assert cli("build", "--locked").code == 0


def test_locked_writes_nothing_and_names_every_difference(cli, project):
    done = cli("build", "--locked")
    assert done.code == 1
    assert done.out.splitlines() == ["mood: not in firstlight.lock", "qa: not in firstlight.lock"]
    assert not (project / "firstlight.lock").exists()
    cli("build")
    text = (project / "firstlight.lock").read_text()
    ask_for(project, "[endpoints.qa]", "[endpoints.answers]")
    flip(project / "model" / "model.safetensors")
    done = cli("build", "--locked")
    assert done.code == 1
    weights = (project / "model" / "model.safetensors").stat().st_size
    lines = done.out.splitlines()
    assert lines[0] == f"mood: file model.safetensors: changed, {weights:,} bytes"
    assert lines[1].startswith("mood: bundle: ")
    assert lines[2:] == [
        "answers: not in firstlight.lock",
        "qa: in firstlight.lock and not in firstlight.toml",
    ]
    assert "error: not everything is as firstlight.lock says" in done.err
    assert (project / "firstlight.lock").read_text() == text


def test_files_that_changed_wait_for_an_update(cli, project):
    cli("build")
    before = lock.read(project).endpoints["mood"]
    random_bert.bert(project / "model", seed=1)
    done = cli("build")
    assert done.code == 0
    assert "(not as locked)" in done.out
    assert "firstlight update mood" in done.err
    assert lock.read(project).endpoints["mood"] == before
    done = cli("update", "mood")
    assert done.out.splitlines()[0] == "mood: changed"
    assert any(line.startswith("  file model.safetensors: changed") for line in done.out.splitlines())
    after = lock.read(project).endpoints["mood"]
    assert after.digest != before.digest
    again = cli("update", "--json").json
    assert [one["changes"] for one in again["endpoints"]] == [[], []]
    assert again["written"] is False


def test_an_update_shows_figures_before_and_after(cli, project):
    ask_for(project, '"model"', '"model"\nquantize = "nb8"')
    cli("build")
    random_bert.bert(project / "model", seed=1)
    (moved,) = cli("update", "mood", "--json").json["endpoints"]
    figures = moved["parity"]["max_score_diff"]
    assert figures["before"] != figures["now"]
    assert moved["bundle"]["before"] != moved["bundle"]["now"]


def test_a_revision_is_of_one_repository(cli, project):
    assert cli("update", "--to", "main").code == 2
    done = cli("update", "mood", "--to", "main")
    assert done.code == 1
    assert "model has no revisions" in done.err
    assert "starter:qa has no revisions" in cli("update", "qa", "--to", "main").err


def test_verify_finds_a_changed_byte_wherever_it_is(cli, project):
    assert "there is no firstlight.lock" in cli("verify").err
    (mood, _) = cli("build", "--json").json["endpoints"]
    done = cli("verify")
    assert done.code == 0
    assert done.out.splitlines() == [
        "mood: cache: 4 files match",
        "mood: bundle: 4 files match",
        "qa: cache: it was a bundle already",
        "qa: bundle: 4 files match",
    ]
    flip(project / "model" / "model.safetensors")
    place = Path(mood["path"])
    flip(place / "model.onnx")
    done = cli("verify", "mood")
    assert done.code == 1
    cache, bundle = done.out.splitlines()
    assert cache.startswith("mood: cache: model.safetensors has SHA-256")
    assert bundle.startswith("mood: bundle: model.onnx in the bundle")
    assert "2 things are not as locked" in done.err
    content = json.loads((place / "bundle.json").read_text())
    (place / "bundle.json").write_text(json.dumps(content | {"labels": ["a", "b", "c"]}))
    told = cli("verify", "mood", "--json").json
    assert told["ok"] is False
    (problem, _) = told["endpoints"][0]["checked"][1]["problems"]
    assert problem.startswith("its digest is")
    (place / "model.onnx").unlink()
    assert "model.onnx is missing" in cli("verify", "mood").out


def test_a_damaged_bundle_of_the_cache_is_made_again(cli, project):
    place = Path(cli("build", "mood", "--json").json["endpoints"][0]["path"])
    flip(place / "model.onnx")
    done = cli("build", "--locked", "mood")
    assert done.code == 0
    assert "model.onnx in the bundle" in done.err
    Bundle.open(place, "hashes")


def test_a_project_that_is_the_model_is_the_same_bundle_in_any_checkout(cli, project):
    (project / "model" / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "."\n')
    one = cli("-C", "model", "build").out
    (project / "model").rename(project / "elsewhere")
    assert (
        cli("-C", str(project / "elsewhere"), "build", "--locked").out
        == one.splitlines()[0].replace("added", "as locked") + "\n"
    )


def test_verify_says_what_is_not_here_or_not_asked_for(cli, project):
    cli("build")
    ask_for(project, '"model"  # mine', '"other"')
    (project / "model").rename(project / "other")
    assert cli("verify", "mood").out == "mood: lock: model: model in the lock, other in firstlight.toml\n"
    ask_for(project, '"other"', '"model"')
    shutil.rmtree(project.parent / "cache")
    done = cli("verify", "mood")
    assert done.code == 0
    assert done.out.splitlines() == [
        "mood: cache: 4 of 4 files are not on this machine",
        "mood: bundle: it is not on this machine; `firstlight build` makes it",
    ]


def test_traced_scripts_and_their_layers_are_checked_too(cli, project):
    packed = b"a layer"
    digest, script = sha256(packed).hexdigest(), sha256_of(project / "hello.py")
    caches = lock.Caches(digest, len(packed), script)
    lock.write(project, lock.Lock(caches={"hello": caches, "gone": caches}))
    layers = project / ".firstlight" / "layers"
    layers.mkdir(parents=True)
    (layers / f"{digest}.tar").write_bytes(packed)
    assert "gone: no longer in firstlight.toml, taken out" in cli("build").out
    assert lock.read(project).caches == {"hello": caches}
    assert cli("build", "--locked").code == 0
    assert cli("verify", "hello").out == "hello: layer: 2 files match\n"
    (layers / f"{digest}.tar").write_bytes(b"another")
    (project / "hello.py").write_text("def handler(event, context): return 1\n")
    changed = "hello.py was changed after it was traced: run `firstlight trace hello`"
    assert f"hello: {changed}" in cli("build", "--locked").out.splitlines()
    done = cli("verify", "hello")
    assert done.code == 1
    assert done.out.splitlines()[0] == f"hello: layer: {changed}"
    assert "is not what its name says" in done.out
    (layers / f"{digest}.tar").unlink()
    lock.write(
        project,
        lock.read(project).with_caches("hello", replace(caches, script=sha256_of(project / "hello.py"))),
    )
    assert cli("verify", "hello").out == f"hello: layer: the layer {digest[:12]} is not on this machine\n"


def test_what_is_added_meanwhile_stays(cli, project, monkeypatch):
    real = building.build

    def build(*given):
        made = real(*given)
        later = lock.read(project).with_endpoint("later", made[0].made)
        lock.write(project, later.with_caches("traced", lock.Caches("c" * 64, 1, "d" * 64)))
        return made

    monkeypatch.setattr(building, "build", build)
    assert cli("build").code == 0
    now = lock.read(project)
    assert (set(now.endpoints), set(now.caches)) == ({"mood", "qa", "later"}, {"traced"})


def test_a_project_is_needed(cli, folder):
    for verb in ("build", "verify", "update"):
        done = cli(verb)
        assert done.code == 1
        assert "there is no firstlight.toml here or above" in done.err
    (folder / "firstlight.toml").write_text("")
    assert cli("build").out == "firstlight.lock is as it was\n"
    assert not (folder / "firstlight.lock").exists()


def test_a_lock_that_cannot_be_read_is_explained(cli, project):
    (project / "firstlight.lock").write_text("version = 1\n<<<<<<< HEAD\n")
    for words in (("build",), ("build", "--locked"), ("verify",), ("update",)):
        done = cli(*words, "--json")
        assert done.code == 1
        assert "merge" in json.loads(done.err)["error"]
