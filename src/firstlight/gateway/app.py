"""The whole HTTP edge as one ASGI app."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from firstlight.gateway import huggingface, lambda_api, openapi, routes
from firstlight.gateway.asgi import Answer, Call, Wire
from firstlight.gateway.core import Gateway
from firstlight.gateway.fronts.paths import Fronts
from firstlight.gateway.health import Health
from firstlight.gateway.huggingface import HuggingFace
from firstlight.gateway.jobs import errors as job_errors
from firstlight.gateway.jobs.routes import JobRoutes
from firstlight.gateway.lambda_api import LambdaApi
from firstlight.gateway.openai import errors as openai_errors
from firstlight.gateway.openai.routes import OpenAI
from firstlight.gateway.routes import OwnRoutes
from firstlight.gateway.routing import ALLOWED, MethodNotAllowed, Routes
from firstlight.gateway.security import LOOPBACK_HOSTS, Guard
from firstlight.gateway.web import messages
from firstlight.gateway.web.site import Site
from firstlight.invoke.types import Invoker
from firstlight.project import Project
from firstlight.runtime.errors import EndpointNotFound, FirstlightError
from firstlight.runtime.types import Store

if TYPE_CHECKING:
    from firstlight.gateway.fronts.keys import Keys
    from firstlight.jobs.desk import Desk
    from firstlight.versions.registry import Registry

_GRACE_S = 30.0
"""Seconds that jobs which run have to end at shutdown; those that do not go back to their queue."""
_AWS_PATH = re.compile(r"/20\d\d-\d\d-\d\d/")


def create_app(
    project: Project,
    invoker: Invoker,
    *,
    store: Store | None = None,
    token: str | None = None,
    hosts: Iterable[str] = LOOPBACK_HOSTS,
    bundles: Mapping[str, Path] | None = None,
    jobs: Desk | None = None,
    functions: Registry | None = None,
    keys: Keys | None = None,
    anyone: bool = False,
) -> Starlette:
    """The gateway over a project.

    Args:
        project: whose endpoints are served; ``app.state.gateway.replace(project, bundles)`` serves a changed one.
        invoker: carries the invocations; closed when the app shuts down.
        store: the records, None when none are kept.
        token: what callers have to send; None asks for nothing and serves loopback addresses only.
        hosts: names that may stand in the Host header besides the loopback ones; ``*`` allows all, with a token.
        bundles: folder of the bundle of each model endpoint, by endpoint name; the pages and ``/openapi.json`` say
            what is in them.
        jobs: takes Event invocations and what is answered later.
        functions: versions, aliases and settings of the functions.
        keys: of who may use the HTTP fronts that ask for one.
        anyone: without a token, others than this machine are served too (``Guard``).
    """
    gateway = Gateway(project, invoker, store, token is not None, bundles, jobs, functions)
    own = OwnRoutes(gateway, Fronts(gateway, keys))

    # Routes are tried in order: the two that carry nearly every request come first.
    invoke, *aws = LambdaApi(gateway).routes()
    models, *hub = HuggingFace(gateway).routes()
    openai = OpenAI(gateway)
    app = App(
        [
            invoke,
            openai.of_model(),
            models,
            *aws,
            *hub,
            *JobRoutes(gateway, own.find).routes(),
            *openai.routes(),
            *Health(gateway).routes(),
            *own.routes(),
            *openapi.routes(gateway),
            *Site(gateway).routes(),
        ],
        Rest(own),
        lambda routes: Guard(routes, explain, token, hosts, own.guards, anyone=anyone),
        _lifespan(invoker, jobs),
    )
    app.state.gateway = gateway
    return app


def _lifespan(
    invoker: Invoker, jobs: Desk | None
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What begins and ends with the server: jobs are let go before the workers that they run on."""

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        if jobs is not None:
            await jobs.start()
        yield
        if jobs is not None:
            await jobs.close(_GRACE_S)
        await invoker.close()

    return life


class App(Starlette):
    """Starlette with a shorter way to a route: our wires answer for their own errors and need no middleware.

    Args:
        routes: in the order in which they are tried.
        rest: answers every other path.
        guarded: puts a guard before all of them.
        lifespan: what begins and ends with the server.

    Attributes:
        inside: what lies behind the guard.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        rest: ASGIApp,
        guarded: Callable[[ASGIApp], ASGIApp],
        lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
    ) -> None:
        super().__init__(routes=[*routes], lifespan=lifespan)
        self.inside = Routes(routes, rest)
        self._guarded = guarded(self.inside)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)


class Rest:
    """Every path that no wire has: the project's own routes, which a reload may change, else 404."""

    def __init__(self, own: OwnRoutes) -> None:
        self.own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.own.find(scope["path"])
        if found is None:
            await Wire(_missing, _explain_missing)(scope, receive, send)
            return

        async def handle(call: Call) -> Answer:
            return await self.own.proxy(call, *found)

        await Wire(handle, routes.explain)(scope, receive, send)


async def _missing(call: Call) -> Answer:
    allowed = call.scope.get(ALLOWED)
    if allowed:
        raise MethodNotAllowed(f"{call.scope['path'][:200]} takes {', '.join(allowed)}", "send one of those")
    raise EndpointNotFound(
        f"there is nothing at {call.scope['method']} {call.scope['path'][:200]}",
        "the paths of this server are listed at /docs",
    )


def _explain_missing(error: FirstlightError, call: Call) -> Answer:
    answer = explain(error, call)
    if error.status == 405:
        answer.headers.append((b"allow", ", ".join(call.scope[ALLOWED]).encode()))
    return answer


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error in the shape of the protocol that the path belongs to; a page for a browser."""
    path = call.scope["path"]
    if _AWS_PATH.match(path):
        return lambda_api.explain(error, call)
    if path == "/v1/jobs" or path.startswith("/v1/jobs/"):
        return job_errors.explain(error, call)
    if path.startswith("/v1/") or (path.startswith("/models/") and "/v1/" in path):
        return openai_errors.explain(error, call)
    if call.scope["method"] in ("GET", "HEAD") and "text/html" in call.header(b"accept"):
        return messages.error_page(error)
    return huggingface.explain(error, call)
