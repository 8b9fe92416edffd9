from __future__ import annotations

from pathlib import Path

import pytest
import random_bert
import small_decoders

from firstlight.build.gguf import folder as gguf_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "firstlight" / "bundles"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A small classifier as the hub keeps it."""
    return random_bert.bert(tmp_path / "model")


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama in float32 as a GGUF file."""
    root = tmp_path_factory.mktemp("gguf")
    small_decoders.llama(root / "tiny")
    return gguf_folder.convert(root / "tiny", root / "bundle", precision="f32") / "model.gguf"
