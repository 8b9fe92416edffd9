"""The routes of the pages: the endpoints, their answers, and the assets they load."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import BaseRoute, Route

from firstlight.gateway import streams
from firstlight.gateway.asgi import Answer, Call, Wire, dump_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway
from firstlight.gateway.failures import of_reply
from firstlight.gateway.web import forms, frame, messages, pages
from firstlight.gateway.web.examples import examples
from firstlight.gateway.web.pages import Outcome
from firstlight.gateway.web.speaking import Speaking
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, InvalidInput, UnsupportedMedia

_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")


class Asset:
    """A file the pages load, kept in memory."""

    __slots__ = ("body", "kind", "tag")

    def __init__(self, path: Path) -> None:
        self.body = path.read_bytes()
        self.kind = _TYPES[path.suffix]
        self.tag = sha256(self.body).hexdigest()[:16]


class Site:
    """The pages over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        folder = Path(__file__).parent / "assets"
        self.assets = {path.name: Asset(path) for path in folder.iterdir() if path.suffix in _TYPES}
        self.look = frame.Look({name: f"/assets/{name}?v={asset.tag}" for name, asset in self.assets.items()})

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/", Wire(self.first, self.explain), methods=["GET"]),
            Route("/endpoints/{name}", Wire(self.endpoint, self.explain), methods=["GET", "POST"]),
            Route("/assets/{name}", Wire(self.asset, self.explain), methods=["GET"]),
            Route("/favicon.ico", Wire(self.icon, self.explain), methods=["GET"]),
        ]

    async def first(self, call: Call) -> Answer:
        """The page of the first endpoint."""
        if not len(self.gateway.catalogue):
            return frame.html(messages.empty_page(self.look))
        return self._page(self._view(call, self.gateway.catalogue.first()))

    async def endpoint(self, call: Call) -> Answer:
        """The page of an endpoint; on POST with the answer to what its form holds.

        The page's script asks for the answer alone (``X-Fragment: answer``) and puts it in place.
        """
        entry = self.gateway.catalogue.entries.get(call.path_parameters["name"])
        if entry is None:
            raise EndpointNotFound(f"there is no endpoint {call.path_parameters['name'][:100]!r}")
        if call.scope["method"] != "POST":
            return self._page(self._view(call, entry, call.query().get("task", "")))
        values = await _form_values(call)
        view = self._view(call, entry, values.get("task", ""))
        if call.header(b"x-fragment") == "stream" and pages.streams(view):
            return await self._speak(view, values)
        outcome = await self._ask(view, values)
        if call.header(b"x-fragment") == "answer":
            return frame.html(pages.outcome(view, outcome))
        return frame.html(pages.endpoint_page(view, values, outcome))

    async def asset(self, call: Call) -> Answer:
        """A file out of ``assets``."""
        asset = self.assets.get(call.path_parameters["name"])
        if asset is None:
            raise EndpointNotFound("there is no such file")
        etag = f'"{asset.tag}"'.encode()
        if call.headers.get(b"if-none-match") == etag:
            return Answer(304, b"", [(b"etag", etag)])
        fresh = call.query().get("v") == asset.tag
        caching = _FOREVER if fresh else (b"cache-control", b"no-cache")
        return Answer(200, asset.body, [(b"content-type", asset.kind), (b"etag", etag), caching])

    async def icon(self, _call: Call) -> Answer:
        """For browsers that ask before they have read the page."""
        asset = self.assets["icon.svg"]
        return Answer(200, asset.body, [(b"content-type", asset.kind), (b"cache-control", b"max-age=86400")])

    def explain(self, error: FirstlightError, _call: Call) -> Answer:
        """An error as a page."""
        return messages.error_page(error)

    def _view(self, call: Call, entry: Entry, task: str = "") -> pages.View:
        """The page of an endpoint doing one of its tasks, by itself the first one of those shown."""
        scheme = call.scope.get("scheme", "http")
        base = f"{scheme}://{call.header(b'host', 'localhost')}"
        shown = pages.shown_tasks(entry)
        doing = task if task in shown else shown[0] if shown else None
        return pages.View(self.look, self.gateway, entry, doing, base)

    def _page(self, view: pages.View) -> Answer:
        first = examples(view.entry, view.task)[0][1]
        return frame.html(pages.endpoint_page(view, forms.values_of(view.task, first), None))

    async def _speak(self, view: pages.View, values: dict[str, str]) -> Answer:
        """The answer as it is generated; what is refused before that comes as a whole."""
        event: dict[str, Any] = {}
        start = perf_counter()
        try:
            event = pages.named(view, forms.event_of(view.task, values))
            payload = dump_json({**event, "stream": True})
            reply = await self.gateway.invoke(Invocation(view.entry.name, payload, wire="page"))
        except FirstlightError as error:
            return frame.html(pages.outcome(view, Outcome(event, error=error)))
        if reply.stream is None:
            return frame.html(pages.outcome(view, _whole(event, reply, (perf_counter() - start) * 1000)))
        speaking = Speaking(view, event, reply, reply.stream, start, values.get("before", ""))
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        return Answer(200, b"", headers, stream=speaking)

    async def _ask(self, view: pages.View, values: dict[str, str]) -> Outcome:
        """Invoke with what the form holds."""
        entry = view.entry
        event: dict[str, Any] = {}
        start = perf_counter()
        try:
            event = pages.named(view, forms.event_of(view.task, values))
            reply = await self.gateway.invoke(Invocation(entry.name, dump_json(event), wire="page"))
            reply.payload = await streams.as_json(reply)
        except FirstlightError as error:
            return Outcome(event, error=error)
        return _whole(event, reply, (perf_counter() - start) * 1000)


def _whole(event: dict[str, Any], reply: Reply, total_ms: float) -> Outcome:
    """What came of a reply that does not stream."""
    error = of_reply(reply) if reply.function_error else None
    return Outcome(event, _json(reply.payload), error, reply.report, total_ms)


async def _form_values(call: Call) -> dict[str, str]:
    body = await call.body(REQUEST_LIMIT)
    if not call.header(b"content-type").startswith("application/x-www-form-urlencoded"):
        raise UnsupportedMedia("the page's form comes as application/x-www-form-urlencoded")
    try:
        return dict(parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise InvalidInput("the form has more than 100 fields") from error


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
