"""Whom a registry takes one for."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is sent to say who asks; secrets, so they are left out of the repr.

    Attributes:
        user: empty where there is only a token.
        password: or a token that stands for one, as with ECR.
        refresh: an identity token, exchanged for tokens of one repository (OAuth 2).
        source: where it was found, for messages.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)
    source: str = ""

    @property
    def basic(self) -> str:
        """As the value of Authorization (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"
