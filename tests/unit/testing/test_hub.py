"""The test hub, asked by the real huggingface_hub and by hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import huggingface_hub
import pytest
from huggingface_hub import errors

from firstlight.testing.hub import Hub, local_hub
from firstlight.testing.hub.__main__ import main
from firstlight.testing.hub.repositories import front_matter

WEIGHTS = bytes(range(256)) * 1000
README = b"---\nlicense: mit\ntags: [small]\npipeline_tag: fill-mask\n---\n# Tiny\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two repositories."""
    for name in ("ada/tiny", "ada/other"):
        place = tmp_path / "hub" / name
        (place / "onnx").mkdir(parents=True)
        (place / "config.json").write_text('{"architectures": ["BertForMaskedLM"], "model_type": "bert"}')
        (place / "model.safetensors").write_bytes(WEIGHTS)
        (place / "onnx" / "model.onnx").write_bytes(b"graph")
        (place / "README.md").write_bytes(README)
    return tmp_path / "hub"


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    with local_hub(folder) as running:
        yield running


def api(hub: Hub, token: str | bool = False) -> huggingface_hub.HfApi:
    return huggingface_hub.HfApi(endpoint=hub.url, token=token)


def download(hub: Hub, tmp_path: Path, file: str, **more: str) -> Path:
    return Path(
        huggingface_hub.hf_hub_download(
            "ada/tiny",
            file,
            endpoint=hub.url,
            cache_dir=tmp_path / "cache",
            token=more.pop("token", False),
            **more,
        )
    )


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request by hand; redirects are not followed."""
    parts = urlsplit(url)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), headers=sent)
        with connection.getresponse() as answer:
            return answer.status, dict(answer.headers), answer.read()


def git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_a_repository_says_what_is_in_it(hub: Hub) -> None:
    info = api(hub).model_info("ada/tiny", files_metadata=True)
    assert (info.sha, info.pipeline_tag, info.library_name) == (
        hub.commit("ada/tiny"),
        "fill-mask",
        "transformers",
    )
    assert info.card_data is not None
    assert info.card_data.license == "mit"
    assert (info.private, info.gated) == (False, False)
    assert info.siblings is not None
    files = {each.rfilename: each for each in info.siblings}
    assert sorted(files) == ["README.md", "config.json", "model.safetensors", "onnx/model.onnx"]
    weights, readme = files["model.safetensors"].lfs, files["README.md"]
    assert weights is not None
    assert (weights.sha256, weights.size) == (hashlib.sha256(WEIGHTS).hexdigest(), len(WEIGHTS))
    assert (readme.blob_id, readme.size, readme.lfs) == (git_id(README), len(README), None)


def test_trees_paths_refs_and_commits(hub: Hub) -> None:
    asked = api(hub)
    assert [each.path for each in asked.list_repo_tree("ada/tiny")] == [
        "onnx",
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert [each.path for each in asked.list_repo_tree("ada/tiny", "onnx")] == ["onnx/model.onnx"]
    assert "onnx/model.onnx" in asked.list_repo_files("ada/tiny")
    assert [each.path for each in asked.get_paths_info("ada/tiny", ["config.json", "onnx", "no"])] == [
        "config.json",
        "onnx",
    ]
    refs = asked.list_repo_refs("ada/tiny")
    assert [(each.name, each.target_commit) for each in refs.branches] == [("main", hub.commit("ada/tiny"))]
    assert [each.commit_id for each in asked.list_repo_commits("ada/tiny")] == [hub.commit("ada/tiny")]
    with pytest.raises(errors.HfHubHTTPError):
        list(asked.list_repo_tree("ada/tiny", "nowhere"))


def test_a_long_tree_comes_in_pages(hub: Hub) -> None:
    path = f"{hub.url}/api/models/ada/tiny/tree/main?recursive=true&limit=2"
    names = []
    while path:
        _, headers, body = get(path)
        names += [each["path"] for each in json.loads(body)]
        path = headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert names == ["onnx", "README.md", "config.json", "model.safetensors", "onnx/model.onnx"]


def test_models_are_searched_by_name_and_owner(hub: Hub) -> None:
    assert [each.id for each in api(hub).list_models(search="TIN")] == ["ada/tiny"]
    assert [each.id for each in api(hub).list_models(author="ada", limit=1)] == ["ada/other"]
    assert list(api(hub).list_models(author="grace")) == []


def test_a_snapshot_is_downloaded_and_large_files_come_from_another_host(hub: Hub, tmp_path: Path) -> None:
    place = huggingface_hub.snapshot_download(
        "ada/tiny", endpoint=hub.url, cache_dir=tmp_path / "cache", token="hf_x"
    )
    assert (Path(place) / "model.safetensors").read_bytes() == WEIGHTS
    assert (Path(place) / "onnx" / "model.onnx").read_bytes() == b"graph"
    [content] = hub.fetched("ada/tiny/model.safetensors")
    assert content.host.startswith("localhost:")
    assert content.token == ""
    assert hub.sent("ada/tiny/model.safetensors") == len(WEIGHTS)
    assert {each.token for each in hub.fetched("ada/tiny/README.md")} == {"hf_x"}
    hub.forget()
    assert hub.requests == []


def test_heads_ranges_and_etags(hub: Hub) -> None:
    url, commit = f"{hub.url}/ada/tiny/resolve/main", hub.commit("ada/tiny")
    status, headers, body = get(f"{url}/README.md", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(README)), b"")
    assert (headers["ETag"], headers["X-Repo-Commit"]) == (f'"{git_id(README)}"', commit)
    assert get(f"{url}/README.md", If_None_Match=headers["ETag"])[0] == 304
    status, headers, _ = get(f"{url}/model.safetensors")
    assert (status, headers["X-Linked-Size"]) == (302, str(len(WEIGHTS)))
    assert headers["X-Linked-Etag"].strip('"') == hashlib.sha256(WEIGHTS).hexdigest()
    place = headers["Location"]
    for wanted, start, end in (
        ("bytes=10-19", 10, 20),
        ("bytes=255990-", 255990, 256000),
        ("bytes=-5", 255995, 256000),
    ):
        status, headers, body = get(place, Range=wanted)
        assert (status, body) == (206, WEIGHTS[start:end])
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/256000"
    assert get(place, Range="bytes=256000-")[0] == 416
    assert get(place.replace("Signature=", "Signature=0"))[0] == 403
    assert get(f"{hub.url}/ada/tiny/raw/main/model.safetensors")[2].decode().splitlines() == [
        "version https://git-lfs.github.com/spec/v1",
        f"oid sha256:{hashlib.sha256(WEIGHTS).hexdigest()}",
        "size 256000",
    ]
    assert get(f"{hub.url}/ada/tiny/raw/main/README.md")[2] == README


@pytest.mark.parametrize(
    ("file", "revision", "kind"),
    [
        ("no.json", "main", errors.EntryNotFoundError),
        ("config.json", "v9", errors.RevisionNotFoundError),
    ],
)
def test_what_is_not_there_has_the_hubs_codes(
    hub: Hub, tmp_path: Path, file: str, revision: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        download(hub, tmp_path, file, revision=revision)


def test_a_missing_repository_is_not_told_from_a_private_one(hub: Hub, folder: Path, tmp_path: Path) -> None:
    (folder / "ada/tiny/hub.json").write_text('{"private": true, "tokens": ["hf_right"]}')
    for token in (False, "hf_wrong"):
        with pytest.raises(errors.RepositoryNotFoundError):
            api(hub, token).model_info("ada/tiny")
        with pytest.raises(errors.RepositoryNotFoundError):
            api(hub, token).model_info("ada/nothing")
    assert api(hub, "hf_right").model_info("ada/tiny").private is True
    assert [each.id for each in api(hub).list_models(author="ada")] == ["ada/other"]
    assert download(hub, tmp_path, "config.json", token="hf_right").is_file()


def test_a_gated_repository_shows_itself_but_not_its_files(hub: Hub, folder: Path, tmp_path: Path) -> None:
    (folder / "ada/tiny/hub.json").write_text('{"gated": "manual", "tokens": ["hf_right"]}')
    assert api(hub).model_info("ada/tiny").gated == "manual"
    for token, status in ((False, 401), ("hf_other", 403)):
        with pytest.raises(errors.GatedRepoError) as refused:
            download(hub, tmp_path, "config.json", token=token)  # type: ignore[arg-type]
        assert refused.value.response.status_code == status
    assert download(hub, tmp_path, "config.json", token="hf_right").is_file()


def test_tokens_may_be_listed(hub: Hub, folder: Path) -> None:
    assert api(hub, "hf_any").whoami()["name"] == "test"
    (folder / "hub.json").write_text('{"tokens": {"hf_ada": "ada"}}')
    assert api(hub, "hf_ada").whoami()["name"] == "ada"
    with pytest.raises(errors.HfHubHTTPError, match="Invalid"):
        api(hub, "hf_any").model_info("ada/tiny")
    assert api(hub).model_info("ada/tiny").id == "ada/tiny"


def test_a_changed_file_is_a_new_commit_and_the_old_one_stays(hub: Hub, folder: Path, tmp_path: Path) -> None:
    before = hub.commit("ada/tiny")
    (folder / "ada/tiny/model.safetensors").write_bytes(b"other")
    after = hub.commit("ada/tiny")
    assert before != after
    assert download(hub, tmp_path, "model.safetensors", revision=before).read_bytes() == WEIGHTS
    assert download(hub, tmp_path, "model.safetensors").read_bytes() == b"other"
    assert [each.commit_id for each in api(hub).list_repo_commits("ada/tiny")] == [after, before]
    assert api(hub).model_info("ada/tiny", revision=before[:10]).sha == before


def test_a_fixed_commit_may_change(hub: Hub, folder: Path) -> None:
    (folder / "ada/tiny/hub.json").write_text(json.dumps({"commit": "c0ffee" + "0" * 34}))
    before = api(hub).get_paths_info("ada/tiny", "config.json")
    (folder / "ada/tiny/config.json").write_text("{}")
    assert api(hub).model_info("ada/tiny").sha == "c0ffee" + "0" * 34
    assert api(hub).get_paths_info("ada/tiny", "config.json") != before


def test_branches_tags_and_former_names(hub: Hub, folder: Path, tmp_path: Path) -> None:
    place = folder / "ada/tiny"
    (place / "old").mkdir()
    (place / "old/config.json").write_text("{}")
    said = {"branches": {"dev/x": "old"}, "tags": {"v1": "old"}, "formerly": ["ada/small"], "lfs": ["*.md"]}
    (place / "hub.json").write_text(json.dumps(said))
    refs = api(hub).list_repo_refs("ada/tiny")
    assert [each.name for each in refs.branches] == ["main", "dev/x"]
    assert [each.ref for each in refs.tags] == ["refs/tags/v1"]
    assert api(hub).list_repo_files("ada/tiny", revision="v1") == ["config.json"]
    assert download(hub, tmp_path, "config.json", revision="dev/x").read_text() == "{}"
    assert "old/config.json" not in api(hub).list_repo_files("ada/tiny")
    assert api(hub).model_info("ada/small").id == "ada/tiny"
    [readme] = api(hub).get_paths_info("ada/tiny", "README.md")
    assert readme.lfs is not None  # type: ignore[union-attr]


def test_gitattributes_say_what_is_in_lfs(hub: Hub, folder: Path) -> None:
    (folder / "ada/tiny/.gitattributes").write_text(
        "*.json filter=lfs diff=lfs merge=lfs -text\n*.bin text\n"
    )
    found = {
        each.path: each.lfs is not None
        for each in api(hub).get_paths_info("ada/tiny", ["config.json", "model.safetensors"])
    }  # type: ignore[union-attr]
    assert found == {"config.json": True, "model.safetensors": False}


def test_faults_hit_as_often_as_they_are_meant_to(hub: Hub) -> None:
    url = f"{hub.url}/ada/tiny/resolve/main/README.md"
    hub.faults.add("/api/*", status=503, retry_after=7, times=2)
    for _ in range(2):
        status, headers, _ = get(f"{hub.url}/api/models/ada/tiny")
        assert (status, headers["Retry-After"]) == (503, "7")
    assert get(f"{hub.url}/api/models/ada/tiny")[0] == 200
    hub.faults.add("ada/tiny/README*", content=b"something else")
    assert get(url, "HEAD")[0] == 200
    assert get(url)[2] == b"something else"
    assert get(url)[2] == README
    hub.faults.add("ada/tiny/README.md", bytes_per_second=1_000_000)
    assert get(url)[2] == README


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_ends_early(hub: Hub, reset: bool) -> None:
    hub.faults.add("ada/tiny/README.md", after=10, reset=reset)
    with pytest.raises(OSError) if reset else pytest.raises(Exception, match="IncompleteRead"):  # noqa: PT011
        get(f"{hub.url}/ada/tiny/resolve/main/README.md")
    assert hub.sent("ada/tiny/README.md") == 10


def test_a_transfer_is_held_until_it_is_released(hub: Hub) -> None:
    fault = hub.faults.add("ada/tiny/README.md", hold=10)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(get(f"{hub.url}/ada/tiny/resolve/main/README.md")[2]))
    reader.start()
    hub.wait(lambda: hub.sent("ada/tiny/README.md") == 10)
    assert got == []
    fault.release()
    reader.join()
    assert got == [README]
    with pytest.raises(TimeoutError):
        hub.wait(lambda: False, timeout_s=0.01)


def test_the_log_and_the_faults_are_there_over_http(hub: Hub, folder: Path) -> None:
    (folder / "ada/other/hub.json").write_text('{"faults": [{"on": "README.md", "content": "planned"}]}')
    assert get(f"{hub.url}/ada/other/resolve/main/README.md")[2] == b"planned"
    request = urllib.request.Request(
        f"{hub.url}/_hub/faults", b'{"on": "ada/tiny/README.md", "status": 429}', method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b"{}"
    assert get(f"{hub.url}/ada/tiny/resolve/main/README.md")[0] == 429
    listed = json.loads(get(f"{hub.url}/_hub/requests")[2])
    assert [(each["file"], each["status"]) for each in listed if each["file"]] == [
        ("ada/other/README.md", 200),
        ("ada/tiny/README.md", 429),
    ]
    get(f"{hub.url}/_hub/requests", "DELETE")
    assert [each.path for each in hub.requests] == []
    wrong = urllib.request.Request(f"{hub.url}/_hub/faults", b'{"off": 1}', method="POST")
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        urllib.request.urlopen(wrong)
    refused.value.close()


def test_a_wrong_hub_json_is_said(hub: Hub, folder: Path) -> None:
    assert get(f"{hub.url}/api/models/../hub")[0] == 401
    with pytest.raises(KeyError):
        hub.commit("ada/nothing")
    (folder / "ada/tiny/hub.json").write_text('{"gatted": true}')
    status, _, body = get(f"{hub.url}/api/models/ada/tiny")
    assert status == 500
    assert "gated" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("readme", "found"),
    [
        (README, "mit"),
        (b"no head", None),
        (b"---\n[\n---\n", None),
        (b"---\n- 1\n---\n", None),
        (b"\xff---\n", None),
    ],
)
def test_heads_of_readmes(readme: bytes, found: str | None) -> None:
    assert front_matter(readme).get("license") == found


def test_it_runs_by_itself(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "firstlight.testing.hub", str(folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = json.loads(running.stdout.readline())["url"]
        assert json.loads(get(f"{url}/api/models/ada/tiny")[2])["id"] == "ada/tiny"
        running.terminate()
        assert running.wait(10) == 0
    with pytest.raises(SystemExit):
        main([str(tmp_path / "nothing")])
    assert "there is no folder" in capsys.readouterr().err
