"""``firstlight bundle MODEL``: bundles made on the command line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import small_decoders

from firstlight.runtime.bundle import Bundle


@pytest.fixture
def model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    small_decoders.llama(folder / "tiny")
    return folder / "tiny"


def test_a_model_folder_becomes_a_bundle(cli, folder, model):
    done = cli("bundle", "tiny", "-o", "out", "--quantize", "q4_k_m")
    assert done.out == "out: text-generation, llama, q4_k_m\n"
    assert Bundle.open(str(folder / "out"), verify="hashes").precision == "q4_k_m"
    again = cli("bundle", "make", "tiny", "--output", "out", "--quantize", "q5_1", "--json")
    assert again.json["precision"] == "q5_1"
    assert Bundle.open(str(folder / "out"), verify="hashes").precision == "q5_1"
    assert "slowest" in cli("bundle", "tiny", "--quantize", "q5_1").err


def test_without_a_folder_it_stays_in_the_cache(cli, folder, model):
    made = cli("bundle", "./tiny", "--json").json
    assert Path(made["path"]).parent == folder / "cache" / "firstlight" / "bundles"
    assert cli("bundle", "tiny", "--json").json == made
    assert made["digest"] == Bundle.open(made["path"]).digest


def test_what_is_in_the_way_stays(cli, folder, model):
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("mine")
    done = cli("bundle", "tiny", "-o", "out")
    assert done.code == 1
    assert "holds something else than a bundle" in done.err
    assert (folder / "out" / "mine.txt").read_text() == "mine"


def test_what_cannot_be_made_is_explained(cli, folder, model):
    assert "there is no model at" in cli("bundle", "./nowhere").err
    assert "int3" in cli("bundle", "tiny", "--quantize", "int3").err
    done = cli("bundle", "verfy")
    assert done.code == 2, "a verb that is misspelt is no model"
    (folder / "bad.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60))
    done = cli("bundle", "bad.gguf", "--json")
    assert done.code == 1
    assert json.loads(done.err.splitlines()[-1])["code"] == "conversion"
