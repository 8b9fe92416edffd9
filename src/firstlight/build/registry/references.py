"""Names of images, as ``docker pull`` takes them (distribution specification, "Pulling manifests")."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from firstlight.runtime.errors import ProjectError

_HUB, _HUB_API = "docker.io", "registry-1.docker.io"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""The only kind of digest that registries have in common."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository of a registry, or an image in it.

    Attributes:
        host: with its port where it has one; ``docker.io`` where the text names none.
        name: of the repository, ``team/mood``.
        tag: empty for none.
        digest: ``sha256:...`` of a manifest; empty for none. It wins over the tag.
    """

    host: str
    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference a text is: ``host/name``, ``host/name:tag`` or ``host/name@sha256:...``.

        Raises:
            ProjectError: it is none.
        """
        rest, at, digest = text.partition("@")
        if at and not DIGEST.fullmatch(digest):
            raise _wrong(text, f"{digest!r} is not a digest (sha256: and 64 hex digits)")
        first, slash, path = rest.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            host, rest = first, path
        else:
            host = _HUB
        name, colon, tag = rest.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise _wrong(text, f"{tag!r} is not a tag")
        if not _HOST.fullmatch(host):
            raise _wrong(text, f"{host!r} is not a host")
        if not _NAME.fullmatch(name) or len(name) > 255:
            said = (
                "names of repositories are lower case letters, digits, '.', '_' and '-', with '/' in between"
            )
            raise _wrong(text, said if name else "it names no repository")
        if host == _HUB and "/" not in name:
            name = f"library/{name}"
        return cls(host, name, tag, digest)

    @property
    def repository(self) -> str:
        """``host/name``, without tag and digest."""
        return f"{self.host}/{self.name}"

    @property
    def address(self) -> str:
        """The host that answers for the registry, with its port."""
        return _HUB_API if self.host == _HUB else self.host

    @property
    def wanted(self) -> str:
        """What a manifest is asked for by: the digest, the tag, or ``latest``."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> Reference:
        """The image of a digest in the same repository."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def _wrong(text: str, why: str) -> ProjectError:
    return ProjectError(
        f"{text!r} does not name an image: {why}", "say host/name:tag or host/name@sha256:..."
    )
