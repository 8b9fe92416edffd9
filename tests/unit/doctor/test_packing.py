"""Checks of what an endpoint brings along."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from examined import Making, only, write
from firstlight import starters
from firstlight.build.pack import engines
from firstlight.doctor import packages, packing
from firstlight.doctor.types import OK, PROBLEM, WARNING, Finding, Subject


def looked(subject: Subject, check: object) -> Finding:
    return only(check(subject, next(subject.endpoints())))


def test_files_that_only_their_owner_may_read_are_opened(subject: Making, root: Path) -> None:
    for folder in (root, root / "inference"):
        folder.chmod(0o755)
    assert looked(subject(), packing.readable).level == OK
    weights = write(root, "model.safetensors", "w", 0o600)
    program = write(root, "shut/run.sh", "x", 0o700)
    program.parent.chmod(0o700)
    (program.parent / "link").symlink_to("/etc/shadow")
    for name in (".env", "id_rsa", "server.key", "server.pem"):
        write(root, name, "KEY=secret", 0o600)
    found = looked(subject(), packing.readable)
    assert (found.level, found.what) == (PROBLEM, "only their owner can read model.safetensors, shut")
    assert found.fix == "chmod -R a+rX model.safetensors shut"
    assert found.repair is not None
    assert found.repair() == "let others read 3 files and folders (chmod a+rX)"
    assert stat.S_IMODE(weights.stat().st_mode) == 0o644
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert stat.S_IMODE(program.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE((root / ".env").stat().st_mode) == 0o600
    assert looked(subject(), packing.readable).level == OK


def test_many_files_are_not_all_named(subject: Making, root: Path) -> None:
    for number in range(7):
        write(root, f"w{number}", "", 0o600)
    assert looked(subject(), packing.readable).what.endswith("w3, w4 and 2 more")


def test_the_size_of_a_model_is_its_bundle_the_runtime_and_the_engine(subject: Making, root: Path) -> None:
    shutil.copytree(starters.path("sentiment"), root / "model")
    (root / "large.bin").write_bytes(bytes(50 << 20))
    here = subject('[endpoints.mood]\nmodel = "model"\n', names=("mood",))
    found = looked(here, packing.size)
    assert found.level == OK
    size = int(found.what.split()[1])
    bundle = sum(file.stat().st_size for file in (root / "model").iterdir())
    libraries = sum(packages.size(name, engines.taken(name)) for name in ("onnxruntime", "tokenizers"))
    assert size > (bundle + libraries) / 1e6
    assert size < (bundle + libraries) / 1e6 + 10, "the project's other files are not in it"
    assert size < (bundle + packages.size("onnxruntime")) / 1e6, "nor is all of the wheel"
    assert "fits into a zip" in found.what


@pytest.mark.parametrize(
    ("limits", "level", "says"),
    [((1 << 20, 1 << 40), OK, "an image (a zip has 250 MB at most)"), ((1, 2), PROBLEM, "about 3 MB")],
)
def test_the_size_of_a_script_is_the_project_and_what_it_imports(
    subject: Making,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    level: str,
    says: str,
) -> None:
    monkeypatch.setattr(packing, "_ZIP", limits[0])
    monkeypatch.setattr(packing, "_IMAGE", limits[1])
    (root / "data.bin").write_bytes(bytes(2 << 20))
    (root / ".venv").mkdir()
    (root / ".venv" / "not shipped").write_bytes(bytes(50 << 20))
    found = looked(subject(), packing.size)
    assert found.level == level
    assert says in found.what


def test_the_layer_of_a_traced_script_counts(subject: Making, root: Path) -> None:
    here = subject()
    before = looked(here, packing.size).what
    layer = root / ".firstlight" / "layers" / "0123"
    (layer / "nltk_data").mkdir(parents=True)
    (layer / "nltk_data" / "words").write_bytes(bytes(30 << 20))
    (layer.parent / "other").write_bytes(bytes(30 << 20))
    endpoint = next(here.endpoints())
    spec = here.spec(endpoint)
    here.specs[endpoint.name] = replace(spec, env={"NLTK_DATA": str(layer / "nltk_data"), "OTHER": "/usr"})
    after = looked(here, packing.size).what
    assert int(after.split()[1]) - int(before.split()[1]) in (31, 32)


def test_packages_come_with_what_they_require() -> None:
    found = packages.required(["hypothesis"])
    assert {"hypothesis", "sortedcontainers"} <= found
    assert packages.size("hypothesis") > 100_000
    assert packages.size("no-such") == 0
    assert packages.version("no-such") is None
    assert packages.required(["no-such"]) == {"no-such"}
    assert {"firstlight", "numpy", "onnxruntime"} <= packages.brought_along()


def test_variables(subject: Making) -> None:
    found = looked(subject('[endpoints.hello]\nenv = { A = "b" }\n'), packing.variables)
    assert (found.level, found.what) == (OK, "2 of 4,096 bytes")
    found = looked(subject(f'[endpoints.hello]\nenv = {{ A = "{"x" * 5000}" }}\n'), packing.variables)
    assert (found.level, found.what) == (PROBLEM, "its variables have 5,001 bytes")
    found = looked(subject('[endpoints.hello]\nenv = { HOME = "/root" }\n'), packing.variables)
    assert (found.level, found.fix) == (WARNING, "set HOME=/tmp, or leave it out")
    assert looked(subject('[endpoints.hello]\nenv = { HOME = "/tmp" }\n'), packing.variables).level == OK
