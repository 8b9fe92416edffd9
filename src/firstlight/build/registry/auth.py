"""Whom a registry lets in: its challenges, answered with Basic or with tokens for one repository.

Sources: RFC 7235 (challenges), "Token Authentication Specification" and "OAuth2 Token Authentication" of the
distribution project.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from firstlight.build.registry import sources
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.wire import FAILURES, Bytes, Wire, is_here
from firstlight.runtime.errors import ProjectError, Unauthorized

credentials = sources.credentials

_LEAST_S, _EARLY_S = 60, 5
"""A token lives a minute where nothing is said, and is renewed a little before its end."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for with 401.

    Attributes:
        scheme: ``basic`` or ``bearer``.
        parameters: such as ``realm``, ``service`` and ``scope``.
    """

    scheme: str
    parameters: dict[str, str]


def challenges(header: str) -> tuple[Challenge, ...]:
    """What a WWW-Authenticate header says, in its order."""
    found: list[Challenge] = []
    for part in re.finditer(r'([A-Za-z0-9_.~+/-]+)\s*(=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?', header):
        word, parameter, quoted, plain = part.groups()
        if parameter is None:
            found.append(Challenge(word.lower(), {}))
        elif found:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1].parameters[word.lower()] = value
    return tuple(found)


class Door:
    """What is sent to one registry as Authorization, for each scope; used by several threads.

    Args:
        host: of the registry, for messages.
        wire: carries requests for tokens.
        find: gives the credentials for the registry; called when it first asks for some.
        now: seconds, of a clock that only goes forward.
    """

    def __init__(
        self,
        host: str,
        wire: Wire,
        find: Callable[[], Credentials | None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._wire, self._find, self._now = host, wire, find, now
        self._said: dict[tuple[str, ...], tuple[str, float]] = {}
        self._found: Credentials | None = None
        self._looked = False
        self._lock = threading.Lock()

    @property
    def source(self) -> str:
        """Where the credentials were found; empty for none."""
        return self._found.source or "the credentials given" if self._found else ""

    def authorization(self, scopes: tuple[str, ...]) -> str | None:
        """What is sent for scopes as far as it is known; None for nothing."""
        said, until = self._said.get(scopes, (None, 0.0))
        return said if until > self._now() else None

    def answer(self, header: str, scopes: tuple[str, ...], refused: str | None) -> bool:
        """Answer a challenge.

        Args:
            header: WWW-Authenticate of the answer.
            scopes: what is to be done, ``repository:name:pull,push``.
            refused: the Authorization that was sent, or None.

        Returns:
            Whether there is something new to send.

        Raises:
            Unauthorized: who gives tokens does not take the credentials.
            ProjectError: tokens cannot be had.
        """
        with self._lock:
            before = self.authorization(scopes)
            if before is not None and before != refused:
                return True  # another thread has answered it meanwhile
            if not self._looked:
                self._found, self._looked = self._find(), True
            for challenge in challenges(header):
                if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                    self._said[scopes] = self._token(challenge.parameters, scopes)
                elif challenge.scheme == "basic" and self._found and self._found.password:
                    self._said[scopes] = (self._found.basic, float("inf"))
                else:
                    continue
                return self._said[scopes][0] != refused
            return False

    def _token(self, parameters: dict[str, str], scopes: tuple[str, ...]) -> tuple[str, float]:
        realm = parameters["realm"]
        place = urlsplit(realm)
        if place.scheme != "https" and not (place.scheme == "http" and is_here(place.hostname or "")):
            said = f"{self._host} sends those who want a token to {realm}, which is not https"
            raise ProjectError(said, "ask who runs the registry; nothing was sent there")
        wanted = parameters.get("scope", "")
        if wanted and not wanted.startswith("repository:"):
            scopes = (*scopes, wanted)  # some registries have scopes of their own, such as ``aws``
        method, url, body = self._asking(realm, parameters.get("service", ""), scopes)
        headers = {"Accept": "application/json"}
        if body.content:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif self._found and self._found.password:
            headers["Authorization"] = self._found.basic
        try:
            answer = self._wire.send(method, url, headers, body if body.content else None)
            content = answer.read()
        except FAILURES as error:
            said = f"{place.netloc}, which gives tokens for {self._host}, cannot be reached: {error}"
            raise ProjectError(said, "check the connection and proxies") from error
        if answer.status != 200:
            raise self._refused(answer.status, place.netloc)
        return self._read(content, place.netloc)

    def _asking(self, realm: str, named: str, scopes: tuple[str, ...]) -> tuple[str, str, Bytes]:
        """Method, address and body of the request for a token."""
        if self._found and self._found.refresh:
            form = {
                "grant_type": "refresh_token",
                "service": named,
                "client_id": "firstlight",
                "scope": " ".join(scopes),
                "refresh_token": self._found.refresh,
            }
            return "POST", realm, Bytes(urlencode(form).encode())
        fields = [("service", named)] if named else []
        query = urlencode([*fields, *(("scope", scope) for scope in scopes)])
        return "GET", f"{realm}{'&' if urlsplit(realm).query else '?'}{query}", Bytes()

    def _refused(self, status: int, place: str) -> ProjectError | Unauthorized:
        if status in (400, 401, 403):
            if self._found is None:
                return Unauthorized(f"{self._host} wants to know who asks", f"docker login {self._host}")
            said = f"{self._host} does not take the user and password of {self.source}"
            return Unauthorized(said, f"log in again: docker login {self._host}")
        said = f"{place}, which gives tokens for {self._host}, answered {status}"
        return ProjectError(said, "try again later")

    def _read(self, content: bytes, place: str) -> tuple[str, float]:
        try:
            said: Any = json.loads(content)
            token = str(said.get("token") or said["access_token"])
            seconds = max(float(said.get("expires_in") or _LEAST_S), _LEAST_S)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            hint = "ask who runs the registry"
            raise ProjectError(f"{place} gave no token for {self._host}", hint) from error
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ProjectError(f"{place} gave a token for {self._host} that is none", "ask who runs it")
        return f"Bearer {token}", self._now() + seconds - _EARLY_S
