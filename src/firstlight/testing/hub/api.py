"""The JSON part of the hub: what there is, in which revisions, with which files (``/api/...``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlencode

from firstlight.testing.hub.answers import Answer, Refused, as_json
from firstlight.testing.hub.content import File, Store, git_id, pointer
from firstlight.testing.hub.repositories import Commit, Repository

_WHEN = "2026-01-01T00:00:00.000Z"
_PAGE = 1000
_TASKS = {
    "ForCausalLM": "text-generation", "ForMaskedLM": "fill-mask", "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "text-classification", "ForTokenClassification": "token-classification",
}  # fmt: skip


def info(repository: Repository, commit: Commit, store: Store, blobs: bool) -> dict[str, Any]:
    """What ``/api/models/{id}/revision/{revision}`` says.

    Args:
        blobs: with size and hash of each file, as ``?blobs=true`` asks for.
    """
    card, config = repository.card, _config(commit, store)
    library = card.get("library_name") or ("transformers" if config else None)
    tags = [*_texts(card.get("tags")), *([library] if library else [])]
    if isinstance(card.get("license"), str):
        tags.append(f"license:{card['license']}")
    named = {"pipeline_tag": card.get("pipeline_tag") or _task(config), "library_name": library}
    found: dict[str, Any] = {
        "_id": commit.id[:24], "id": repository.name, "modelId": repository.name,
        "author": repository.name.partition("/")[0], "sha": commit.id, "lastModified": _WHEN, "createdAt": _WHEN,
        "private": repository.settings.private, "gated": _gated(repository), "disabled": False,
        "downloads": 0, "likes": 0, "tags": tags, "spaces": [], "config": config,
        "siblings": [_sibling(file, blobs) for file in commit.files.values()],
        "usedStorage": sum(file.size for file in commit.files.values()),
    }  # fmt: skip
    found |= {name: value for name, value in named.items() if value}
    return found | ({"cardData": card} if card else {}) | repository.settings.info


def entries(commit: Commit, folder: str, recursive: bool) -> list[dict[str, Any]]:
    """What ``/api/models/{id}/tree/{revision}/{folder}`` lists.

    Raises:
        Refused: there is no such folder.
    """
    inside = {
        path: file for path, file in commit.files.items() if path.startswith(f"{folder}/" if folder else "")
    }
    if folder and not inside:
        raise Refused(404, f"{folder} does not exist on {commit.id}", "EntryNotFound")
    depth = folder.count("/") + 1 if folder else 0
    folders: dict[str, str] = {}
    for path, file in inside.items():
        parts = path.split("/")
        for end in range(depth + 1, len(parts)):
            name = "/".join(parts[:end])
            folders[name] = folders.get(name, "") + file.git
    listed = [_folder(name, oids) for name, oids in folders.items()] + [
        _file(file) for file in inside.values()
    ]
    return [entry for entry in listed if recursive or entry["path"].count("/") == depth]


def paths_info(commit: Commit, body: bytes, kind: str) -> Answer:
    """What ``POST /api/models/{id}/paths-info/{revision}`` says; paths that are not there are left out."""
    asked = json.loads(body) if "json" in kind else parse_qs(body.decode())
    paths = asked.get("paths", [])
    listed = {entry["path"]: entry for entry in entries(commit, "", recursive=True)}
    return as_json([listed[path] for path in paths if path in listed])


def page(listed: list[Any], path: str, query: dict[str, str]) -> Answer:
    """A part of a list, with a Link to the next one where there is more."""
    start, limit = int(query.get("cursor") or 0), int(query.get("limit") or _PAGE)
    more = {}
    if start + limit < len(listed):
        after = urlencode(query | {"cursor": str(start + limit)})
        more["Link"] = f'<{path}?{after}>; rel="next"'
    return as_json(listed[start : start + limit], headers=more)


def refs(repository: Repository) -> dict[str, Any]:
    """What ``/api/models/{id}/refs`` says."""
    return {
        "branches": [_ref(name, "heads", commit) for name, commit in repository.branches.items()],
        "converts": [],
        "tags": [_ref(name, "tags", commit) for name, commit in repository.tags.items()],
        "pullRequests": [],
    }


def commits(repository: Repository, commit: Commit) -> list[dict[str, Any]]:
    """What ``/api/models/{id}/commits/{revision}`` says: it, and before ``main`` what ``main`` was."""
    known = list(repository.commits)
    before = known[: known.index(commit.id)] if commit.id == repository.branches["main"] else []
    return [
        {"id": each, "title": "Update", "message": "", "authors": [{"user": "test"}], "date": _WHEN}
        for each in (commit.id, *reversed(before))
    ]


def search(
    repositories: Iterable[tuple[Repository, Commit]], query: dict[str, str], store: Store
) -> list[Any]:
    """What ``/api/models`` finds: names that contain ``search``, of an ``author``."""
    wanted, author = query.get("search", "").lower(), query.get("author", "")
    found = (
        {
            name: value
            for name, value in info(repository, commit, store, blobs=False).items()
            if name != "siblings"
        }
        for repository, commit in repositories
        if wanted in repository.name.lower() and author in ("", repository.name.partition("/")[0])
    )
    return list(islice(found, int(query.get("limit") or _PAGE)))


def _sibling(file: File, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": file.path}
    found: dict[str, Any] = {"rfilename": file.path, "size": file.size, "blobId": file.git}
    if file.lfs:
        size = len(pointer(file.sha256, file.size))
        found["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": size}
    return found


def _file(file: File) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "oid": file.git, "size": file.size, "path": file.path}
    if file.lfs:
        size = len(pointer(file.sha256, file.size))
        found["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": size}
    return found


def _folder(path: str, oids: str) -> dict[str, Any]:
    return {"type": "directory", "oid": git_id(oids.encode()), "size": 0, "path": path}


def _ref(name: str, kind: str, commit: str) -> dict[str, str]:
    return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit}


def _gated(repository: Repository) -> bool | str:
    return "auto" if repository.settings.gated is True else repository.settings.gated


def _config(commit: Commit, store: Store) -> dict[str, Any]:
    """What the hub takes over from config.json."""
    if "config.json" not in commit.files:
        return {}
    try:
        content = json.loads(store.place(commit.files["config.json"].sha256).read_bytes())
    except ValueError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: content[name] for name in ("architectures", "model_type") if name in content}


def _task(config: dict[str, Any]) -> str | None:
    for name in config.get("architectures") or []:
        for ending, task in _TASKS.items():
            if str(name).endswith(ending):
                return task
    return None


def _texts(value: object) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [str(each) for each in value]
        if isinstance(value, list)
        else []
    )
