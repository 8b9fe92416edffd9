"""The AWS Lambda API, as boto3, the AWS CLI and every other AWS SDK speak it.

``invoking`` runs functions. The rest is the control plane: ``reading`` (functions, versions, aliases), ``settings``
(concurrency, Event invocations) and ``account`` (what tools ask for besides). Paths and methods: the published model
(botocore's ``service-2.json``). What this server does not speak is refused with status 501, which SDKs do not retry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.routing import BaseRoute, Route

from firstlight.gateway.asgi import Answer, Call, Wire
from firstlight.gateway.core import Gateway
from firstlight.gateway.lambda_api.account import Account, unknown
from firstlight.gateway.lambda_api.errors import explain
from firstlight.gateway.lambda_api.invoking import Invoking
from firstlight.gateway.lambda_api.reading import Aliases, Functions
from firstlight.gateway.lambda_api.settings import Concurrency, Events

__all__ = ["LambdaApi", "explain"]

Handler = Callable[[Call], Awaitable[Answer]]

_DAYS = (
    "2014-11-13",
    "2015-03-31",
    "2016-08-19",
    "2017-03-31",
    "2017-10-31",
    "2018-10-31",
    "2019-09-25",
    "2019-09-30",
    "2020-04-22",
    "2020-06-30",
    "2021-07-20",
    "2021-10-31",
    "2021-11-15",
    "2024-08-31",
    "2025-11-30",
    "2025-12-01",
    "2026-07-09",
)
"""What the paths of the API begin with."""


class LambdaApi:
    """The routes of the Lambda API over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._invoking = Invoking(gateway)
        self._functions = Functions(gateway)
        self._aliases = Aliases(gateway)
        self._concurrency = Concurrency(gateway)
        self._events = Events(gateway)
        self._account = Account(gateway)

    def routes(self) -> list[BaseRoute]:
        """Invoke first; a path that ends in ``{name}`` after those that go on from it."""
        return [
            *self._running(),
            *self._settings(),
            *self._reading(),
            *(Route(f"/{day}/{{rest:path}}", _wire(unknown)) for day in _DAYS),
        ]

    def _running(self) -> list[BaseRoute]:
        run = self._invoking
        return [
            _route("POST", "/2015-03-31/functions/{name:path}/invocations", run.invoke),
            _route(
                "POST",
                "/2021-11-15/functions/{name:path}/response-streaming-invocations",
                run.invoke_streaming,
            ),
            _route("POST", "/2014-11-13/functions/{name:path}/invoke-async", run.invoke_async),
        ]

    def _settings(self) -> list[BaseRoute]:
        concurrency, events, account = self._concurrency, self._events, self._account
        reserved = "/2017-10-31/functions/{name:path}/concurrency"
        provisioned = "/2019-09-30/functions/{name:path}/provisioned-concurrency"
        event = "/2019-09-25/functions/{name:path}/event-invoke-config"
        return [
            _route("PUT", reserved, concurrency.reserve),
            _route("DELETE", reserved, concurrency.release),
            _route("GET", "/2019-09-30/functions/{name:path}/concurrency", concurrency.reserved),
            _route("PUT", provisioned, concurrency.provide),
            _route("GET", provisioned, concurrency.provided),
            _route("DELETE", provisioned, concurrency.withdraw),
            _route("GET", f"{event}/list", events.list),
            _route("PUT", event, events.put),
            _route("POST", event, events.update),
            _route("GET", event, events.get),
            _route("DELETE", event, events.delete),
            _route("GET", "/2016-08-19/account-settings", account.settings),
            _route("GET", "/2016-08-19/account-settings/", account.settings),
            _route("GET", "/2017-03-31/tags/{arn:path}", account.tags),
            _route("GET", "/2018-10-31/layers", account.layers),
            _route("GET", "/2020-06-30/functions/{name:path}/code-signing-config", account.signing),
            _route("GET", "/2021-07-20/functions/{name:path}/runtime-management-config", account.updates),
            _route("GET", "/2021-10-31/functions/{name:path}/url", account.url),
            _route("GET", "/2021-10-31/functions/{name:path}/urls", account.urls),
            _route("GET", "/2024-08-31/functions/{name:path}/recursion-config", account.recursion),
            _route("GET", "/2015-03-31/event-source-mappings", account.mappings),
            _route("GET", "/2015-03-31/event-source-mappings/", account.mappings),
        ]

    def _reading(self) -> list[BaseRoute]:
        functions, aliases = self._functions, self._aliases
        one = "/2015-03-31/functions/{name:path}"
        return [
            _route("GET", "/2015-03-31/functions", functions.list_functions),
            _route("GET", "/2015-03-31/functions/", functions.list_functions),
            _route("GET", f"{one}/configuration", functions.get_configuration),
            _route("GET", f"{one}/versions", functions.list_versions),
            _route("POST", f"{one}/versions", functions.publish),
            _route("GET", f"{one}/aliases", aliases.list),
            _route("POST", f"{one}/aliases", aliases.create),
            _route("GET", f"{one}/aliases/{{alias}}", aliases.get),
            _route("PUT", f"{one}/aliases/{{alias}}", aliases.update),
            _route("DELETE", f"{one}/aliases/{{alias}}", aliases.delete),
            _route("GET", f"{one}/policy", self._account.policy),
            Route(f"{one}/policy/{{statement}}", _wire(unknown)),
            _route("GET", one, functions.get_function),
            _route("DELETE", one, functions.delete_function),
        ]


def _route(method: str, path: str, handle: Handler) -> Route:
    return Route(path, _wire(handle), methods=[method])


def _wire(handle: Handler) -> Wire:
    return Wire(handle, explain)
