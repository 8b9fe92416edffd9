"""Files of the hub in its cache: fetched once, whole, and what they have to be."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from itertools import accumulate
from pathlib import Path
from random import Random

import huggingface_hub
import pytest
from hub_places import README, WEIGHTS, Place, Watch

from firstlight.build import hub
from firstlight.build.hub import content, fetching
from firstlight.build.types import Repository, RepositoryFile, SourceFile
from firstlight.runtime.errors import ProjectError

SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
ALL = ("README.md", "config.json", "model.safetensors", "onnx/model.onnx")
MODEL = "ada/tiny/model.safetensors"


def locked(place: Place, path: str, content: bytes) -> Repository:
    file = SourceFile(path, len(content), hashlib.sha256(content).hexdigest())
    return hub.locked("ada/tiny", place.hub.commit("ada/tiny"), [file])


def test_files_are_fetched_once(place: Place, watch: Watch) -> None:
    found = place.look()
    folder = hub.fetch(found, ALL, watch)
    assert folder == place.cache / "models--ada--tiny" / "snapshots" / found.revision
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "onnx" / "model.onnx").read_bytes() == b"graph"
    total = sum(file.size for file in found.files.values())
    assert watch.stages == [("downloading ada/tiny", total)]
    assert watch.count == total
    place.hub.forget()
    assert hub.fetch(found, ALL, watch) == folder
    assert (place.hub.requests, len(watch.stages), watch.count) == ([], 1, total)


def test_the_token_stays_with_the_hub(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fetch(place.look(), ALL)
    assert {each.token for each in place.hub.fetched(MODEL)} == {""}
    assert {each.token for each in place.hub.fetched("ada/tiny/README.md")} == {"hf_secret"}


def test_other_tools_find_the_files(place: Place) -> None:
    found = place.look()
    hub.fetch(found, ALL)
    place.hub.forget()
    for path in ALL:
        assert Path(
            huggingface_hub.hf_hub_download("ada/tiny", path, cache_dir=place.cache, local_files_only=True)
        ).is_file()
    scanned = huggingface_hub.scan_cache_dir(place.cache)
    assert scanned.warnings == []
    [revision] = next(iter(scanned.repos)).revisions
    assert (revision.commit_hash, set(revision.refs)) == (found.revision, {"main"})


def test_files_of_other_tools_are_taken(place: Place, watch: Watch) -> None:
    huggingface_hub.snapshot_download("ada/tiny", endpoint=place.hub.url, cache_dir=place.cache)
    place.hub.forget()
    folder = hub.fetch(place.look(), ALL, watch)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (place.hub.sent(MODEL), watch.stages) == (0, [])


def test_a_branch_of_another_commit_is_not_moved(place: Place) -> None:
    """Other tools are told what a branch is when its files are here, and not when it was only looked at."""
    first = place.look()
    hub.fetch(first, ["config.json"])
    (place.folder / "config.json").write_text("{}")
    second = place.look()
    main = place.cache / "models--ada--tiny" / "refs" / "main"
    assert main.read_text() == first.revision
    hub.fetch(first, ["README.md"])
    assert main.read_text() == first.revision
    hub.fetch(second, ["config.json"])
    assert main.read_text() == second.revision


def test_a_connection_that_drops_is_taken_up_where_it_ended(place: Place, watch: Watch) -> None:
    place.hub.faults.add(MODEL, after=300_000)
    place.hub.faults.add(MODEL, after=200_000, reset=True)
    place.hub.faults.add(MODEL, status=503, retry_after=0)
    hub.fetch(place.look(), ["model.safetensors"], watch)
    ranges = [each.range for each in place.hub.requests if each.path.startswith("/cdn/")]
    assert ranges[:2] == ["", "bytes=300000-"]
    assert place.hub.sent(MODEL) <= len(WEIGHTS) + 200_000, "what a reset takes with it is fetched again"
    assert watch.count == len(WEIGHTS)


def test_wherever_connections_end_no_byte_comes_twice(place: Place) -> None:
    found, random = place.look(), Random(11)
    for _ in range(20):
        place.hub.faults.add(
            MODEL, after=random.choice([1, 2, 65_535, 65_536, 65_537, random.randrange(100_000)])
        )
    folder = hub.fetch(found, ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    fetched = place.hub.fetched(MODEL)
    starts = list(accumulate((each.sent for each in fetched[:-1]), initial=0))
    assert [each.range for each in fetched] == ["", *(f"bytes={start}-" for start in starts[1:])]
    assert place.hub.sent(MODEL) == len(WEIGHTS)


def test_a_connection_that_stands_still_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "0.2")
    place.hub.faults.add(MODEL, hold=300_000)
    folder = hub.fetch(place.look(), ["model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [each.range for each in place.hub.fetched(MODEL)] == ["", "bytes=300000-"]


def test_it_is_given_up_after_some_attempts_and_taken_up_later(place: Place) -> None:
    found = place.look()
    place.hub.faults.add(MODEL, after=100_000)
    place.hub.faults.add(MODEL, status=503, times=None)
    with pytest.raises(ProjectError, match="answered 503"):
        hub.fetch(found, ["model.safetensors"])
    place.hub.faults.clear()
    hub.fetch(found, ["model.safetensors"])
    assert place.hub.sent(MODEL) == len(WEIGHTS)


def test_a_connection_that_brings_nothing_is_given_up(place: Place) -> None:
    place.hub.faults.add(MODEL, after=0, times=None)
    with pytest.raises(ProjectError, match=f"{MODEL} was not downloaded from http") as refused:
        hub.fetch(place.look(), ["model.safetensors"])
    assert "not fetched again" in refused.value.hint
    assert len(place.hub.fetched(MODEL)) == 5


def test_what_is_there_already_is_not_counted(place: Place, watch: Watch) -> None:
    partial = place.cache / "models--ada--tiny" / "blobs" / f"{SHA256}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(WEIGHTS[:400_000])
    hub.fetch(place.look(), ["model.safetensors"], watch)
    assert watch.stages == [("downloading ada/tiny", 600_000)]
    assert (watch.count, place.hub.sent(MODEL)) == (600_000, 600_000)
    assert place.blobs() == [SHA256]


@pytest.mark.parametrize("left", [b"wrong" * 1000, WEIGHTS + b"more", WEIGHTS[:-5] + b"wrong"])
def test_a_beginning_that_was_damaged_is_fetched_again(place: Place, watch: Watch, left: bytes) -> None:
    partial = place.cache / "models--ada--tiny" / "blobs" / f"{SHA256}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(left)
    folder = hub.fetch(place.look(), ["model.safetensors"], watch)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert sum(total or 0 for _, total in watch.stages) == max(0, watch.count)


def test_a_hub_that_takes_no_notice_of_ranges(
    place: Place, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firstlight.testing.hub import routes

    whole = routes.of_file
    monkeypatch.setattr(routes, "of_file", lambda *args: whole(*args[:3], "", args[4]))
    place.hub.faults.add(MODEL, after=300_000)
    folder = hub.fetch(place.look(), ["model.safetensors"], watch)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert watch.count == len(WEIGHTS)


@pytest.mark.parametrize("path", ["model.safetensors", "README.md"])
def test_wrong_content_is_removed_and_named(place: Place, path: str) -> None:
    found = place.look()
    right = (place.folder / path).read_bytes()
    wrong = right[:-1] + b"!"
    place.hub.faults.add(f"ada/tiny/{path}", content=wrong)
    with pytest.raises(
        ProjectError, match=f"ada/tiny/{path} at {found.revision[:12]} is not what it has to be"
    ) as refused:
        hub.fetch(found, [path])
    if path == "README.md":
        hashes = [hashlib.sha1(b"blob %d\0" % len(each) + each).hexdigest() for each in (wrong, right)]
    else:
        hashes = [hashlib.sha256(each).hexdigest() for each in (wrong, right)]
    assert f"is {hashes[0]}, not {hashes[1]}" in refused.value.message
    assert place.blobs() == []
    assert (hub.fetch(found, [path]) / path).read_bytes() == right


def test_content_of_another_length_is_told_before_it_is_taken(place: Place) -> None:
    place.hub.faults.add(MODEL, content=b"short")
    with pytest.raises(ProjectError, match="it has 5 bytes, not 1000000"):
        hub.fetch(place.look(), ["model.safetensors"])


def test_a_damaged_file_of_the_cache_is_removed(place: Place) -> None:
    found = place.look()
    folder = hub.fetch(found, ["model.safetensors"])
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(WEIGHTS[:-1] + b"!")
    os.utime(blob, (1, 1))
    with pytest.raises(ProjectError, match="is not what it has to be: its SHA-256"):
        hub.fetch(found, ["model.safetensors"])
    assert not blob.exists()
    assert not (folder / "model.safetensors").is_symlink()
    blob.write_bytes(b"short")
    with pytest.raises(ProjectError, match="it has 5 bytes, not 1000000, and its SHA-256"):
        hub.fetch(found, ["model.safetensors"])
    assert (hub.fetch(found, ["model.safetensors"]) / "model.safetensors").read_bytes() == WEIGHTS


def test_a_damaged_file_of_a_cache_that_is_not_ours(place: Place) -> None:
    """It stays, and is not taken."""
    found = place.look()
    folder = hub.fetch(found, ["config.json"])
    (folder / "config.json").write_text("{}")
    shutil.rmtree(place.cache / ".locks")
    (place.cache / ".locks").write_text("no folder, as a stand-in for one that may not be written")
    with pytest.raises(ProjectError, match="is not what it has to be") as refused:
        hub.fetch(found, ["config.json"])
    assert "could not be removed" in refused.value.hint
    assert (folder / "config.json").exists()


def test_a_file_is_hashed_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub.snapshot_download("ada/tiny", endpoint=place.hub.url, cache_dir=place.cache)
    found = place.look()
    hashed: list[str] = []
    read = content.Hashes.read
    monkeypatch.setattr(
        content.Hashes, "read", lambda self, file: hashed.append(file.name) or read(self, file)
    )
    hub.fetch(found, ALL)
    hub.fetch(found, ALL)
    assert sorted(hashed) == sorted(Path(path).name for path in ALL)


@pytest.mark.parametrize("path", ["model.safetensors", "README.md"])
def test_files_that_change_under_the_same_revision(place: Place, path: str) -> None:
    place.settings(commit="c0ffee" + "0" * 34)
    found = place.look()
    (place.folder / path).write_bytes(b"other")
    with pytest.raises(ProjectError, match=f"ada/tiny/{path} changed under the revision c0ffee000000"):
        hub.fetch(found, [path])
    assert place.blobs() == []


@pytest.mark.parametrize(("path", "right"), [("model.safetensors", WEIGHTS), ("README.md", README)])
def test_a_locked_file_is_fetched_without_asking_what_there_is(
    place: Place, path: str, right: bytes, watch: Watch
) -> None:
    """The cache names small files by their git id, which a lock does not say."""
    wanted = locked(place, path, right)
    assert (hub.fetch(wanted, [path], watch) / path).read_bytes() == right
    assert watch.count == len(right)
    assert not [each for each in place.hub.requests if each.path.startswith("/api/models")]
    git = hashlib.sha1(b"blob %d\0" % len(right) + right).hexdigest()
    assert place.blobs() == [git if path == "README.md" else SHA256]
    place.hub.forget()
    hub.fetch(wanted, [path])
    assert place.hub.requests == []


@pytest.mark.parametrize(("path", "right"), [("model.safetensors", WEIGHTS), ("README.md", README)])
def test_a_repository_that_was_renamed(place: Place, path: str, right: bytes) -> None:
    place.settings(formerly=["ada/small"])
    assert place.look("ada/small").revision == place.hub.commit("ada/tiny")
    file = SourceFile(path, len(right), hashlib.sha256(right).hexdigest())
    folder = hub.fetch(hub.locked("ada/small", place.hub.commit("ada/tiny"), [file]), [path])
    assert (folder / path).read_bytes() == right
    git = hashlib.sha1(b"blob %d\0" % len(right) + right).hexdigest()
    assert (folder / path).resolve().name == (git if path == "README.md" else SHA256)


def test_a_locked_file_that_changed(place: Place) -> None:
    for path, right in (("model.safetensors", WEIGHTS), ("README.md", README)):
        with pytest.raises(ProjectError, match=r"changed under the revision|is not what it has to be"):
            hub.fetch(locked(place, path, right[:-1] + b"!"), [path])


def test_a_file_larger_than_the_disk_is_not_begun(place: Place) -> None:
    file = SourceFile("model.safetensors", 10**18, "a" * 64)
    with pytest.raises(ProjectError, match="needs 1000000000000 MB more, and the disk of") as refused:
        hub.fetch(hub.locked("ada/tiny", place.hub.commit("ada/tiny"), [file]), ["model.safetensors"])
    assert "HF_HUB_CACHE" in refused.value.hint
    assert not place.cache.exists()


def test_a_disk_that_fills_up_meanwhile(place: Place) -> None:
    partial = place.cache / "models--ada--tiny" / "blobs" / f"{SHA256}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(ProjectError, match=r"the disk that holds .* is full") as refused:
        hub.fetch(place.look(), ["model.safetensors"])
    assert "make room" in refused.value.hint


def test_a_cache_that_is_no_folder(place: Place) -> None:
    place.cache.parent.mkdir()
    place.cache.write_text("a file")
    for paths in (["config.json"], ALL):
        with pytest.raises(ProjectError, match="cannot be written") as refused:
            hub.fetch(place.look(), paths)
        assert "HF_HUB_CACHE" in refused.value.hint


def test_offline_what_is_missing_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = place.look()
    folder = hub.fetch(found, ["config.json"])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.fetch(found, ["config.json"]) == folder
    with pytest.raises(ProjectError, match=f"{MODEL} is not in the cache, and HF_HUB_OFFLINE"):
        hub.fetch(found, ["config.json", "model.safetensors"])


def test_the_cache_is_where_the_environment_says(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert tmp_path / "elsewhere" in hub.fetch(place.look(), ["config.json"]).parents
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME")
    assert tmp_path / "own" / "huggingface" / "hub" in hub.fetch(place.look(), ["config.json"]).parents


def test_without_links_the_files_themselves_are_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    folder = hub.fetch(place.look(), ALL)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (folder / "model.safetensors").is_symlink()
    assert place.blobs() == []


@pytest.mark.parametrize("path", ["a b.json", "résumé #1?.json", "a%20b.bin", "sub folder/x+y.bin"])
def test_names_of_files_are_taken_as_they_are(place: Place, path: str) -> None:
    (place.folder / path).parent.mkdir(exist_ok=True)
    (place.folder / path).write_bytes(b"content")
    assert (hub.fetch(place.look(), [path]) / path).read_bytes() == b"content"


def test_the_same_content_twice_is_fetched_once(place: Place) -> None:
    shutil.copy(place.folder / "model.safetensors", place.folder / "onnx" / "model.onnx")
    found = place.look()
    folder = hub.fetch(found, ["model.safetensors", "onnx/model.onnx"])
    assert (folder / "onnx" / "model.onnx").read_bytes() == WEIGHTS
    assert place.hub.sent(MODEL) + place.hub.sent("ada/tiny/onnx/model.onnx") == len(WEIGHTS)


def test_another_process_is_waited_for(place: Place, watch: Watch) -> None:
    """The lock is the library's, so what is waited for may be any tool."""
    found = place.look()
    lock = place.cache / ".locks" / "models--ada--tiny" / f"{SHA256}.lock"
    lock.parent.mkdir(parents=True)
    waits = threading.Event()
    watch.say = lambda text: (watch.said.append(text), waits.set())[0]  # type: ignore[method-assign]
    with huggingface_hub.utils.WeakFileLock(lock):
        worker = threading.Thread(target=hub.fetch, args=(found, ["model.safetensors"], watch))
        worker.start()
        assert waits.wait(10)
        blob = place.cache / "models--ada--tiny" / "blobs" / SHA256
        blob.parent.mkdir(parents=True)
        blob.write_bytes(WEIGHTS)
    worker.join()
    assert watch.said == [f"another process is at {MODEL}; waiting for it"]
    assert (place.hub.sent(MODEL), watch.count) == (0, len(WEIGHTS))


def test_the_first_error_ends_the_rest(place: Place) -> None:
    """What is on its way is kept, and goes on later."""
    found = place.look()
    slow = place.hub.faults.add(MODEL, hold=100_000)
    wrong = place.hub.faults.add("ada/tiny/README.md", content=b"x" * len(README), hold=1)
    failed: list[BaseException] = []

    def run() -> None:
        with pytest.raises(ProjectError, match=r"ada/tiny/README.md .* is not what it has to be") as refused:
            hub.fetch(found, ALL)
        failed.append(refused.value)

    worker = threading.Thread(target=run)
    worker.start()
    place.hub.wait(lambda: (place.hub.sent(MODEL), place.hub.sent("ada/tiny/README.md")) == (100_000, 1))
    wrong.release()
    slow.release()
    worker.join()
    assert failed
    kept = [
        place.cache / "models--ada--tiny" / "blobs" / f"{SHA256}{ending}" for ending in ("", ".incomplete")
    ]
    there = next(each for each in kept if each.exists()).read_bytes()
    assert there
    assert WEIGHTS.startswith(there)
    hub.fetch(found, ["model.safetensors"])
    if len(there) < len(WEIGHTS):
        assert place.hub.fetched(MODEL)[-1].range == f"bytes={len(there)}-"


@pytest.mark.parametrize("path", ["../../evil", "/etc/passwd", "a\\b", "nothing.bin"])
def test_paths_that_are_none(place: Place, path: str) -> None:
    found = place.look()
    if path != "nothing.bin":
        found = Repository("ada/tiny", found.revision, {path: RepositoryFile(path, 1, git="0" * 40)})
    with pytest.raises(ProjectError, match=r"not a path inside|has no file"):
        hub.fetch(found, [path])


@pytest.mark.parametrize(
    ("name", "revision"), [("../x", "0" * 40), ("ada/tiny", "main"), ("ada/tiny", "../../x")]
)
def test_a_lock_that_was_tampered_with(place: Place, name: str, revision: str) -> None:
    file = SourceFile("config.json", 1, "a" * 64)
    with pytest.raises(ProjectError):
        hub.fetch(hub.locked(name, revision, [file]), ["config.json"])


def test_a_file_of_which_nothing_is_known(place: Place) -> None:
    found = Repository("ada/tiny", "0" * 40, {"a": RepositoryFile("a", 1)})
    with pytest.raises(ProjectError, match="nothing says what a has to be"):
        hub.fetch(found, ["a"])


def test_no_more_than_a_few_at_once(place: Place) -> None:
    for number in range(12):
        (place.folder / f"{number}.bin").write_bytes(bytes([number]) * 10_000)
    found = place.look()
    hub.fetch(found, found.files)
    assert fetching._AT_ONCE == 4
    assert len(place.blobs()) == len(found.files)
