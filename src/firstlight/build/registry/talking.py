"""Requests to one registry: who asks, patience with what passes, redirects that carry no credentials elsewhere."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from firstlight.build.registry import auth, refusals
from firstlight.build.registry.credentials import Credentials
from firstlight.build.registry.patience import Patience
from firstlight.build.registry.references import Reference
from firstlight.build.registry.wire import FAILURES, Answer, Body, Wire, is_here
from firstlight.runtime.errors import FirstlightError, ProjectError

ATTEMPTS = 6
"""How often a request is made where what fails may pass."""
BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be another one at the next attempt."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_PLAIN = "FIRSTLIGHT_PLAIN_REGISTRIES"


class Registry:
    """One registry, for one repository that is read or written; used by several threads.

    Args:
        reference: the repository.
        find: gives credentials; None takes what ``auth.credentials`` finds.
        session: of AWS, for ``auth.credentials``.
        wire: carries the requests.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        find: Callable[[], Credentials | None] | None = None,
        session: Any = None,
        wire: Wire | None = None,
        patience: Patience | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.reference = reference
        self.patience = patience or Patience()
        self._wire = wire or Wire(environment)
        self._environment = os.environ if environment is None else environment
        host = reference.host
        self.door = auth.Door(
            host, self._wire, find or (lambda: auth.credentials(host, session, self._environment))
        )
        self._scheme = ""

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()

    @property
    def host(self) -> str:
        """As messages name it."""
        return self.reference.host

    def path(self, rest: str) -> str:
        """The path of something in the repository: ``blobs/sha256:...``."""
        return f"/v2/{self.reference.name}/{rest}"

    def ask(
        self,
        method: str,
        place: str,
        *,
        what: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        scopes: tuple[str, ...],
        attempts: int | None = None,
    ) -> Answer:
        """The answer to a request: what was asked for, or a refusal that does not pass.

        Args:
            place: a path, or an address the registry gave.
            what: is done, for messages.
            body: sent again where the request is.
            attempts: at what may pass; 1 leaves patience to the caller.

        Raises:
            FirstlightError: the registry cannot be reached, nobody is let in, or it stays busy.
            OSError, http.client.HTTPException: the connection failed and ``attempts`` is 1.
        """
        url = place if "://" in place else f"{self._base(what)}{place}"
        attempts = ATTEMPTS if attempts is None else attempts
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                answer = self._let_in(method, url, what, dict(headers or {}), body, scopes)
            except FAILURES as error:
                if attempts == 1:
                    raise
                if last or isinstance(error, ssl.SSLCertVerificationError):
                    raise refusals.unreached(error, what, self.host) from error
                self.patience.pause(attempt)
                continue
            if answer.status not in BUSY or last:
                return answer
            answer.drop()
            self.patience.pause(attempt, answer.headers.get("Retry-After", ""))
        raise AssertionError("no attempts")

    def read(
        self, place: str, *, what: str, headers: Mapping[str, str] | None = None, scopes: tuple[str, ...]
    ) -> tuple[Answer, bytes]:
        """A small answer and its body, asked for again where it did not come whole.

        Raises:
            FirstlightError: see ``ask``; or it is not what was asked for.
        """
        for attempt in range(ATTEMPTS):
            answer = self.ask("GET", place, what=what, headers=headers, scopes=scopes)
            if answer.status != 200:
                raise self.refused(answer, what)
            try:
                return answer, answer.read()
            except FAILURES as error:
                if attempt + 1 == ATTEMPTS:
                    raise refusals.unreached(error, what, self.host) from error
                self.patience.pause(attempt)
        raise AssertionError("no attempts")

    def refused(self, answer: Answer, what: str) -> FirstlightError:
        """An answer that is not what was asked for, as an error."""
        return refusals.refused(answer.status, answer.drop(), what, self.host, self.door.source)

    def located(self, answer: Answer, what: str) -> str:
        """The address in the Location of an answer.

        Raises:
            ProjectError: there is none, or none of HTTP.
        """
        said = answer.headers.get("Location")
        if not said:
            raise ProjectError(f"{what}: {self.host} did not say where to go on", "ask who runs the registry")
        before, place = urlsplit(answer.url), urlsplit(urljoin(answer.url, said))
        if before.scheme == "https" and place.scheme == "http" and not is_here(place.hostname or ""):
            if place.hostname != before.hostname:
                raise ProjectError(
                    f"{what}: {self.host} leads to {place.netloc} without TLS", "ask who runs it"
                )
            place = place._replace(
                scheme="https", netloc=before.netloc
            )  # it stands behind what speaks TLS for it
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ProjectError(f"{what}: {self.host} leads to {place.scheme}:", "ask who runs the registry")
        return place.geturl()

    def _let_in(
        self,
        method: str,
        url: str,
        what: str,
        headers: dict[str, str],
        body: Body | None,
        scopes: tuple[str, ...],
    ) -> Answer:
        for _ in range(3):
            sent = self.door.authorization(scopes) if self._is_own(url) else None
            answer = self._followed(method, url, what, headers, body, sent)
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.status != 401 or not challenge or not self._is_own(answer.url):
                return answer
            answer.drop()
            if not self.door.answer(challenge, scopes, sent):
                return answer
        return answer

    def _followed(
        self,
        method: str,
        url: str,
        what: str,
        headers: dict[str, str],
        body: Body | None,
        authorization: str | None,
    ) -> Answer:
        for _ in range(_MOST_REDIRECTS + 1):
            own = {"Authorization": authorization} if authorization and self._is_own(url) else {}
            answer = self._wire.send(method, url, {**headers, **own}, body)
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                return answer
            answer.drop()
            url = self.located(answer, what)
        raise ProjectError(f"{what}: {self.host} leads in circles", "ask who runs the registry")

    def _is_own(self, url: str) -> bool:
        """Whether an address is the registry itself: nobody else sees what it is sent as Authorization."""
        place, own = urlsplit(url), urlsplit(f"{self._scheme}://{self.reference.address}")
        return (place.scheme, place.hostname, _port(place)) == (own.scheme, own.hostname, _port(own))

    def _base(self, what: str) -> str:
        if not self._scheme:
            self._scheme = self._asked_scheme(what)
        return f"{self._scheme}://{self.reference.address}"

    def _asked_scheme(self, what: str) -> str:
        """TLS, but for registries of this machine that do not speak it and those that are named."""
        address = self.reference.address
        named = self._environment.get(_PLAIN, "").split(",")
        if address in (name.strip() for name in named):
            return "http"
        if not is_here(urlsplit(f"//{address}").hostname or ""):
            return "https"
        try:
            answer = self._wire.send("GET", f"http://{address}/v2/", {})
            speaks_tls = answer.status == 400
            answer.drop()
        except (http.client.HTTPException, ConnectionResetError):
            return "https"
        except OSError as error:
            raise refusals.unreached(error, what, self.host) from error
        return "https" if speaks_tls else "http"


def _port(place: Any) -> int:
    return place.port or (443 if place.scheme == "https" else 80)


def read_only(reference: Reference) -> tuple[str, ...]:
    """The scope of pulling."""
    return (f"repository:{reference.name}:pull",)
