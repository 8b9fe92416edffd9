"""What can go wrong with versions and aliases beyond what all of firstlight's errors are."""

from __future__ import annotations

from firstlight.runtime.errors import Conflict, FirstlightError


class VersionError(FirstlightError):
    """The versions of a project cannot be kept, or what was kept cannot be read."""

    code = "versions"


class Outdated(Conflict):
    """A revision id is not the latest: it was changed meanwhile (Lambda's PreconditionFailedException)."""

    code = "outdated"
    status = 412

    def __init__(self) -> None:
        super().__init__(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
            "read it again, look at what has changed, and send the new revision id",
        )
