"""What things are called on AWS: one place, so that two stages, or two projects, never meet."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_FUNCTION_LIMIT = 64
"""Characters of a Lambda function's name."""
LIVE = "live"
"""The alias that callers use."""
ROUTER = "router"
"""The function that is the gateway; an endpoint of this name gets the suffix that a name too long gets."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one project and stage.

    Args:
        project: the project's name.
        stage: None for the plain project.
    """

    project: str
    stage: str | None = None

    @property
    def prefix(self) -> str:
        """What every name begins with."""
        return f"{self.project}-{self.stage}" if self.stage else self.project

    @property
    def stack(self) -> str:
        """The CloudFormation stack."""
        return _letters_first(f"firstlight-{self.prefix}")

    @property
    def artifacts(self) -> str:
        """The stack of the bucket and the repository that code is in, which is there before the other one."""
        return f"{self.stack}-artifacts"

    @property
    def repository(self) -> str:
        """The ECR repository of the images (lower case, as ECR wants it)."""
        return f"firstlight/{_lower(self.prefix)}"

    def bucket(self, account: str, region: str) -> str:
        """The S3 bucket of zips, at most 63 characters and the same for nobody else."""
        return (
            _short(f"firstlight-{_lower(self.prefix).replace('_', '-').replace('.', '-')}", 63 - 28)
            + f"-{account}-{region}"[:28]
        )

    def function(self, endpoint: str) -> str:
        """The Lambda function of an endpoint, or of ``ROUTER``."""
        return _short(f"{self.prefix}-{endpoint}", _FUNCTION_LIMIT)


def logical(*words: str) -> str:
    """A logical id of words, as CloudFormation takes it: ``logical("qa-big", "Function")`` is ``QaBigFunction``.

    Two names that differ in more than case and separators never meet: those that are not plain get a suffix.
    """
    parts = []
    for word in words:
        camel = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", word) if part)
        plain = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*|[A-Z][A-Za-z0-9]*", word)
        parts.append(camel if plain else camel + hashlib.sha256(word.encode()).hexdigest()[:4])
    return "".join(parts)


def _short(name: str, limit: int) -> str:
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _lower(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _letters_first(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)[:120]
