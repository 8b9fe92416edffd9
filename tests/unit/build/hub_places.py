"""A small repository on a hub of the test's own, and a progress that keeps what it is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from firstlight.build import hub
from firstlight.build.types import Repository
from firstlight.testing.hub import Hub

WEIGHTS = Random(1).randbytes(999_999) + b"."
README = b"---\nlicense: mit\npipeline_tag: text-classification\ntags:\n- small\n---\n# Tiny\n"


@dataclass
class Watch:
    """A Progress that keeps what it is told."""

    stages: list[tuple[str, int | None]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    count: int = 0

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append((name, total))

    def advance(self, count: int) -> None:
        self.count += count

    def say(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Place:
    """A hub with one repository, ``ada/tiny``, and where its folder is."""

    hub: Hub
    folder: Path
    cache: Path

    def look(self, name: str = "ada/tiny") -> Repository:
        return hub.look(hub.parse(name))

    def settings(self, **said: object) -> None:
        (self.folder / "hub.json").write_text(json.dumps(said))

    def blobs(self) -> list[str]:
        return sorted(each.name for each in (self.cache / "models--ada--tiny" / "blobs").iterdir())
