"""How a repository of the hub, a revision of it and a file in it are named."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from firstlight.build.types import Name
from firstlight.runtime.errors import ProjectError

ENDPOINT = "https://huggingface.co"

_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"(?!.*\.\.)(?!/)[^\s~^:?*\[\\\x00-\x1f\x7f]+(?<![/.])")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OTHERS = ("datasets", "spaces", "kernels", "buckets", "collections", "papers", "docs", "api")
_HINT = (
    "say owner/name, owner/name@revision or owner/name/file.gguf@revision, as the address of its page has it"
)


def parse(text: str) -> Name:
    """A repository as the user names it.

    Args:
        text: ``owner/name``, ``owner/name@revision``, ``owner/name/folder/file.gguf@revision``, each with or without
            ``hf:``; or the address of its page, ``https://huggingface.co/owner/name``, also with
            ``/tree/revision``, ``/blob/revision/file`` or ``/resolve/revision/file``.

    Raises:
        ProjectError: it is none of these.
    """
    bare = text.strip().removeprefix("hf:").removeprefix("//")
    if bare.startswith(("https://", "http://")):
        return _of_address(bare)
    path, at, revision = bare.partition("@")
    owner, _, rest = path.partition("/")
    name, slash, file = rest.partition("/")
    if (at and not revision) or (slash and not file):
        raise _no_name(text)
    return _checked(text, f"{owner}/{name}", revision or None, file or None)


def is_commit(revision: str | None) -> bool:
    """Whether a revision is the id of a commit, which always stands for the same files."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def is_path(path: str) -> bool:
    """Whether a path stays inside the folder it is put into."""
    parts = path.split("/")
    return "\\" not in path and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def _of_address(address: str) -> Name:
    found = urlsplit(address)
    mirror = urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc
    if found.netloc.lower() not in (*_HOSTS, *([mirror.lower()] if mirror else [])):
        hint = f"give the address of a model's page on {ENDPOINT}, or set HF_ENDPOINT to the hub that has it"
        raise ProjectError(f"{address} is not a page of the hub", hint)
    parts = [unquote(part) for part in found.path.split("/") if part]
    if parts and parts[0] in _OTHERS:
        raise ProjectError(f"{address} is not the page of a model", "give the address of a model's page")
    if len(parts) < 2:
        raise _no_name(address)
    repository, kind, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "", parts[3:]
    if kind not in ("tree", "blob", "resolve", "raw") or not rest:
        return _checked(address, repository, None, None)
    count = 3 if rest[0] == "refs" and len(rest) > 2 else 1
    return _checked(address, repository, "/".join(rest[:count]), "/".join(rest[count:]) or None)


def _checked(text: str, repository: str, revision: str | None, file: str | None) -> Name:
    parts = repository.split("/")
    whole = (
        len(parts) == 2 and all(_PART.fullmatch(part) for part in parts) and not repository.endswith(".git")
    )
    if not whole or (revision is not None and _REVISION.fullmatch(revision) is None):
        raise _no_name(text)
    if file is not None and not (is_path(file) and file.isprintable()):
        raise _no_name(text)
    return Name(repository, revision, file)


def _no_name(text: str) -> ProjectError:
    bare = text.removeprefix("hf:")
    if _PART.fullmatch(bare):
        hint = f"names have an owner: owner/{bare}; a folder of this machine is ./{bare}"
        return ProjectError(f"{text} does not say whose model it is", hint)
    if PurePosixPath(bare).is_absolute() or bare.startswith((".", "~")):
        return ProjectError(f"{text} is a path, not the name of a repository", _HINT)
    return ProjectError(f"{text!r} is not the name of a repository of the hub", _HINT)
