"""Who may come in by a front: anybody, who has signed, or who brings an API key that is not used up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from firstlight.gateway.asgi import Call
from firstlight.gateway.fronts import signing
from firstlight.gateway.fronts.canonical import Message
from firstlight.gateway.fronts.keys import Keys
from firstlight.gateway.fronts.throttling import Buckets
from firstlight.gateway.fronts.visit import Caller, raw_path
from firstlight.invoke.types import ACCOUNT


class NoKey(Exception):
    """No API key came with the request, or none that is known."""


class TooFast(Exception):
    """More requests at once, or a second, than the API key allows."""


class UsedUp(Exception):
    """The quota of the API key is used up."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who came in."""

    caller: Caller | None = None
    api_key: tuple[str, str] | None = None


class Doors:
    """The doors of all fronts.

    Args:
        keys: the project's keys; None has none, and then nobody comes in where one is asked for.
    """

    def __init__(self, keys: Keys | None) -> None:
        self.keys = keys
        self._buckets = Buckets()

    def admit(self, call: Call, body: bytes, auth: str, signed_for: str, now: float) -> Admitted:
        """Who a request is from.

        Args:
            auth: as in ``project.Front``.
            signed_for: what a signature has to be for.
            now: seconds since the epoch.

        Raises:
            Unsigned, NoKey, TooFast, UsedUp: it may not come in.
        """
        if auth == "none":
            return Admitted()
        if auth == "key":
            return self._with_key(call, now)
        message = Message(
            call.scope["method"],
            raw_path(call),
            call.scope.get("query_string", b"").decode("latin-1"),
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in call.scope["headers"]],
            hashlib.sha256(body).hexdigest(),
        )
        access_key = signing.verified(message, signed_for, self._secret, now)
        return Admitted(caller=self._caller(access_key))

    def _secret(self, access_key: str) -> str | None:
        found = self.keys.secret(access_key) if self.keys is not None else None
        return found[1] if found is not None else None

    def _caller(self, access_key: str) -> Caller:
        found = self.keys.secret(access_key) if self.keys is not None else None
        name = found[0].name if found is not None else access_key
        user_id = "AIDA" + hashlib.sha256(name.encode()).hexdigest()[:17].upper()
        return Caller(access_key, name, user_id, f"arn:aws:iam::{ACCOUNT}:user/{name}")

    def _with_key(self, call: Call, now: float) -> Admitted:
        value = call.header(b"x-api-key")
        key = self.keys.api_key(value) if value and self.keys is not None else None
        if key is None or self.keys is None:
            raise NoKey
        if not self._buckets.take(key.id, key.limits, now):
            raise TooFast
        if not self.keys.count(key):
            raise UsedUp
        return Admitted(api_key=(value, key.id))
