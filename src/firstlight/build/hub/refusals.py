"""What the hub's refusals mean to the user; the one place where the library's exceptions are explained."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firstlight.build.hub import suggestions, wire
from firstlight.build.hub.settings import Settings
from firstlight.build.types import Name, Repository
from firstlight.runtime.errors import ProjectError

_LATER = "try again later"


@contextmanager
def explained(name: Name, settings: Settings) -> Iterator[None]:
    """Whatever the library raises inside, as a ProjectError.

    Args:
        name: what is asked for.
    """
    wire.library()
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise offline(name.repository) from error
    except errors.HfHubHTTPError as error:
        raise _refused(error, name, settings) from error
    except errors.HFValidationError as error:
        raise ProjectError(f"hf:{name.repository}: {error}", "say hf:owner/name") from error
    except OSError as error:
        if wire.is_passing(error) or isinstance(error, ConnectionError):
            raise unreached(error, name, settings) from error
        raise unwritable(error, settings.cache) from error
    except Exception as error:
        if not wire.is_passing(error):
            raise
        raise unreached(error, name, settings) from error


def offline(what: str) -> ProjectError:
    """Something is not in the cache, and may not be asked for."""
    hint = "fetch it once without HF_HUB_OFFLINE, or name a file of this machine"
    return ProjectError(f"{what} is not in the cache, and HF_HUB_OFFLINE forbids to download it", hint)


def no_hub(place: str) -> ProjectError:
    """What answers at the endpoint is something else."""
    return ProjectError(
        f"{place} does not answer as a Hugging Face hub does", "check HF_ENDPOINT and proxies"
    )


def changed(
    repository: Repository, path: str, expected: str | None, now: str | None, place: str
) -> ProjectError:
    """A file is another one than it was at the same commit."""
    said = f"{repository.name}/{path} changed under the revision {repository.revision[:12]}"
    hint = "a commit never changes: the repository was replaced, or this is another hub; find out before you trust it"
    return ProjectError(f"{said}: its hash was {expected}, and at {place} it is {now}", hint)


def unwritable(error: OSError, cache: Path) -> ProjectError:
    """The cache cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room or set HF_HUB_CACHE to a larger disk; what is there already is not fetched again"
        return ProjectError(f"the disk that holds {cache} is full", hint)
    where = error.filename or cache
    hint = "set HF_HUB_CACHE to a folder that you may write"
    return ProjectError(f"{where} cannot be written: {error.strerror or error}", hint)


def unreached(error: Exception, name: Name, settings: Settings) -> ProjectError:
    """The hub cannot be reached, or is in trouble."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return _status(error.response, settings.endpoint, name.repository)
    place, said = settings.endpoint, re.sub(r"\s+", " ", str(error)) or type(error).__name__
    if name.file:
        hint = "try again; what is here already is not fetched again"
        return ProjectError(f"{name.repository}/{name.file} was not downloaded from {place}: {said}", hint)
    hint = "check the connection and HF_ENDPOINT, or name a file of this machine"
    return ProjectError(f"{place} cannot be reached: {said}", hint)


def _refused(error: Exception, name: Name, settings: Settings) -> ProjectError:
    """The kinds are told from special to general."""
    from huggingface_hub import errors

    place, repository = settings.endpoint, name.repository
    if isinstance(error, errors.GatedRepoError):
        hint = f"ask for access on {place}/{repository}, then set HF_TOKEN to a token of yours"
        return ProjectError(f"{repository} is gated: its owner lets in who has asked", hint)
    if isinstance(error, errors.DisabledRepoError):
        return ProjectError(f"{place} has closed {repository} to everybody", "take another model")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ProjectError(
            f"{place} shows no repository {repository}", suggestions.for_name(repository, settings)
        )
    if isinstance(error, errors.RevisionNotFoundError):
        hint = suggestions.for_revision(repository, settings)
        return ProjectError(f"{repository} has no revision {name.revision!r}", hint)
    if isinstance(error, errors.EntryNotFoundError):
        hint = "the revision named is another one, or it changed; check the page of its files"
        return ProjectError(f"{repository} has no file {name.file} at {name.revision}", hint)
    return _status(getattr(error, "response", None), place, repository)


def _status(response: object, place: str, repository: str) -> ProjectError:
    status = getattr(response, "status_code", 0)
    headers = getattr(response, "headers", {})
    if status == 401:
        hint = "make a new one in the settings of your account, or unset HF_TOKEN"
        return ProjectError(f"{place} does not take the token it was sent", hint)
    if status == 404 and "X-Error-Code" not in headers:
        return no_hub(place)
    hint = "set HF_TOKEN to a token with more requests, or try again later" if status == 429 else _LATER
    return ProjectError(f"{place} answered {status} for {repository}", hint)
