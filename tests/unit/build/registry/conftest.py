"""Two registries of the test's own process; nothing is waited for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_registry import SmallRegistry

from firstlight.build.registry import patience


@pytest.fixture
def small() -> Iterator[SmallRegistry]:
    running = SmallRegistry()
    yield running
    running.close()


@pytest.fixture
def elsewhere() -> Iterator[SmallRegistry]:
    running = SmallRegistry()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Pauses are as short as they can be, and nothing of the user's is found."""
    monkeypatch.setattr(patience, "FIRST_DELAY_S", 0.0)
    monkeypatch.setattr(patience, "LONGEST_ASKED_S", 0.0)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (
        "DOCKER_CONFIG",
        "DOCKER_AUTH_CONFIG",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
