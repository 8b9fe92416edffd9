"""Checks of the lock file and of bundles."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from examined import Making, only, spec_of, write
from firstlight import starters
from firstlight.build import lock
from firstlight.build.types import Made
from firstlight.doctor import bundles
from firstlight.doctor.types import OK, PROBLEM, WARNING
from firstlight.runtime.errors import ProjectError

TOML = '[endpoints.mood]\nmodel = "model"\n'


@pytest.fixture
def made(root: Path) -> Made:
    return Made(
        root,
        "model",
        "0" * 64,
        "text-classification",
        "onnx",
        "fp32",
        converter="firstlight.build.convert.encoder:convert",
    )


def test_a_project_without_models(subject: Making) -> None:
    assert only(bundles.lock(subject())).level == OK
    assert only(bundles.lock(subject('[endpoints.mood]\nmodel = "starter:qa"\n'))).level == OK


def test_a_lock_that_is_missing_behind_or_up_to_date(subject: Making, root: Path, made: Made) -> None:
    found = only(bundles.lock(subject(TOML)))
    assert (found.level, found.what, found.fix) == (WARNING, "there is no lock file", "firstlight build")
    lock.write(root, lock.Lock({"mood": made}))
    assert only(bundles.lock(subject())).what == "is up to date"
    lock.write(root, lock.Lock({"mood": replace(made, model="hf:other/model"), "old": made}))
    behind, gone = bundles.lock(subject())
    assert behind.what == "says nothing (or something else than firstlight.toml) of mood"
    assert gone.what == "has entries of endpoints that are gone: old"


def test_a_lock_that_cannot_be_read(subject: Making, root: Path) -> None:
    write(root, "firstlight.lock", "version = 1\n[endpoints.mood]\nmodel = 7\n")
    found = only(bundles.lock(subject(TOML)))
    assert found.level == PROBLEM
    assert "firstlight.lock" in found.what


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_damaged_bundle_of_the_project_is_not_touched(subject: Making, root: Path) -> None:
    shutil.copytree(starters.path("sentiment"), root / "model")
    assert only(bundles.bundles(subject(TOML))).what == "1 bundle: every file has its hash"
    flip(root / "model" / "wordpiece.bin")
    damaged, rest = bundles.bundles(subject())
    assert (damaged.level, damaged.where, damaged.repair) == (PROBLEM, "model", None)
    assert "wordpiece.bin" in damaged.what
    assert rest.what == "0 bundles: every file has its hash"


def test_a_damaged_bundle_of_the_cache_is_made_again(subject: Making, root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "firstlight" / "bundles" / "0123"
    shutil.copytree(starters.path("sentiment"), kept)
    flip(kept / "wordpiece.bin")
    here = subject(TOML)
    found, _ = bundles.bundles(here)
    assert found.repair is not None
    assert found.repair() == f"removed {kept}; it is made again when it is next needed"
    assert not kept.exists()

    shutil.copytree(starters.path("sentiment"), kept)
    flip(kept / "wordpiece.bin")

    def making(endpoint):  # stands in for the conversion
        shutil.copytree(starters.path("sentiment"), kept, dirs_exist_ok=True)
        return replace(spec_of(root)(endpoint), bundle=kept)

    here.spec_of = making
    found, _ = bundles.bundles(here)
    assert found.repair is not None
    assert found.repair() == f"made {kept} again from model"
    assert only(bundles.bundles(here)).what == "1 bundle: every file has its hash"


def test_what_traced_scripts_need(subject: Making, root: Path) -> None:
    assert only(bundles.caches(subject(TOML))).level == OK
    here = subject()

    def lacking(_):
        raise ProjectError("the layer 0123 is not on this machine", "run `firstlight trace` again")

    here.spec_of = lacking
    found = only(bundles.caches(here))
    assert (found.level, found.where, found.fix) == (
        PROBLEM,
        "inference/hello.py",
        "run `firstlight trace` again",
    )


def test_bundles_of_starters_are_looked_at_too(subject: Making) -> None:
    toml = '[endpoints.a]\nmodel = "starter:embeddings"\n[endpoints.b]\nmodel = "starter:summarize"\n'
    assert only(bundles.bundles(subject(toml))).what == "1 bundle: every file has its hash"
