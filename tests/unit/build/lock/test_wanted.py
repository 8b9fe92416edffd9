"""Which endpoints a lock file has entries for."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.build.lock.wanted import named, wanted
from firstlight.runtime.errors import EndpointNotFound, ProjectError

PROJECT = """
[endpoints.mood]
model = "starter:sentiment"
[endpoints.short]
model = "starter:summarize"
[endpoints.hello]
script = "hello.py"
[stage.prod.endpoints.mood]
model = "hf:owner/name"
[stage.prod.endpoints.short]
memory = 512
[stage.test.endpoints.hello]
model = "starter:qa"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "firstlight.toml").write_text(PROJECT)
    (tmp_path / "hello.py").write_text("def handler(event, context): ...\n")
    return tmp_path


def shown(project: Path, **settings: str) -> list[str]:
    return [f"{one.shown}: {one.wish.model}" for one in wanted(project, {}, **settings)]


def test_scripts_are_left_out_and_stages_count_where_they_differ(project: Path) -> None:
    everything = [
        "mood: starter:sentiment",
        "short: starter:summarize",
        "mood (stage prod): hf:owner/name",
        "hello (stage test): starter:qa",
    ]
    assert shown(project) == everything
    env = {"FIRSTLIGHT_STAGE": "prod"}
    assert [one.shown for one in wanted(project, env)] == [line.partition(":")[0] for line in everything]


def test_one_stage_is_what_it_serves(project: Path) -> None:
    assert shown(project, stage="prod") == ["short: starter:summarize", "mood (stage prod): hf:owner/name"]
    with pytest.raises(ProjectError, match="no stage 'prd'"):
        wanted(project, {}, "prd")


def test_a_starter_asks_for_the_task_it_stands_for(project: Path) -> None:
    assert {one.name: one.wish.task for one in wanted(project, {})}["short"] == "summarization"


def test_endpoints_are_named(project: Path) -> None:
    everything = wanted(project, {})
    assert [one.shown for one in named(everything, ["mood"])] == ["mood", "mood (stage prod)"]
    assert named(everything, []) == everything
    with pytest.raises(EndpointNotFound, match="no endpoint 'mod'") as caught:
        named(everything, ["mod"])
    assert "mood" in caught.value.hint
