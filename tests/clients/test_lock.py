"""The lock file from end to end: a hub on a local port, fresh homes, the command in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import random_bert

from firstlight.build import lock
from firstlight.testing.hub import Hub, local_hub

NAME = "owner/mood"
PROJECT = '[endpoints.mood]\nmodel = "hf:owner/mood"\nquantize = "int8"\n'
CARD = "---\nlicense: apache-2.0\npipeline_tag: text-classification\n---\nA model.\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "hub"
    write_model(folder / NAME)
    with local_hub(folder) as running:
        yield running


def write_model(folder: Path, seed: int = 0, card: str = CARD) -> None:
    random_bert.bert(folder, seed=seed)
    (folder / "README.md").write_text(card)


class Machine:
    """A user's machine: a home of its own, and a copy of the project."""

    def __init__(self, place: Path, hub: Hub, **env: str) -> None:
        self.home, self.project = place / "home", place / "project"
        self.home.mkdir(parents=True)
        self.project.mkdir()
        (self.project / "firstlight.toml").write_text(PROJECT)
        dropped = ("HF_", "XDG_", "FIRSTLIGHT_", "LC_", "LANG")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
        self.env = {**kept, "HOME": str(self.home), "HF_ENDPOINT": hub.url, "NO_COLOR": "1", **env}

    def run(self, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "firstlight", *words]
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=120, check=False,
            **{"cwd": self.project, **settings},
        )  # fmt: skip

    def told(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def lock(self) -> lock.Lock:
        return lock.read(self.project)

    @property
    def bundles(self) -> Path:
        return self.home / ".cache" / "firstlight" / "bundles"


def given_the_lock_of(other: Machine, place: Path, hub: Hub, **env: str) -> Machine:
    machine = Machine(place, hub, **env)
    shutil.copy(other.project / "firstlight.lock", machine.project)
    return machine


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home and the project of a machine that has built the project."""
    place = tmp_path_factory.mktemp("built")
    write_model(place / "hub" / NAME)
    with local_hub(place / "hub") as hub:
        done = Machine(place / "machine", hub).run("build")
    assert done.returncode == 0, done.stderr
    return place / "machine"


@pytest.fixture
def machine(tmp_path: Path, hub: Hub, built: Path) -> Machine:
    """A machine that has built the project."""
    made = Machine(tmp_path / "one", hub)
    shutil.copytree(built, tmp_path / "one", symlinks=True, dirs_exist_ok=True)
    assert made.lock.endpoints["mood"].revision == hub.commit(NAME, "main"), (
        "a hub knows the commits it has seen"
    )
    return made


def test_one_lock_gives_one_bundle_on_machines_of_every_kind(
    machine: Machine, tmp_path: Path, hub: Hub
) -> None:
    entry = machine.lock.endpoints["mood"]
    assert (entry.revision, entry.licence, entry.precision) == (
        hub.commit(NAME, "main"),
        "apache-2.0",
        "int8",
    )
    text = (machine.project / "firstlight.lock").read_text()
    for secret in (hub.url, "127.0.0.1", str(tmp_path)):
        assert secret not in text
    other_cpu = {
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
    }
    elsewhere = tmp_path / "tmp ü"
    elsewhere.mkdir()
    kinds = [
        (other_cpu, {}),
        ({"PYTHONHASHSEED": "123", "LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Asia/Tokyo"}, {"umask": 0o077}),
        ({"TMPDIR": str(elsewhere), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}, {"cwd": elsewhere}),
    ]
    for number, (env, settings) in enumerate(kinds):
        other = given_the_lock_of(machine, tmp_path / f"other {number}", hub, **env)
        done = other.run("-C", str(other.project), "build", "--locked", "--json", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        (built,) = json.loads(done.stdout)["endpoints"]
        assert built["bundle"] == entry.digest
        assert (other.project / "firstlight.lock").read_text() == text
    unlocked = Machine(tmp_path / "new", hub, **other_cpu)
    assert unlocked.run("build").returncode == 0
    assert (unlocked.project / "firstlight.lock").read_text() == text


def test_files_that_change_under_the_locked_commit(machine: Machine, tmp_path: Path, hub: Hub) -> None:
    commit = hub.commit(NAME, "main")
    folder = tmp_path / "hub" / NAME
    (folder / "hub.json").write_text(json.dumps({"commit": commit}))
    write_model(folder, seed=1)
    other = given_the_lock_of(machine, tmp_path / "two", hub)
    done = other.run("build", "--locked")
    assert done.returncode == 1
    assert "mood: " in done.stdout
    assert "model.safetensors" in done.stdout
    assert not list(other.bundles.glob("*")) if other.bundles.exists() else True
    done = other.run("build")
    assert done.returncode == 1
    assert "model.safetensors" in done.stderr
    checked = json.loads(machine.run("verify", "--json").stdout)["endpoints"][0]["checked"]
    assert {one["place"]: bool(one["problems"]) for one in checked} == {
        "hub": True,
        "cache": False,
        "bundle": False,
    }
    (problem,) = checked[0]["problems"]
    assert "model.safetensors is another file" in problem
    assert "firstlight.lock" in [file.name for file in other.project.iterdir()]
    assert other.lock == machine.lock


def test_a_changed_byte_is_found_wherever_it_is(machine: Machine) -> None:
    assert machine.run("verify").returncode == 0
    (weights,) = machine.home.rglob("snapshots/*/model.safetensors")
    (graph,) = machine.bundles.glob("*/model.onnx")
    for file in (weights, graph):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.chmod(0o644)
        file.write_bytes(content)
    done = machine.run("verify")
    assert done.returncode == 1
    hub_line, cache_line, bundle_line = done.stdout.splitlines()
    assert hub_line.startswith("mood: hub: ")
    assert cache_line.startswith("mood: cache: model.safetensors has SHA-256")
    assert bundle_line.startswith("mood: bundle: model.onnx in the bundle")
    done = machine.run("build", "--locked")
    assert done.returncode == 1
    assert "model.onnx in the bundle" in done.stderr
    assert "made again" in done.stderr
    assert "owner/mood/model.safetensors at" in done.stdout, (
        "what it would be made of is damaged too, and taken away"
    )
    assert machine.run("build", "--locked").returncode == 0
    assert machine.run("verify").returncode == 0


def test_verify_says_when_the_hub_was_not_asked(machine: Machine, hub: Hub) -> None:
    assert "mood: hub: 4 files match" in machine.run("verify").stdout
    hub.forget()
    assert "mood: hub: not asked, as --offline says" in machine.run("verify", "--offline").stdout
    machine.env["HF_HUB_OFFLINE"] = "1"
    assert "mood: hub: not asked: this machine is offline" in machine.run("verify").stdout
    assert hub.requests == []


def test_a_project_file_that_was_edited_is_not_as_locked(machine: Machine) -> None:
    file = machine.project / "firstlight.toml"
    file.write_text(PROJECT.replace("int8", "nb8"))
    done = machine.run("build", "--locked")
    assert done.returncode == 1
    assert done.stdout == "mood: quantize: int8 in the lock, nb8 in firstlight.toml\n"
    file.write_text(PROJECT.replace("mood]", "feeling]"))
    done = machine.run("build", "--locked")
    assert done.stdout.splitlines() == [
        "feeling: not in firstlight.lock",
        "mood: in firstlight.lock and not in firstlight.toml",
    ]


def test_a_commit_stays_until_it_is_moved_on_purpose(machine: Machine, tmp_path: Path, hub: Hub) -> None:
    before = machine.lock.endpoints["mood"]
    text = (machine.project / "firstlight.lock").read_text()
    write_model(tmp_path / "hub" / NAME, seed=1)
    file = machine.project / "firstlight.toml"
    file.write_text(PROJECT.replace("int8", "nb8"))
    assert machine.run("build").returncode == 0
    assert machine.lock.endpoints["mood"].revision == before.revision, "another precision is no other commit"
    file.write_text(PROJECT)
    assert machine.run("build").returncode == 0
    assert (machine.project / "firstlight.lock").read_text() == text
    write_model(tmp_path / "hub" / NAME, seed=1, card=CARD.replace("apache-2.0", "mit"))
    newest = hub.commit(NAME, "main")
    done = machine.run("update", "mood")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"mood: {before.revision[:12]} -> {newest[:12]}"
    assert "  licence: apache-2.0 -> mit" in lines
    assert any(line.startswith("  file model.safetensors: changed, ") for line in lines)
    assert any(line.startswith("  bundle: ") for line in lines)
    assert any(line.startswith("  parity max_score_diff: ") for line in lines)
    assert machine.lock.endpoints["mood"].revision == newest
    back = machine.told("update", "mood", "--to", before.revision)
    assert (back["endpoints"][0]["from"], back["endpoints"][0]["to"]) == (newest, before.revision)
    assert machine.lock.endpoints["mood"].files == before.files
    file.write_text(PROJECT.replace("owner/mood", "owner/mood@main"))
    done = machine.run("update", "mood", "--to", newest)
    assert done.returncode == 1
    assert "firstlight.toml asks for revision 'main'" in done.stderr


def test_an_endpoint_runs_what_is_locked(machine: Machine, tmp_path: Path, hub: Hub) -> None:
    other = given_the_lock_of(machine, tmp_path / "two", hub)
    write_model(tmp_path / "hub" / NAME, seed=1)
    answers = {one.run("run", "mood", "inputs=a day").stdout for one in (machine, other)}
    assert len(answers) == 1
    assert "score" in answers.pop()
