from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from firstlight import project as projects
from firstlight.cli import preparing
from firstlight.cli.publishing import Published


class Pool:
    """Remembers what it was given to serve."""

    def __init__(self) -> None:
        self.served: list[list[str]] = []

    def replace(self, specs) -> None:
        self.served.append(sorted(specs))


@pytest.fixture
def prepared(folder):
    (folder / "inference").mkdir()
    (folder / "inference" / "f.py").write_text("def handler(event, context): ...\n")
    (folder / "firstlight.toml").write_text(
        '[endpoints.g]\nscript = "inference/f.py"\nasynchronous = { retries = 1 }\n'
    )
    return preparing.prepare(projects.load(folder, env={}))


async def test_the_pool_serves_what_is_published(prepared):
    published, pool = Published(prepared), Pool()
    published.followed_by(pool)
    published.registry.publish("g")
    assert pool.served == [["g", "g:1"]]
    await asyncio.to_thread(published.registry.reserve, "g", 0)
    assert len(pool.served) == 2
    assert published.registry.pools()["g:1"].concurrency == 0
    assert published.registry.asynchronous("g").retries == 1


async def test_a_reload_keeps_what_was_published(prepared):
    published, pool = Published(prepared), Pool()
    published.followed_by(pool)
    first = published.registry.publish("g")
    changed = replace(prepared.specs["g"], digest="new", memory_mb=512)
    published.take_over(replace(prepared, specs={"g": changed}))
    assert pool.served[-1] == ["g", "g:1"]
    assert published.registry.pools()["g"].memory_mb == 512
    assert published.registry.pools()["g:1"].memory_mb == first.spec.memory_mb
