"""GGUF files of the Hugging Face hub, fetched into the hub's own cache by huggingface_hub.

What its library goes by holds here too: HF_ENDPOINT, HF_TOKEN or the token of ``hf auth login``, HF_HOME and
HF_HUB_CACHE, HF_HUB_OFFLINE. A connection that drops is taken up where it ended. This is the one place where the
library's exceptions are met.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from firstlight.build.gguf import split
from firstlight.runtime.errors import FirstlightError, MissingExtra, NotSupported, ProjectError

_ENDPOINT = "https://huggingface.co"
_FILE = re.compile(r"(?P<repo>[^/@\s]+/[^/@\s]+)/(?P<file>[^@]+)(?:@(?P<revision>\S+))?")
_YES = ("1", "ON", "YES", "TRUE")


def fetch(name: str) -> tuple[Path, dict[str, str]]:
    """A GGUF file of the hub in the local cache.

    Args:
        name: ``owner/name/file.gguf`` or ``owner/name/folder/file.gguf``, with ``@revision`` where one is meant.

    Returns:
        where it lies, all parts of a split one beside it; repository, revision (the commit) and file.

    Raises:
        ProjectError: there is no such file, it may not be read, or the hub cannot be reached.
        NotSupported: something else than a GGUF file.
    """
    found = _FILE.fullmatch(name)
    if found is None or not found["file"].endswith(".gguf"):
        raise _other_form(name)
    repository, file, revision = found["repo"], found["file"], found["revision"]
    places = [_download(repository, part, revision) for part in split.names(file)]
    with suppress(FirstlightError):  # it may say the licence; many repositories have none
        _download(repository, "README.md", revision)
    commit = places[0].parents[file.count("/")].name
    return places[0], {"repo": repository, "revision": commit, "file": file}


def _other_form(name: str) -> NotSupported:
    if name.partition("@")[0].endswith(".bin"):
        hint = "download it into a folder, with tokenizer.json and config.json of the repository it was made from"
        return NotSupported(f"hf:{name} is no GGUF file", f"{hint}, and name the folder")
    hint = (
        "name a GGUF file (hf:owner/name/file.gguf), or download the model into a folder and name the folder"
    )
    return NotSupported(f"hf:{name} is a repository of the hub, which this version does not read yet", hint)


def _settings() -> dict[str, Any]:
    """What the environment says now; the library looks at most of it only when it is first imported."""
    found: dict[str, Any] = {"endpoint": os.environ.get("HF_ENDPOINT", "").rstrip("/") or None}
    found["token"] = os.environ.get("HF_TOKEN") or None
    home = os.environ.get("HF_HOME")
    found["cache_dir"] = (
        os.environ.get("HF_HUB_CACHE") or (home and str(Path(home).expanduser() / "hub")) or None
    )
    found["local_files_only"] = os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES
    return found


def _download(repository: str, file: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingExtra("huggingface_hub is not installed", "pip install huggingface_hub") from error
    settings = _settings()
    with _explained(repository, file, revision, settings):
        return Path(
            hf_hub_download(repository, file, revision=revision, library_name="firstlight", **settings)
        )


@contextmanager
def _explained(repository: str, file: str, revision: str | None, settings: dict[str, Any]) -> Iterator[None]:
    from huggingface_hub import errors

    place = settings["endpoint"] or _ENDPOINT
    try:
        yield
    except errors.RemoteEntryNotFoundError as error:
        raise ProjectError(
            f"{repository} has no file {file}", _other_files(repository, revision, settings)
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _not_reached(error.__cause__, f"{repository}/{file}", place, settings) from error
    except (errors.HFValidationError, errors.HfHubHTTPError) as error:
        raise _refused(error, repository, revision, place) from error
    except OSError as error:
        raise ProjectError(f"{repository}/{file} was not downloaded: {error}", "try again") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2"):
            raise
        raise ProjectError(f"{place} cannot be reached: {error}", "try again later") from error


def _refused(error: Exception, repository: str, revision: str | None, place: str) -> ProjectError:
    """What the hub's refusal means to the user; the kinds are told from special to general."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        hint = f"ask for access on {place}/{repository}, then set HF_TOKEN to a token of yours"
        return ProjectError(f"{repository} is gated: its owner lets in who has asked", hint)
    if isinstance(error, errors.RepositoryNotFoundError):
        hint = "check the name; where it is private, set HF_TOKEN to a token that may read it"
        return ProjectError(f"{place} shows no repository {repository}", hint)
    if isinstance(error, errors.RevisionNotFoundError):
        return ProjectError(f"{repository} has no revision {revision!r}", "leave it out for main")
    if isinstance(error, errors.HfHubHTTPError):
        return ProjectError(
            f"{place} answered {error.response.status_code} for {repository}", "try again later"
        )
    return ProjectError(f"hf:{repository}: {error}", "say hf:owner/name/file.gguf")


def _not_reached(cause: object, name: str, place: str, settings: dict[str, Any]) -> ProjectError:
    """Why a file that is not in the cache could not be asked for."""
    from huggingface_hub import errors

    if settings["local_files_only"]:
        hint = "fetch it once without HF_HUB_OFFLINE, or name a file of this machine"
        return ProjectError(f"{name} is not in the cache, and HF_HUB_OFFLINE forbids to download it", hint)
    if isinstance(cause, errors.HfHubHTTPError):
        return ProjectError(f"{place} answered {cause.response.status_code} for {name}", "try again later")
    if isinstance(cause, errors.FileMetadataError):
        return ProjectError(
            f"{place} does not answer as a Hugging Face hub does", "check HF_ENDPOINT and proxies"
        )
    hint = "check the connection and HF_ENDPOINT, or name a file of this machine"
    return ProjectError(f"{place} cannot be reached, and {name} is not in the cache", hint)


def _other_files(repository: str, revision: str | None, settings: dict[str, Any]) -> str:
    """The GGUF files there are, as a hint; a plain hint where the hub does not say."""
    from huggingface_hub import HfApi

    try:
        api = HfApi(endpoint=settings["endpoint"], token=settings["token"])
        names = [
            name for name in api.list_repo_files(repository, revision=revision) if name.endswith(".gguf")
        ]
    except Exception:
        names = []
    return f"its GGUF files: {', '.join(names[:20])}" if names else "check the name on the page of its files"
