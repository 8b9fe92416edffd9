"""The whole HTTP edge as one ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from firstlight.gateway import huggingface, lambda_api, openapi, routes
from firstlight.gateway.asgi import Answer, Call, Wire
from firstlight.gateway.core import Gateway
from firstlight.gateway.health import Health
from firstlight.gateway.huggingface import HuggingFace
from firstlight.gateway.lambda_api import LambdaApi
from firstlight.gateway.openai import errors as openai_errors
from firstlight.gateway.openai.routes import OpenAI
from firstlight.gateway.routes import OwnRoutes
from firstlight.gateway.security import LOOPBACK_HOSTS, Guard
from firstlight.gateway.web import messages
from firstlight.gateway.web.site import Site
from firstlight.invoke.types import Invoker
from firstlight.project import Project
from firstlight.runtime.errors import EndpointNotFound, FirstlightError
from firstlight.runtime.types import Store

_AWS_PATHS = ("/2015-03-31/", "/2014-11-13/", "/2021-11-15/")


def create_app(
    project: Project,
    invoker: Invoker,
    *,
    store: Store | None = None,
    token: str | None = None,
    hosts: Iterable[str] = LOOPBACK_HOSTS,
    bundles: Mapping[str, Path] | None = None,
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
    """
    gateway = Gateway(project, invoker, store, guarded=token is not None, bundles=bundles)
    own = OwnRoutes(gateway)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await invoker.close()

    # Routes are tried in order: the two that carry nearly every request come first.
    invoke, *aws = LambdaApi(gateway).routes()
    models, *hub = HuggingFace(gateway).routes()
    openai = OpenAI(gateway)
    app = Starlette(
        routes=[
            invoke,
            openai.of_model(),
            models,
            *aws,
            *hub,
            *openai.routes(),
            *Health(gateway).routes(),
            *own.routes(),
            *openapi.routes(gateway),
            *Site(gateway).routes(),
            Route("/{path:path}", Rest(own)),
        ],
        middleware=[Middleware(Guard, explain=explain, token=token, hosts=tuple(hosts))],
        lifespan=lifespan,
    )
    app.state.gateway = gateway
    return app


class Rest:
    """Every path that no wire has: the project's own routes, which a reload may change, else 404."""

    def __init__(self, own: OwnRoutes) -> None:
        self.own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self.own.find(scope["path"])
        if found is None:
            await Wire(_missing, explain)(scope, receive, send)
            return

        async def handle(call: Call) -> Answer:
            return await self.own.proxy(call, *found)

        await Wire(handle, routes.explain)(scope, receive, send)


async def _missing(call: Call) -> Answer:
    raise EndpointNotFound(
        f"there is nothing at {call.scope['method']} {call.scope['path'][:200]}",
        "the paths of this server are listed at /docs",
    )


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error in the shape of the protocol that the path belongs to; a page for a browser."""
    path = call.scope["path"]
    if path.startswith(_AWS_PATHS):
        return lambda_api.explain(error, call)
    if path.startswith("/v1/") or (path.startswith("/models/") and "/v1/" in path):
        return openai_errors.explain(error, call)
    if call.scope["method"] in ("GET", "HEAD") and "text/html" in call.header(b"accept"):
        return messages.error_page(error)
    return huggingface.explain(error, call)
