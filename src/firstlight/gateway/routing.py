"""From a method and a path to what answers, with the answer remembered: a path is matched against every route once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from firstlight.runtime.errors import FirstlightError

ALLOWED = "firstlight.allowed"
"""In a scope that no route fits: the methods for which one would."""
_KEPT = 1024
_LONGEST = 256
"""Characters of a path that is worth remembering."""

Found = tuple[ASGIApp, dict[str, Any]]


class MethodNotAllowed(FirstlightError):
    """There is something at the path, for other methods."""

    status = 405
    code = "method_not_allowed"


class Routes:
    """An ASGI app of fixed routes; the first that fits answers.

    Args:
        routes: in the order in which they are tried.
        rest: answers every other path; may know more of them tomorrow than today, so nothing of it is remembered.
    """

    def __init__(self, routes: Sequence[BaseRoute], rest: ASGIApp) -> None:
        self.routes = routes
        self.rest = rest
        self._known: dict[tuple[str, str], Found] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = (scope["method"], scope["path"])
        found = self._known.get(key) or self._find(key)
        if isinstance(found, dict):
            scope[ALLOWED] = tuple(sorted(found))
            await self.rest(scope, receive, send)
            return
        scope["path_params"] = found[1].copy()
        await found[0](scope, receive, send)

    def _find(self, key: tuple[str, str]) -> Found | dict[str, None]:
        """What answers; or the methods that are answered at the path."""
        method, path = key
        allowed: dict[str, None] = {}
        asked: dict[str, Any] = {"type": "http", "method": method, "path": path, "path_params": {}}
        for route in self.routes:
            match, child = route.matches(asked)
            if match is Match.PARTIAL:
                allowed |= dict.fromkeys(route.methods)  # type: ignore[attr-defined]
            elif match is Match.FULL:
                found = route.app, child["path_params"]  # type: ignore[attr-defined]
                if len(path) <= _LONGEST:
                    if len(self._known) >= _KEPT:
                        self._known.clear()
                    self._known[key] = found
                return found
        return allowed
