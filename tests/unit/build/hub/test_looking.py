"""What the hub says about repositories, and what is known of them without it."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
from hub_places import README, WEIGHTS, Place

from firstlight.build import hub
from firstlight.build.types import Card, Repository, RepositoryFile, SourceFile
from firstlight.runtime.errors import ProjectError


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_files_card_and_commit(place: Place) -> None:
    found = place.look()
    assert (found.name, found.revision, found.gated) == ("ada/tiny", place.hub.commit("ada/tiny"), False)
    assert set(found.files) == {"README.md", "config.json", "model.safetensors", "onnx/model.onnx"}
    assert found.files["README.md"] == RepositoryFile("README.md", len(README), git=git_id(README))
    weights = RepositoryFile("model.safetensors", len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    assert found.files["model.safetensors"] == weights
    assert (found.card.licence, found.card.task, found.card.library) == (
        "mit",
        "text-classification",
        "transformers",
    )
    assert "small" in found.card.tags


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license: other\nlicense_name: llama3", "llama3"),
        ("license: other", "other"),
        ("license: [mit, apache-2.0]", "mit, apache-2.0"),
        ("tags: [small]", None),
    ],
)
def test_licences(place: Place, head: str, licence: str | None) -> None:
    (place.folder / "README.md").write_text(f"---\n{head}\n---\n")
    assert place.look().card.licence == licence


def test_a_revision_is_looked_at(place: Place) -> None:
    (place.folder / "old").mkdir()
    (place.folder / "old" / "config.json").write_text("{}")
    place.settings(tags={"v1": "old"})
    assert set(place.look("ada/tiny@v1").files) == {"config.json"}
    with pytest.raises(ProjectError, match="ada/tiny has no revision 'v9'") as refused:
        place.look("ada/tiny@v9")
    assert refused.value.hint == "leave it out for main; it has main, v1"


@pytest.mark.parametrize("typo", ["ada/tinny", "ada/Tyni", "adda/tiny", "tiny/tiny"])
def test_typos_are_answered_with_what_is_there(place: Place, typo: str) -> None:
    with pytest.raises(ProjectError, match=f"shows no repository {typo}") as refused:
        place.look(typo)
    assert "did you mean ada/tiny?" in refused.value.hint


def test_words_of_a_long_name_are_searched_for(place: Place) -> None:
    shutil.copytree(place.folder, place.folder.parents[1] / "distilbert" / "distilbert-base-uncased")
    with pytest.raises(ProjectError) as refused:
        place.look("disilbert/distilbret-base-uncased")
    assert "did you mean distilbert/distilbert-base-uncased?" in refused.value.hint


def test_a_hub_without_a_search_suggests_nothing(place: Place) -> None:
    place.hub.faults.add("/api/models", status=404, times=None)
    for name in ("ada/tinny", "zzz/quite-different"):
        with pytest.raises(ProjectError, match="shows no repository") as refused:
            place.look(name)
        assert refused.value.hint.startswith("check the name")


def test_a_private_repository_wants_its_token(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.settings(private=True, tokens=["hf_right"])
    with pytest.raises(ProjectError, match="shows no repository ada/tiny") as refused:
        place.look()
    assert "HF_TOKEN" in refused.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert place.look().name == "ada/tiny"


def test_a_token_nobody_has_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.folder.parents[1] / "hub.json").write_text('{"tokens": {"hf_right": "ada"}}')
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ProjectError, match="does not take the token"):
        place.look()


def test_a_gated_repository_says_where_to_ask(place: Place) -> None:
    place.settings(gated=True)
    found = place.look()
    assert found.gated
    with pytest.raises(ProjectError, match="gated") as refused:
        hub.fetch(found, ["config.json"])
    assert f"{place.hub.url}/ada/tiny" in refused.value.hint


@pytest.mark.parametrize(("status", "hint"), [(503, "later"), (429, "HF_TOKEN"), (418, "later")])
def test_a_hub_that_fails_is_named(place: Place, status: int, hint: str) -> None:
    place.hub.faults.add("/api/*", status=status, times=None)
    with pytest.raises(ProjectError, match=rf"127\.0\.0\.1:\d+ answered {status}") as refused:
        place.look()
    assert hint in refused.value.hint


def test_a_hub_that_is_busy_is_asked_again(place: Place) -> None:
    place.hub.faults.add("/api/models/*", status=503, retry_after=0, times=2)
    assert place.look().name == "ada/tiny"


@pytest.mark.parametrize("info", [{"sha": "main"}, {"siblings": [{}]}, {"sha": None}])
def test_something_else_than_a_hub_is_told_as_such(place: Place, info: dict[str, object]) -> None:
    place.settings(info=info)
    with pytest.raises(ProjectError, match="does not answer as a Hugging Face hub does"):
        place.look()


def test_what_is_not_json_is_no_hub(place: Place) -> None:
    place.hub.faults.add("/api/models/*", content=b"<html>")
    with pytest.raises(ProjectError, match="does not answer as a Hugging Face hub does"):
        place.look()


def test_a_mirror_that_leaves_sizes_out_is_asked_for_the_tree(place: Place) -> None:
    whole = place.look()
    place.settings(info={"siblings": [{"rfilename": path} for path in whole.files]})
    assert place.look().files == whole.files


def test_a_path_out_of_the_folder_is_left_out(place: Place) -> None:
    evil = {"rfilename": "../../evil", "size": 1, "blobId": "0" * 40}
    place.settings(info={"siblings": [evil]})
    assert place.look().files == {}


def test_without_a_connection_what_was_seen_is_enough(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = place.look()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert place.look() == place.look(f"ada/tiny@{found.revision}") == found
    for name in ("ada/tiny@v1", f"ada/tiny@{'0' * 40}", "ada/other"):
        with pytest.raises(ProjectError, match=r"127\.0\.0\.1:9 cannot be reached"):
            place.look(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert place.look() == place.look(f"ada/tiny@{found.revision}") == found
    with pytest.raises(ProjectError, match="HF_HUB_OFFLINE forbids"):
        place.look("ada/other")


def test_a_hub_in_trouble_is_as_good_as_none(place: Place) -> None:
    found = place.look()
    place.hub.faults.add("/api/*", status=503)
    assert place.look() == found


def test_offline_means_that_nothing_is_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.look()
    place.hub.forget()
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "yes")
    place.look()
    assert place.hub.requests == []


@pytest.mark.parametrize("whole", [True, False])
def test_what_other_tools_cached_is_known(place: Place, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """By their listing of the commit where there is one, else by the files themselves."""
    snapshot = huggingface_hub.snapshot_download(
        "ada/tiny",
        endpoint=place.hub.url,
        cache_dir=place.cache,
        allow_patterns=["*.json", "*.safetensors", "*.md"],
    )
    if not whole:
        shutil.rmtree(place.cache / "models--ada--tiny" / "trees", ignore_errors=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = place.look()
    assert found.revision == Path(snapshot).name
    assert set(found.files) >= {"README.md", "config.json", "model.safetensors"}
    assert ("onnx/model.onnx" in found.files) == whole
    assert found.files["model.safetensors"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert found.files["README.md"] == RepositoryFile("README.md", len(README), git=git_id(README))
    assert (found.card.licence, found.card.task) == ("mit", "text-classification")


def test_damaged_memory_is_no_memory(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = place.look()
    for file in (tmp_path / "own" / "firstlight" / "hub" / "ada--tiny").iterdir():
        file.write_text("[1, {")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ProjectError, match="not in the cache"):
        place.look()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert place.look() == found


def test_files_that_change_under_a_commit_are_an_error(place: Place) -> None:
    place.settings(commit="c0ffee" + "0" * 34)
    place.look()
    (place.folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(
        ProjectError, match=r"ada/tiny/model.safetensors changed under the revision c0ffee000000"
    ) as refused:
        place.look()
    assert hashlib.sha256(b"other").hexdigest() in refused.value.message
    assert hashlib.sha256(WEIGHTS).hexdigest() in refused.value.message


def test_a_lock_is_enough_to_know_a_repository(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    file = SourceFile("config.json", 2, "a" * 64)
    card = Card(licence="mit")
    assert hub.locked("ada/tiny", "0" * 40, [file], card) == Repository(
        "ada/tiny", "0" * 40, {"config.json": RepositoryFile("config.json", 2, "a" * 64)}, card
    )


def test_a_lock_is_completed_by_what_was_seen(place: Place) -> None:
    seen = place.look()
    config = seen.files["config.json"]
    files = [SourceFile("config.json", config.size, "a" * 64), SourceFile("README.md", 1, "b" * 64)]
    found = hub.locked("ada/tiny", seen.revision, files)
    assert found.files["config.json"] == RepositoryFile("config.json", config.size, "a" * 64, config.git)
    assert found.files["README.md"].git is None
    assert found.card == seen.card


def test_listings_are_json_anyone_can_read(place: Place, tmp_path: Path) -> None:
    found = place.look()
    folder = tmp_path / "own" / "firstlight" / "hub" / "ada--tiny"
    assert json.loads((folder / "revisions.json").read_text()) == {"main": found.revision}
    assert json.loads((folder / f"{found.revision}.json").read_text())["name"] == "ada/tiny"
