"""``firstlight doctor --fix`` on a bundle that a conversion made and a disk has damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import random_bert

from serving import PATIENCE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    random_bert.bert(tmp_path / "demo" / "model")
    (tmp_path / "demo" / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "model"\n')
    return tmp_path / "demo"


def firstlight(project: Path, *words: str) -> tuple[int, dict[str, Any]]:
    env = {**os.environ, "XDG_CACHE_HOME": str(project.parent / "cache"), "FIRSTLIGHT_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "firstlight", *words, "--json"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_damaged_bundle_is_made_again_and_answers_as_before(project: Path) -> None:
    question = ("run", "mood", "inputs=what a lovely day")
    _, before = firstlight(project, *question)
    (weights,) = (project.parent / "cache").glob("firstlight/bundles/*/model.safetensors")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.unlink()  # it may be the model's own file under another name
    weights.write_bytes(content)

    code, found = firstlight(project, "doctor")
    (damage,) = [one for one in found["checks"] if one["level"] == "problem"]
    assert code == 1
    assert damage["check"] == "project.bundles"
    assert damage["repairable"]
    assert "model.safetensors" in damage["what"]

    code, found = firstlight(project, "doctor", "--fix")
    assert (code, found["fixed"], found["problems"]) == (0, 1, 0)
    (mended,) = [one for one in found["checks"] if one["done"]]
    assert mended["done"] == f"made {weights.parent} again from model"
    assert firstlight(project, *question)[1] == before
    assert firstlight(project, "doctor")[1]["problems"] == 0


def test_a_converted_model_passes_the_preflight(project: Path) -> None:
    code, found = firstlight(project, "doctor", "--lambda")
    assert code == 0, found
    levels = {one["check"]: one["level"] for one in found["checks"] if one["endpoint"] == "mood"}
    assert levels["lambda.start"] == levels["lambda.readable"] == levels["lambda.network"] == "ok"
