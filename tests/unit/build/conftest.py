from __future__ import annotations

from pathlib import Path

import pytest
import random_bert


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "firstlight" / "bundles"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A small classifier as the hub keeps it."""
    return random_bert.bert(tmp_path / "model")
