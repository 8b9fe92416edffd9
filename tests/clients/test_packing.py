"""Wheels by way of pip itself, from a folder of tiny ones: chosen for another machine, locked, fetched, never run."""

import hashlib
import json
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

import firstlight
from firstlight.build.pack import wheels
from firstlight.build.pack.types import Target, Wheel
from firstlight.invoke.pool import PoolInvoker
from firstlight.invoke.types import Invocation, WorkerSpec
from firstlight.runtime.errors import ProjectError
from small_wheels import wheel

ARM, INTEL = Target(), Target("x86_64", "3.11")
NATIVE = "cp313-cp313-manylinux_2_28_aarch64"


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all the index there is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "links").mkdir()
    return tmp_path / "links"


def _marker(path: Path) -> str:
    """Code of a package that leaves a trace where it is run."""
    return f"open({str(path)!r}, 'w').close()\n"


def _sources(folder: Path, name: str, trace: Path) -> Path:
    place = folder / f"{name}-2.0"
    place.mkdir(parents=True)
    (place / "setup.py").write_text(_marker(trace) + f"from setuptools import setup\nsetup(name={name!r})\n")
    with tarfile.open(folder / f"{name}-2.0.tar.gz", "w:gz") as archive:
        archive.add(place, place.name)
    shutil.rmtree(place)
    return folder / f"{name}-2.0.tar.gz"


def test_wheels_are_chosen_for_the_target_and_its_markers(links: Path, tmp_path: Path) -> None:
    wheel(links, "native", tag=NATIVE)
    wheel(links, "native", "2.0", tag="cp313-cp313-manylinux_2_38_aarch64")
    wheel(links, "native", "3.0", tag="cp313-cp313-manylinux_2_28_x86_64")
    _sources(links, "native", tmp_path / "was run")
    wheel(links, "arm-only")
    wheel(links, "old-only")
    wheel(links, "fast")
    needed = (
        "arm-only; platform_machine == 'aarch64'",
        "old-only; python_version < '3.13'",
        "fast; extra == 'speed'",
    )
    wheel(links, "Top.Level", requires=("native", *needed), metadata=["Provides-Extra: speed"])
    found = wheels.resolve(["top-level[speed]"], ARM)
    assert [(one.name, one.version) for one in found] == [
        ("arm-only", "1.0"),
        ("fast", "1.0"),
        ("native", "1.0"),
        ("top-level", "1.0"),
    ]
    assert found[3].requires == ("arm-only", "fast", "native")
    assert found[2].sha256 == hashlib.sha256((links / found[2].file).read_bytes()).hexdigest()
    assert not (tmp_path / "was run").exists()


def test_what_is_locked_is_fetched_by_its_hash_and_found_again_without_an_index(
    links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = wheel(links, "mine", tag=NATIVE)
    locked = Wheel("mine", "1.0", place.name, hashlib.sha256(place.read_bytes()).hexdigest())
    fetched = wheels.fetch([locked], ARM)
    assert [file.path for file in wheels.files(fetched[place.name], ("*.py",))] == ["mine.py"]
    content = fetched[place.name].read_bytes()
    fetched[place.name].write_bytes(b"damaged")
    assert wheels.fetch([locked], ARM)[place.name].read_bytes() == content
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert wheels.fetch([locked], ARM) == fetched


def test_a_package_of_sources_that_a_wheel_names_is_not_built(links: Path, tmp_path: Path) -> None:
    sources = _sources(tmp_path / "elsewhere", "sly", tmp_path / "was run")
    wheel(links, "mine", requires=(f"sly @ {sources.as_uri()}",))
    with pytest.raises(ProjectError, match="would have to be built"):
        wheels.resolve(["mine"], ARM, about="requirements.txt")
    assert not (tmp_path / "was run").exists()


async def test_what_a_function_brings_comes_before_what_the_interpreter_has(tmp_path: Path) -> None:
    (tmp_path / "lib" / "pip").mkdir(parents=True)
    (tmp_path / "lib" / "pip" / "__init__.py").write_text("")
    (tmp_path / "mood.py").write_text("import pip\n\ndef handler(event, context):\n    return pip.__file__\n")
    start = Path(firstlight.__file__).with_name("runtime") / "start.py"
    command = ("/usr/bin/env", f"FIRSTLIGHT_PATH={tmp_path / 'lib'}", sys._base_executable, "-I", str(start))
    spec = WorkerSpec(
        "mood", command=command, env={"FIRSTLIGHT_SCRIPT": str(tmp_path / "mood.py")}, cwd=tmp_path
    )
    pool = PoolInvoker({"mood": spec})
    try:
        reply = await pool.invoke(Invocation("mood", b"{}"))
    finally:
        await pool.close(0)
    assert json.loads(reply.payload) == str(tmp_path / "lib" / "pip" / "__init__.py")
