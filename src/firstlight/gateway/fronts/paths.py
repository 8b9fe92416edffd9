"""The local paths of the fronts, and a project's routes by the kind of front they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from urllib.parse import quote, unquote

from starlette.routing import BaseRoute, Route

from firstlight.gateway.asgi import Answer, Call, Wire
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.fronts.doors import Doors
from firstlight.gateway.fronts.front import Front, Place, Walls
from firstlight.gateway.fronts.http import Http
from firstlight.gateway.fronts.keys import Keys
from firstlight.gateway.fronts.rest import Rest
from firstlight.gateway.fronts.url import Url
from firstlight.gateway.fronts.visit import raw_path
from firstlight.invoke.types import LATEST
from firstlight.runtime.errors import EndpointNotFound, FirstlightError
from firstlight.versions.types import Target


class Fronts:
    """All fronts over one gateway.

    Args:
        gateway: what carries the invocations.
        keys: the project's keys; None has none.
        walls: when the fronts stop waiting.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        gateway: Gateway,
        keys: Keys | None = None,
        walls: Walls = Walls(),  # noqa: B008 - it is frozen
        clock: Callable[[], float] = time,
    ) -> None:
        doors = Doors(keys)
        self.gateway = gateway
        self.clock = clock
        self.rest, self.http, self.url = (kind(gateway, doors, walls) for kind in (Rest, Http, Url))
        self._by_kind: dict[str, Front] = {"rest": self.rest, "http": self.http, "url": self.url}
        self._below: dict[str, Front] = {
            "rest-api": self.rest,
            "http-api": self.http,
            "lambda-url": self.url,
        }

    def routes(self) -> list[BaseRoute]:
        """Every path below the three."""
        return [Route(f"/{first}/{{rest:path}}", Wire(self.serve, self._explain)) for first in self._below]

    async def serve(self, call: Call) -> Answer:
        """A request to ``/rest-api/NAME/...`` and its like."""
        _, first, named, *_ = (call.scope["path"] + "/").split("/", 3)
        front = self._below[first]
        name, _, qualifier = named.partition(":")
        entry = self.gateway.catalogue.entries.get(name)
        target = self._target(name, qualifier) if entry is not None else None
        if entry is None or target is None:
            return front.unknown().answer()
        path = _below(call, len(first) + len(named) + 2)
        place = Place(path, target=target)
        if front is self.rest:
            proxy = path.strip("/")
            resource, parameters = ("/{proxy+}", {"proxy": proxy}) if proxy else ("/", {})
            place = Place(path, resource, parameters, target=target)
        return await front.serve(call, entry, place, self.clock())

    async def own(
        self, call: Call, entry: Entry, parameters: Mapping[str, str], sent: Mapping[str, str]
    ) -> Answer:
        """A request to a route of the project.

        Args:
            parameters: values of the ``{names}`` in the route, decoded.
            sent: the same as they were sent, which is how a REST API hands them on.
        """
        front = self._by_kind[entry.endpoint.front.kind]
        rest = front is self.rest
        resource = entry.endpoint.route or "/"
        place = Place(raw_path(call), resource, sent if rest else parameters, lenient=rest)
        return await front.serve(call, entry, place, self.clock())

    def guards(self, path: str, own: Entry | None) -> bool:
        """Whether a path's front asks itself who comes, by signature or key.

        Args:
            own: the endpoint whose route the path is; None where it is no route.
        """
        parts = path.split("/", 3)
        if len(parts) > 2 and parts[1] in self._below:
            own = self.gateway.catalogue.entries.get(parts[2].partition(":")[0])
        return own is not None and own.endpoint.front.auth != "none"

    def _target(self, name: str, qualifier: str) -> Target | None:
        """The version that answers: a Function URL may be that of an alias, and so may an API's integration."""
        if qualifier in ("", LATEST):
            return Target(name)
        try:
            return self.gateway.functions.resolve(name, qualifier) if self.gateway.functions else None
        except EndpointNotFound:
            return None

    def _explain(self, error: FirstlightError, call: Call) -> Answer:  # noqa: ARG002 - fronts explain themselves
        return self.rest.internal().answer()


def _below(call: Call, length: int) -> str:
    """The path after a front's own, as it was sent: all of it where the Host header names the endpoint.

    Args:
        length: of the front's own path, decoded.
    """
    raw = raw_path(call)
    if unquote(raw) != call.scope["path"]:
        return raw or "/"
    parts = raw.split("/", 3)
    return f"/{parts[3]}" if len(parts) > 3 else quote(call.scope["path"][length:]) or "/"
