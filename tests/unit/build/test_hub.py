"""Files of the hub, from a hub of the test's own."""

from __future__ import annotations

import time
import types
from collections.abc import Iterator
from pathlib import Path

import hub_server
import huggingface_hub.constants
import huggingface_hub.file_download
import huggingface_hub.utils._http
import pytest
from hub_server import COMMIT, Hub

from firstlight.build import hub
from firstlight.build.resolve import resolve
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import NotSupported, ProjectError

NAME = "owner/name/model.gguf"
CONTENT = bytes(range(256)) * 64


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    # Between its attempts the library waits for seconds.
    no_wait = types.SimpleNamespace(**{**vars(time), "sleep": lambda _: None})
    for module in (huggingface_hub.file_download, huggingface_hub.utils._http):
        monkeypatch.setattr(module, "time", no_wait)
    with hub_server.running() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.files = {NAME: CONTENT, "owner/name/README.md": b"---\nlicense: mit\n---\n"}
        yield running


def test_a_file_is_fetched_once_into_the_hubs_own_cache(server: Hub, tmp_path: Path) -> None:
    place, source = hub.fetch(NAME)
    assert place.read_bytes() == CONTENT
    assert source == {"repo": "owner/name", "revision": COMMIT, "file": "model.gguf"}
    assert tmp_path / "home" / "hub" in place.parents
    assert (place.parent / "README.md").is_file()
    before = len(server.asked)
    assert hub.fetch(NAME)[0] == place
    assert [method for method, _, _ in server.asked[before:]] == ["HEAD", "HEAD"]


def test_a_folder_and_a_revision(server: Hub) -> None:
    server.files["owner/name/small/q8.gguf"] = CONTENT
    place, source = hub.fetch("owner/name/small/q8.gguf@v1")
    assert place.name == "q8.gguf"
    assert source["revision"] == COMMIT
    assert source["file"] == "small/q8.gguf"


def test_all_parts_of_a_split_file_are_fetched(server: Hub) -> None:
    names = [f"big-0000{number}-of-00002.gguf" for number in (1, 2)]
    server.files |= {f"owner/name/{name}": CONTENT + name.encode() for name in names}
    place, _ = hub.fetch(f"owner/name/{names[0]}")
    assert [(place.parent / name).read_bytes()[len(CONTENT) :].decode() for name in names] == names


def test_a_connection_that_drops_is_taken_up_where_it_ended(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    server.drops = 5000
    assert hub.fetch(NAME)[0].read_bytes() == CONTENT
    ranges = [
        wanted for method, path, wanted in server.asked if method == "GET" and path.startswith("large/")
    ]
    assert ranges == ["", "bytes=5000-"]


def test_without_a_connection_the_cache_is_enough(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ProjectError, match="HF_HUB_OFFLINE"):
        hub.fetch(NAME)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    place, _ = hub.fetch(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.fetch(NAME)[0] == place
    with pytest.raises(ProjectError, match="cannot be reached"):
        hub.fetch("owner/name/other.gguf")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.fetch(NAME)[0] == place


def test_a_private_repository_wants_its_token(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.private["owner/name"] = "hf_right"
    with pytest.raises(ProjectError, match="shows no repository owner/name") as refused:
        hub.fetch(NAME)
    assert "HF_TOKEN" in refused.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert hub.fetch(NAME)[0].read_bytes() == CONTENT


def test_a_gated_repository_says_where_to_ask(server: Hub) -> None:
    server.gated.add("owner/name")
    with pytest.raises(ProjectError, match="gated") as refused:
        hub.fetch(NAME)
    assert f"{server.url}/owner/name" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("nobody/nothing/model.gguf", "shows no repository nobody/nothing", "check the name"),
        ("owner/name/other.gguf", "owner/name has no file other.gguf", "model.gguf"),
        ("owner/name/model.gguf@v9", "no revision 'v9'", "leave it out"),
        ("own er/name/model.gguf", "which this version does not read", "hf:owner/name/file.gguf"),
        ("owner/na--me/model.gguf", "hf:owner/na--me", "hf:owner/name/file.gguf"),
    ],
)
def test_what_is_not_there_is_said(server: Hub, name: str, said: str, hint: str) -> None:
    with pytest.raises((ProjectError, NotSupported), match=said) as refused:
        hub.fetch(name)
    assert hint in refused.value.hint


def test_a_hub_that_fails_is_named(server: Hub) -> None:
    server.broken = 418
    with pytest.raises(ProjectError, match=r"127\.0\.0\.1:\d+ answered 418"):
        hub.fetch(NAME)


def test_something_else_than_a_hub_is_told_as_such(server: Hub) -> None:
    server.commit = ""
    with pytest.raises(ProjectError, match="does not answer as a Hugging Face hub does"):
        hub.fetch(NAME)


@pytest.mark.parametrize("name", ["owner/name", "owner/name@main", "owner/name/model.safetensors", "owner"])
def test_other_forms_are_not_fetched(server: Hub, name: str) -> None:
    with pytest.raises(NotSupported, match="which this version does not read yet"):
        hub.fetch(name)
    assert server.asked == []


def test_an_old_file_is_told_to_be_downloaded_with_its_tokenizer(server: Hub) -> None:
    with pytest.raises(NotSupported) as refused:
        hub.fetch("rustformers/pythia-ggml/pythia-410m-q5_1-ggjt.bin")
    assert "tokenizer.json" in refused.value.hint


def test_a_file_of_the_hub_is_a_model(server: Hub, tmp_path: Path, cache: Path, gguf_file: Path) -> None:
    server.files[NAME] = gguf_file.read_bytes()
    place = resolve(f"hf:{NAME}", tmp_path)
    bundle = Bundle.open(str(place), verify="hashes")
    assert (bundle.engine, bundle.task, bundle.name) == ("llama", "text-generation", "model")
    assert bundle.source == {"licence": "mit", "repo": "owner/name", "revision": COMMIT, "file": "model.gguf"}
    assert resolve(f"hf:{NAME}@main", tmp_path) == place
    blob = (place / "model.gguf").stat()
    assert blob.st_nlink == 2, "the hub's own file is linked, not copied"
