from __future__ import annotations

import os

import pytest

from firstlight import project
from firstlight.cli import digests

HANDLER = "def handler(event, context): ...\n"


@pytest.fixture
def scripts(tmp_path):
    for name in ("first", "second"):
        path = tmp_path / "inference" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(HANDLER)
    (tmp_path / "inference" / "tables").mkdir()
    (tmp_path / "inference" / "tables" / "words.txt").write_text("a")
    return tmp_path


def both(folder) -> dict[str, str]:
    read = project.load(folder, env={})
    return {name: digests.of_script(endpoint.script, read) for name, endpoint in read.endpoints.items()}


def test_nothing_changed(scripts):
    assert both(scripts) == both(scripts)


def test_a_script_that_changes_changes_alone(scripts):
    before = both(scripts)
    (scripts / "inference" / "first.py").write_text(HANDLER + "# changed\n")
    after = both(scripts)
    assert after["first"] != before["first"]
    assert after["second"] == before["second"]


@pytest.mark.parametrize("name", ["_shared.py", "tables/words.txt", "new.json"])
def test_what_scripts_share_changes_all(scripts, name):
    before = both(scripts)
    (scripts / "inference" / name).write_text("changed")
    after = both(scripts)
    assert not set(after.values()) & set(before.values())


@pytest.mark.parametrize("name", [".hidden", "__pycache__/first.pyc", "node_modules/x.js"])
def test_what_no_script_reads_changes_nothing(scripts, name):
    before = both(scripts)
    path = scripts / "inference" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert both(scripts) == before


def test_a_file_that_leads_nowhere_is_no_mistake(scripts):
    os.symlink("gone", scripts / "inference" / "link")
    os.symlink(scripts, scripts / "inference" / "loop")
    assert both(scripts) == both(scripts)
