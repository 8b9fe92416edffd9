"""Any order of publishing, aliasing, deleting and resolving, against a plain model, with lives in between."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firstlight.invoke.types import LATEST, WorkerSpec
from firstlight.runtime.errors import Conflict, EndpointNotFound, FirstlightError
from firstlight.versions.errors import Outdated
from firstlight.versions.registry import Registry
from firstlight.versions.types import Alias
from trying import examples

NAMES = st.sampled_from(["live", "test"])
NUMBERS = st.integers(1, 5).map(str)


class Publishing(RuleBasedStateMachine):
    """The model: content by version, (version, weights) by alias, the last number given."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.script = Path(self.folder.name) / "code" / "f.py"
        self.script.parent.mkdir()
        self.content = ""
        self.memory = 128
        self.change("a")
        self.last = 0
        self.versions: dict[str, tuple[str, int]] = {}
        self.aliases: dict[str, tuple[str, dict[str, float]]] = {}
        self.draw = 0.5
        self.live()

    @rule()
    def live(self) -> None:
        """Another program opens the same state."""
        self.registry = Registry(Path(self.folder.name), self.specs, chance=lambda: self.draw)

    def specs(self) -> dict[str, WorkerSpec]:
        return {"f": WorkerSpec("f", script=self.script, memory_mb=self.memory, digest=self.content)}

    @rule(content=st.sampled_from("ab"))
    def change(self, content: str) -> None:
        self.content = content
        self.script.write_text(content)

    @rule(memory=st.sampled_from([128, 256]))
    def configure(self, memory: int) -> None:
        self.memory = memory

    @rule()
    def publish(self) -> None:
        newest = self.versions.get(max(self.versions, key=int)) if self.versions else None
        made = self.registry.publish("f")
        if newest == (self.content, self.memory):
            assert str(made.number) == max(self.versions, key=int)
            return
        self.last += 1
        assert made.number == self.last
        self.versions[str(made.number)] = (self.content, self.memory)

    @rule(number=NUMBERS)
    def delete(self, number: str) -> None:
        used = any(number in (version, *weights) for version, weights in self.aliases.values())
        if number in self.versions and not used:
            self.registry.delete_version("f", number)
            del self.versions[number]
        else:
            with pytest.raises(Conflict if number in self.versions else EndpointNotFound):
                self.registry.delete_version("f", number)

    @rule(
        name=NAMES,
        version=st.one_of(NUMBERS, st.just(LATEST)),
        other=st.none() | NUMBERS,
        share=st.floats(0, 1),
    )
    def point(self, name: str, version: str, other: str | None, share: float) -> None:
        weights = {} if other is None else {other: share}
        fits = all(found == LATEST or found in self.versions for found in (version, *weights))
        fits = fits and not (weights and (version == LATEST or other == version))
        put = self.registry.update_alias if name in self.aliases else self.registry.create_alias
        if fits:
            put(Alias("f", name, version, weights))
            self.aliases[name] = (version, weights)
        else:
            with pytest.raises(FirstlightError):
                put(Alias("f", name, version, weights))

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.registry.delete_alias("f", name)
        self.aliases.pop(name, None)

    @precondition(lambda self: self.aliases)
    @rule()
    def change_late(self) -> None:
        name = next(iter(self.aliases))
        with pytest.raises(Outdated):
            self.registry.update_alias(
                replace(self.registry.alias("f", name), version=LATEST), revision_id="old"
            )

    @rule(name=st.one_of(NAMES, NUMBERS), draw=st.floats(0, 1, exclude_max=True))
    def resolve(self, name: str, draw: float) -> None:
        self.draw = draw
        if name in self.versions:
            assert self.registry.resolve("f", name).version == name
        elif name in self.aliases:
            version, weights = self.aliases[name]
            expected = next((other for other, share in weights.items() if draw < share), version)
            assert self.registry.resolve("f", name).version == expected
        else:
            with pytest.raises(EndpointNotFound):
                self.registry.resolve("f", name)

    @invariant()
    def versions_are_as_they_were(self) -> None:
        found = self.registry.versions("f")
        assert {str(v.number): (v.spec.script.read_text(), v.spec.memory_mb) for v in found} == self.versions
        assert {alias.name for alias in self.registry.aliases("f")} == set(self.aliases)
        assert set(self.registry.pools()) == {"f", *(f"f:{number}" for number in self.versions)}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(max_examples=examples(15), stateful_step_count=20, deadline=None)
