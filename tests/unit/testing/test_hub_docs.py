"""docs/hub.md names all that the test hub can be told, and its example runs."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from firstlight.testing.hub import Request
from firstlight.testing.hub.faults import NAMES
from firstlight.testing.hub.repositories import Settings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "hub.md").read_text(encoding="utf-8")


def test_every_setting_fault_and_field_is_named() -> None:
    wanted = {*Settings.__slots__, *NAMES, *(each.name for each in fields(Request))} - {"content"}
    assert {name for name in wanted if f"`{name}`" not in PAGE} == set()


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from firstlight.build import hub

    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    fetch = 'found = download.look(download.parse("ada/tiny")); download.fetch(found, found.files)'
    names: dict[str, object] = {"download": hub}
    exec(example.replace("        ...\n", f"        {fetch}\n"), names)
    names["test_download"](tmp_path, monkeypatch)  # type: ignore[operator]
