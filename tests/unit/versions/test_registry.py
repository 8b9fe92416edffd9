from __future__ import annotations

import json
import os
import stat
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight.invoke.types import LATEST, WorkerSpec
from firstlight.project.types import Asynchronous
from firstlight.runtime.errors import Conflict, EndpointNotFound, InvalidInput
from firstlight.versions import freezing
from firstlight.versions.errors import Outdated, VersionError
from firstlight.versions.registry import Registry
from firstlight.versions.types import Alias, Target


class Project:
    """A folder with a script endpoint ``f`` and a bundle endpoint ``m``, and registries over it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.data = folder / "data"
        self.script = self.root / "inference" / "f.py"
        self.script.parent.mkdir(parents=True)
        self.script.write_text("one")
        (self.root / "words.txt").write_text("words")
        self.bundle = folder / "cache" / ("a" * 32)
        self.bundle.mkdir(parents=True)
        (self.bundle / "bundle.json").write_text("{}")
        (self.bundle / "model.onnx").write_bytes(b"weights")
        self.now = 1000.0
        self.specs = {
            "f": WorkerSpec("f", script=self.script, cwd=self.root, env={"TOKEN": "secret"}),
            "m": WorkerSpec("m", bundle=self.bundle, digest="b" * 64, concurrency=2),
        }

    def registry(self, **fields) -> Registry:
        return Registry(self.data, lambda: self.specs, clock=lambda: self.now, **fields)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


class TestPublishing:
    def test_a_version_stays_as_it_was(self, project: Project) -> None:
        registry = project.registry()
        first = registry.publish("f", "the first")
        project.script.write_text("two")
        second = registry.publish("f")
        assert [version.number for version in registry.versions("f")] == [1, 2]
        assert first.spec.script.read_text() == "one"
        assert second.spec.script.read_text() == "two"
        assert first.spec.env == {"TOKEN": "secret"}
        assert (first.spec.version, first.description, first.created) == ("1", "the first", 1000.0)
        assert first.code_sha256 != second.code_sha256
        assert first.revision_id != second.revision_id
        assert registry.version("f", 1) == registry.version("f", "1") == first

    def test_what_lies_beside_it_is_copied_and_the_rest_of_the_project_is_reached(
        self, project: Project
    ) -> None:
        folder = project.script.parent
        (folder / "tables").mkdir()
        (folder / "tables" / "a.txt").write_text("a")
        (folder / ".hidden").write_text("not copied")
        (folder / "g.py").write_text("another endpoint's")
        project.specs["g"] = WorkerSpec("g", script=folder / "g.py", cwd=project.root)
        spec = project.registry().publish("f").spec
        copied = {
            str(path.relative_to(spec.script.parent))
            for path in spec.script.parent.rglob("*")
            if path.is_file()
        }
        assert copied == {"f.py", "tables/a.txt"}
        assert spec.script == spec.cwd / "inference" / "f.py"
        assert (spec.cwd / "words.txt").read_text() == "words"
        (folder / "tables" / "a.txt").write_text("b")
        assert (spec.script.parent / "tables" / "a.txt").read_text() == "a"

    def test_a_bundle_of_the_cache_takes_no_room_and_outlives_it(self, project: Project) -> None:
        spec = project.registry().publish("m").spec
        weights = spec.bundle / "model.onnx"
        assert os.stat(weights).st_ino == os.stat(project.bundle / "model.onnx").st_ino
        (project.bundle / "model.onnx").unlink()
        assert weights.read_bytes() == b"weights"

    def test_weights_a_bundle_links_to_are_its_own(self, project: Project, tmp_path: Path) -> None:
        blob = tmp_path / "hub" / "blobs" / ("c" * 64)
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"many")
        (project.bundle / "model.gguf").symlink_to(blob)
        weights = project.registry().publish("m").spec.bundle / "model.gguf"
        assert not weights.is_symlink()
        assert weights.stat().st_ino == blob.stat().st_ino

    def test_a_bundle_that_may_be_edited_is_copied(self, project: Project) -> None:
        bundle = project.root / "my-model"
        bundle.mkdir()
        (bundle / "bundle.json").write_text("{}")
        project.specs["m"] = replace(project.specs["m"], bundle=bundle)
        spec = project.registry().publish("m").spec
        (bundle / "bundle.json").write_text("changed")
        assert (spec.bundle / "bundle.json").read_text() == "{}"

    def test_nothing_changed_gives_the_last_version(self, project: Project) -> None:
        registry = project.registry()
        first = registry.publish("f", "one")
        os.utime(project.script, (1, 1))
        assert registry.publish("f", "two") == first
        project.specs["f"] = replace(project.specs["f"], concurrency=7, provisioned=1)
        assert registry.publish("f") == first

    @pytest.mark.parametrize(
        "fields", [{"memory_mb": 512}, {"timeout_s": 3.0}, {"env": {}}, {"snap_start": True}]
    )
    def test_another_configuration_is_another_version(self, project: Project, fields) -> None:
        registry = project.registry()
        first = registry.publish("f")
        before = registry.latest("f").revision_id
        project.specs["f"] = replace(project.specs["f"], **fields)
        second = registry.publish("f")
        assert (second.number, second.code_sha256) == (2, first.code_sha256)
        assert registry.latest("f").revision_id != before

    def test_snap_start_may_be_asked_for(self, project: Project) -> None:
        registry = project.registry()
        assert not registry.publish("f").snap_start
        version = registry.publish("f", snap_start=True)
        assert (version.number, version.snap_start, version.spec.snap_start) == (2, True, True)

    def test_preconditions(self, project: Project) -> None:
        registry = project.registry()
        latest = registry.latest("f")
        with pytest.raises(
            InvalidInput, match=r"CodeSHA256 \(x\) is different from current CodeSHA256 in \$LATEST"
        ):
            registry.publish("f", code_sha256="x")
        with pytest.raises(Outdated) as caught:
            registry.publish("f", revision_id="x")
        assert caught.value.status == 412
        made = registry.publish("f", code_sha256=latest.code_sha256, revision_id=latest.revision_id)
        assert made.code_sha256 == latest.code_sha256

    def test_too_much(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        registry = project.registry()
        monkeypatch.setattr(freezing, "CODE_LIMIT", 2)
        with pytest.raises(InvalidInput, match="has 3 bytes, and a function on AWS Lambda at most 2"):
            registry.publish("f")
        monkeypatch.setattr(freezing.beside, "MOST_FILES", 1)
        with pytest.raises(InvalidInput, match="has 1 files or more"):
            registry.publish("f")
        assert registry.versions("f") == []

    def test_numbers_are_not_used_again(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("f")
        kept = registry.publish("m").spec.bundle
        copy = registry.version("f", 1).spec.cwd
        registry.delete_version("f", 1)
        assert not copy.exists()
        assert kept.exists()
        assert registry.publish("f").number == 2
        with pytest.raises(EndpointNotFound, match="function:f:1"):
            registry.delete_version("f", 1)

    def test_another_thread_may_publish_meanwhile(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("f")
        project.script.write_text("two")
        threads = [threading.Thread(target=registry.publish, args=("f",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [version.number for version in registry.versions("f")] == [1, 2]


class TestAliases:
    @pytest.fixture
    def registry(self, project: Project) -> Registry:
        registry = project.registry(chance=iter([0.05, 0.1, 0.95]).__next__)
        registry.publish("f")
        project.script.write_text("two")
        registry.publish("f")
        return registry

    def test_the_way_of_an_invocation(self, registry: Registry) -> None:
        made = registry.create_alias(Alias("f", "live", "1", {"2": 0.1}))
        assert made.revision_id
        assert registry.alias("f", "live") == made
        assert registry.resolve("f", LATEST) == registry.resolve("f") == Target("f")
        assert registry.resolve("f", "2") == Target("f", "2", "2")
        assert [registry.resolve("f", "live").version for _ in range(3)] == ["2", "1", "1"]
        assert registry.aliases("f", "2") == registry.aliases("f") == [made]
        with pytest.raises(EndpointNotFound, match="function:f:3"):
            registry.resolve("f", "3")
        with pytest.raises(EndpointNotFound, match="function:nobody"):
            registry.resolve("nobody", LATEST)

    def test_shares(self, project: Project, registry: Registry) -> None:
        import random

        shared = project.registry(chance=random.Random(7).random)
        registry.create_alias(Alias("f", "live", "1", {"2": 0.3}))
        counts = Counter(shared.resolve("f", "live").version for _ in range(4000))
        # Five standard deviations of a binomial distribution around its mean.
        assert abs(counts["2"] - 1200) < 5 * (4000 * 0.3 * 0.7) ** 0.5

    @pytest.mark.parametrize(("alias", "text"), [
        (Alias("f", "12", "1"), "failed to satisfy constraint"),
        (Alias("f", "a b", "1"), "failed to satisfy constraint"),
        (Alias("f", "live", "1", {"2": 1.5}), "less than or equal to 1.0"),
        (Alias("f", "live", "1", {"2": float("nan")}), "less than or equal to 1.0"),
        (Alias("f", "live", "1", {"1": 0.5}), "already included"),
        (Alias("f", "live", "1", {"2": 0.5, "3": 0.5}), "cannot be greater than 1"),
        (Alias("f", "live", LATEST, {"2": 0.5}), r"\$LATEST is not supported"),
        (Alias("f", "live", "1", {LATEST: 0.5}), r"\$LATEST is not supported"),
    ])  # fmt: skip
    def test_what_an_alias_cannot_be(self, registry: Registry, alias: Alias, text: str) -> None:
        with pytest.raises(InvalidInput, match=text):
            registry.create_alias(alias)
        assert registry.aliases("f") == []

    def test_changing_one(self, registry: Registry) -> None:
        made = registry.create_alias(Alias("f", "live", LATEST))
        with pytest.raises(Conflict, match="already exists"):
            registry.create_alias(Alias("f", "live", "1"))
        with pytest.raises(Outdated):
            registry.update_alias(replace(made, version="1"), revision_id="old")
        changed = registry.update_alias(replace(made, version="1"), revision_id=made.revision_id)
        assert changed.revision_id != made.revision_id
        with pytest.raises(Conflict, match=r"aliases reference it: \[live\]"):
            registry.delete_version("f", 1)
        with pytest.raises(EndpointNotFound, match="function:f:9"):
            registry.update_alias(replace(made, version="9"))
        registry.delete_alias("f", "live")
        registry.delete_alias("f", "live")
        with pytest.raises(EndpointNotFound):
            registry.alias("f", "live")
        with pytest.raises(EndpointNotFound, match="Cannot find alias arn"):
            registry.update_alias(made)
        registry.delete_version("f", 1)


class TestSettings:
    def test_concurrency(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("m")
        assert (registry.reserved("m"), registry.pools()["m:1"].concurrency) == (None, 2)
        registry.reserve("m", 0)
        assert {spec.concurrency for name, spec in registry.pools().items() if name[0] == "m"} == {0}
        registry.reserve("m", None)
        assert registry.pools()["m"].concurrency == 2
        with pytest.raises(InvalidInput):
            registry.reserve("m", -1)

    def test_workers_kept_ready(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("m")
        project.specs["m"] = replace(project.specs["m"], digest="c" * 64, provisioned=1)
        registry.publish("m")
        registry.create_alias(Alias("m", "live", "1", {"2": 0.25}))
        registry.provide("m", "live", 4)
        pools = registry.pools()
        assert [pools[name].provisioned for name in ("m", "m:1", "m:2")] == [1, 3, 1]
        assert {pools[name].concurrency for name in ("m", "m:1", "m:2")} == {5}
        with pytest.raises(Conflict, match="Version is pointed by"):
            registry.provide("m", "1", 1)
        registry.delete_alias("m", "live")
        registry.provide("m", "1", 2)
        assert registry.provisioned("m") == {"1": 2}
        registry.create_alias(Alias("m", "live", "1"))
        with pytest.raises(Conflict, match="already Provisioned"):
            registry.provide("m", "live", 1)
        with pytest.raises(InvalidInput, match="unpublished"):
            registry.provide("m", LATEST, 1)
        with pytest.raises(InvalidInput, match="greater than or equal to 1"):
            registry.provide("m", "1", 0)
        with pytest.raises(InvalidInput, match="total provisioned"):
            registry.reserve("m", 1)
        registry.reserve("m", 2)
        with pytest.raises(InvalidInput, match="greater than the reserved"):
            registry.provide("m", "1", 3)
        registry.provide("m", "1", None)
        assert registry.provisioned("m") == {}

    def test_none_are_kept_ready_of_what_is_off(self, project: Project) -> None:
        project.specs["m"] = replace(project.specs["m"], provisioned=1)
        registry = project.registry()
        registry.reserve("m", 0)
        assert registry.pools()["m"].provisioned == 0

    def test_a_snapshot_is_not_kept_ready(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("m", snap_start=True)
        with pytest.raises(InvalidInput, match="SnapStart"):
            registry.provide("m", "1", 1)

    def test_event_invocations(self, project: Project) -> None:
        said = {"f": Asynchronous(retries=1)}
        registry = project.registry(asynchronous=lambda: said)
        registry.publish("f")
        own = Asynchronous(retries=0, on_failure="file:failed")
        registry.set_asynchronous("f", "1", own)
        assert registry.asynchronous("f", "1") == own
        assert registry.asynchronous("f", LATEST) == said["f"]
        assert registry.asynchronous("m") == Asynchronous()
        assert registry.asynchronous_set("f") == {"1": own}
        with pytest.raises(InvalidInput):
            registry.set_asynchronous("f", LATEST, Asynchronous(retries=3))
        with pytest.raises(InvalidInput):
            registry.set_asynchronous("f", LATEST, Asynchronous(max_age=1))
        with pytest.raises(EndpointNotFound):
            registry.set_asynchronous("f", "9", own)
        registry.set_asynchronous("f", "1", None)
        assert registry.asynchronous("f", "1") == said["f"]

    def test_a_version_is_walled_where_its_endpoint_is(self, project: Project) -> None:
        from firstlight.invoke.walled import walled

        registry = project.registry()
        registry.publish("f")
        project.specs["f"] = walled(project.specs["f"])
        own = registry.pools()["f:1"]
        assert {own.cwd, project.root} <= set(own.walls.through)

    def test_the_latest_has_no_snapshot(self, project: Project) -> None:
        project.specs["f"] = replace(project.specs["f"], snap_start=True)
        registry = project.registry()
        registry.publish("f")
        pools = registry.pools()
        assert (pools["f"].snap_start, pools["f:1"].snap_start) == (False, True)


class TestTheFile:
    def test_another_life_knows_the_same(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("f", "the first")
        registry.publish("m", snap_start=True)
        registry.create_alias(Alias("f", "live", "1", description="é"))
        registry.reserve("m", 3)
        registry.provide("f", "live", 1)
        registry.set_asynchronous("f", "live", Asynchronous(retries=1, on_success="endpoint:m"))
        other = project.registry()
        assert other.pools() == registry.pools()
        for name in ("f", "m"):
            assert other.versions(name) == registry.versions(name)
            assert other.aliases(name) == registry.aliases(name)
        assert other.asynchronous("f", "live") == registry.asynchronous("f", "live")

    def test_only_its_owner_may_read_it(self, project: Project) -> None:
        project.registry().publish("f")
        assert stat.S_IMODE((project.data / "functions.json").stat().st_mode) == 0o600

    def test_it_moves_with_the_project(self, project: Project, tmp_path: Path) -> None:
        project.registry().publish("f")
        project.data = project.data.rename(tmp_path / "elsewhere")
        [version] = project.registry().versions("f")
        assert version.spec.script.read_text() == "one"

    def test_what_another_program_wrote_is_seen(self, project: Project) -> None:
        here, there = project.registry(), project.registry()
        told = []
        here.on_change(lambda: told.append("here"))
        there.publish("f")
        assert here.resolve("f", "1").version == "1"
        assert told == ["here"]
        here.create_alias(Alias("f", "live", "1"))
        assert there.resolve("f", "live").version == "1"

    @pytest.mark.parametrize("text", [
        "", "nonsense", "[]", "{}", '{"format": 2, "functions": {}}', '{"format": 1, "functions": {"f": {}}}',
        '{"format": 1, "functions": {"f": {"last": true, "versions": [], "aliases": [], "reserved": null, '
        '"provisioned": {}, "asynchronous": {}}}}', "[" * 100_000,
    ])  # fmt: skip
    def test_garbage_is_explained_and_kept(self, project: Project, text: str) -> None:
        project.data.mkdir()
        (project.data / "functions.json").write_text(text)
        registry = project.registry()
        assert registry.problem is not None
        assert "functions.json is not what firstlight wrote" in registry.problem.message
        assert registry.resolve("f") == Target("f")
        assert set(registry.pools()) == {"f", "m"}
        with pytest.raises(VersionError, match="not what firstlight wrote"):
            registry.resolve("f", "live")
        with pytest.raises(VersionError):
            registry.publish("f")
        assert (project.data / "functions.json").read_text() == text

    def test_a_file_that_became_garbage_does_not_end_what_is_served(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("f")
        (project.data / "functions.json").write_text("{")
        assert registry.resolve("f", "1").version == "1"
        with pytest.raises(VersionError):
            registry.reserve("f", 1)

    @pytest.mark.parametrize(("name", "value"), [
        ("number", "1"), ("spec", {}), ("created", None), ("snap_start", 1), ("description", 5),
    ])  # fmt: skip
    def test_a_field_of_another_kind(self, project: Project, name: str, value) -> None:
        project.registry().publish("f")
        path = project.data / "functions.json"
        told = json.loads(path.read_text())
        told["functions"]["f"]["versions"][0][name] = value
        path.write_text(json.dumps(told))
        assert project.registry().problem is not None

    def test_a_folder_that_cannot_be_made(self, project: Project) -> None:
        project.data.write_text("a file")
        with pytest.raises(VersionError):
            project.registry().publish("f")

    def test_endpoints_that_are_gone_come_back_with_their_versions(self, project: Project) -> None:
        registry = project.registry()
        registry.publish("f")
        spec = project.specs.pop("f")
        assert set(registry.pools()) == {"m"}
        with pytest.raises(EndpointNotFound):
            registry.versions("f")
        registry.publish("m")
        project.specs["f"] = spec
        assert set(project.registry().pools()) == {"f", "f:1", "m", "m:1"}
