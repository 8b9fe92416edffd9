"""``firstlight build``, ``verify`` and ``update`` of the wheels that functions are made of; no index is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.build import lock as locks
from firstlight.build.pack import asking, engines, pinning, slices
from firstlight.build.pack.types import Wheel
from small_wheels import kept

KEY = "arm64-python3.13"


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch, cli) -> Path:
    """A project whose lock has wheels for one target, all of them in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))

    def refuse(*_: object) -> None:
        raise asking.IndexUnreachable("requirements.txt: the package index cannot be reached")

    monkeypatch.setattr(asking, "pip", refuse)
    (folder / "firstlight.toml").write_text('[endpoints.mood]\nmodel = "starter:speech"\n')
    assert cli("build").code == 0
    ours = [kept("onnxruntime", {"onnxruntime/__init__.py": ""})]
    served = [kept(name, {f"{name}/__init__.py": ""}) for name in slices.SERVER_WHEELS]
    wanted = pinning._asked(engines.requirements(slices.SERVER_WHEELS))
    lock = locks.read(folder).with_wheels(KEY, pinning.ENGINES, pinning._engines_asked(), ours)
    locks.write(folder, lock.with_wheels(KEY, pinning.SERVER, wanted, served))
    return folder


def _ask_for_more(project: Path) -> None:
    (project / "inference").mkdir()
    (project / "inference" / "polite.py").write_text("def handler(event, context):\n    return event\n")
    (project / "requirements.txt").write_text("idna\n")


def test_what_is_locked_is_as_locked_until_a_wheel_is_damaged(cli, project):
    before = (project / "firstlight.lock").read_text()
    assert cli("build", "--locked").code == 0
    assert cli("build").code == 0
    assert (project / "firstlight.lock").read_text() == before
    assert f"{KEY}: wheels: 4 files match" in cli("verify").out
    wheel = locks.read(project).target(KEY).wheels["engines"].wheels[0]
    place = project.parent / "cache" / "firstlight" / "wheels" / wheel.sha256 / wheel.file
    place.write_bytes(b"damaged")
    done = cli("verify")
    assert done.code == 1
    assert "is not what its name says" in done.out


def test_a_requirement_that_was_added_is_found_and_waits_for_an_index(cli, project):
    _ask_for_more(project)
    before = (project / "firstlight.lock").read_text()
    done = cli("build", "--locked")
    assert done.code == 1
    assert f"no wheels of requirements.txt for {KEY}" in done.out
    said = cli("verify", "--json").json
    assert [one["endpoint"] for one in said["endpoints"]] == ["mood", KEY]
    assert "requirements.txt" in said["endpoints"][1]["checked"][0]["problems"][0]
    done = cli("build")
    assert done.code == 0
    assert "the wheels in firstlight.lock stay as they are" in done.err
    assert (project / "firstlight.lock").read_text() == before


def test_an_update_takes_newer_wheels_and_names_them(cli, project, monkeypatch):
    newer = {
        name: Wheel(name, "2.0", f"{name}-2.0-py3-none-any.whl", "a" * 64) for name in slices.SERVER_WHEELS
    }
    newer |= {name: Wheel(name, "3.0", f"{name}-3.0-py3-none-any.whl", "b" * 64) for name in ("onnxruntime",)}

    def resolved(lines, *_, **__):
        return tuple(newer[line.partition(">")[0]] for line in lines)

    monkeypatch.setattr(pinning.wheels, "resolve", resolved)
    done = cli("update")
    assert done.code == 0, done.err
    assert f"{KEY}: onnxruntime 1.0 -> 3.0" in done.out
    assert locks.read(project).target(KEY).wheels["server"].wheels[0].version == "2.0"
    assert "functions" in cli("update", "--json").json
    before = (project / "firstlight.lock").read_text()
    assert cli("update", "mood").code == 0
    assert (project / "firstlight.lock").read_text() == before
