"""Repositories made of folders: what is in each of their revisions, who may read them, what is special about them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from firstlight.testing.hub import faults
from firstlight.testing.hub.content import File, Store

SETTINGS = "hub.json"

_LFS = (
    "*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gguf", "*.gz", "*.h5", "*.joblib", "*.mlmodel",
    "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.onnx_data", "*.ot", "*.parquet", "*.pb", "*.pickle",
    "*.pkl", "*.pt", "*.pth",
    "*.rar", "*.safetensors", "*.spm", "*.tar", "*.tflite", "*.tgz", "*.wasm", "*.xz", "*.zip", "*.zst",
)  # fmt: skip
_LARGEST_IN_GIT = 10 << 20
_FRONT_MATTER = re.compile(r"\s*---[ \t]*\r?\n(.*?)\n---", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a repository: its id and its files by path."""

    id: str
    files: Mapping[str, File]


@dataclass(slots=True)
class Settings:
    """What ``hub.json`` says; see the package's docstring."""

    gated: bool | str = False
    private: bool = False
    tokens: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    formerly: list[str] = field(default_factory=list)
    lfs: list[str] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Repository:
    """One repository as it is now, and the commits of it that were seen.

    Attributes:
        name: ``owner/name``.
        folder: where its ``main`` is.
        branches, tags: name -> id of the commit.
        commits: by id.
        card: the head of its README.md.
    """

    name: str
    folder: Path
    settings: Settings = field(default_factory=Settings)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    def at(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag, ``refs/heads/...`` or an id, also one that is cut short."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        found = self.branches.get(name) or self.tags.get(name) or revision
        if found in self.commits:
            return self.commits[found]
        short = [
            commit for known, commit in self.commits.items() if len(found) >= 7 and known.startswith(found)
        ]
        return short[0] if len(short) == 1 else None

    def open_to(self, token: str) -> bool:
        """Whether who sends the token may read its files."""
        closed = self.settings.private or self.settings.gated
        return not closed or token in self.settings.tokens


class Repositories:
    """All repositories of a folder.

    Args:
        folder: holds ``owner/name/...``.
        store: keeps what is in them.
        planned: is given the faults that their ``hub.json`` plans.
    """

    def __init__(self, folder: Path, store: Store, planned: faults.Faults) -> None:
        self._folder, self._store, self._planned = folder, store, planned
        self._lock = threading.Lock()
        self._known: dict[str, Repository] = {}

    def names(self) -> list[str]:
        """Of all of them."""
        owners = (owner for owner in self._folder.iterdir() if owner.is_dir())
        return sorted(
            f"{owner.name}/{each.name}" for owner in owners for each in owner.iterdir() if each.is_dir()
        )

    def get(self, name: str) -> Repository | None:
        """A repository as its folder is now; None where there is none.

        Raises:
            ValueError: its hub.json is wrong.
        """
        folder = self._folder / name
        if name.count("/") != 1 or ".." in name.split("/") or not folder.is_dir():
            return None
        with self._lock:
            known = self._known.get(name)
            if known is None:
                known = self._known[name] = Repository(name, folder, settings(folder))
                for planned in known.settings.faults:
                    self._planned.add(**faults.of_json(planned, f"{name}/"))
            self._look(known)
            return known

    def moved_to(self, name: str) -> str | None:
        """What a repository that was renamed is called now."""
        for each in self.names():
            if name in settings(self._folder / each).formerly:
                return each
        return None

    def _look(self, known: Repository) -> None:
        known.settings = settings(known.folder)
        places = known.settings.branches | known.settings.tags
        apart = {(known.folder / place).resolve() for place in places.values()}
        commits = {"main": self._commit(known, known.folder, apart, known.settings.commit)}
        commits |= {name: self._commit(known, known.folder / place, set()) for name, place in places.items()}
        known.branches = {"main": commits["main"].id} | {n: commits[n].id for n in known.settings.branches}
        known.tags = {name: commits[name].id for name in known.settings.tags}
        known.commits |= {commit.id: commit for commit in commits.values()}
        known.card = self._head(commits["main"])

    def _commit(self, known: Repository, folder: Path, apart: set[Path], fixed: str = "") -> Commit:
        paths = {place.relative_to(folder).as_posix(): place for place in _files(folder, apart)}
        patterns = known.settings.lfs if known.settings.lfs is not None else _patterns(folder)
        files = {}
        for path, place in sorted(paths.items()):
            lfs = place.stat().st_size > _LARGEST_IN_GIT or _matches(path, patterns)
            files[path] = self._store.add(place, path, lfs)
        lines = "\n".join(f"{file.git} {path}" for path, file in files.items())
        return Commit(fixed or hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest(), files)

    def _head(self, commit: Commit) -> dict[str, Any]:
        if "README.md" not in commit.files:
            return {}
        return front_matter(self._store.place(commit.files["README.md"].sha256).read_bytes())


def front_matter(readme: bytes) -> dict[str, Any]:
    """The YAML at the top of a README.md; nothing where there is none that can be read."""
    found = _FRONT_MATTER.match(readme.decode(errors="replace"))
    if found is None:
        return {}
    yaml: Any = import_module("yaml")
    try:
        content = yaml.safe_load(found[1])
    except yaml.YAMLError:
        return {}
    return json.loads(json.dumps(content, default=str)) if isinstance(content, dict) else {}


def settings(folder: Path) -> Settings:
    """What the ``hub.json`` of a repository's folder says.

    Raises:
        ValueError: it is no JSON object of what may be said there.
    """
    place = folder / SETTINGS
    if not place.is_file():
        return Settings()
    content = json.loads(place.read_bytes())
    if not isinstance(content, dict) or set(content) - set(Settings.__slots__):
        raise ValueError(f"{place} may say {', '.join(Settings.__slots__)}")
    return Settings(**content)


def _files(folder: Path, apart: set[Path]) -> Iterator[Path]:
    for place in folder.iterdir():
        if place.is_dir():
            if place.name != ".git" and place.resolve() not in apart:
                yield from _files(place, apart)
        elif place.name != SETTINGS:
            yield place


def _patterns(folder: Path) -> list[str]:
    """What .gitattributes puts into LFS."""
    try:
        lines = (folder / ".gitattributes").read_text(encoding="utf-8").splitlines()
    except OSError:
        return list(_LFS)
    return [line.split()[0] for line in lines if "filter=lfs" in line.split()[1:]]


def _matches(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(path, each) or fnmatchcase(path.rpartition("/")[2], each) for each in patterns)
