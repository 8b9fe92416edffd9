"""``/v1/jobs``: to put, find, follow and cancel jobs. An Event invocation is found by its request id.

What a job was asked is shown where ``?inputs=true`` asks for it.

``PUT`` with an id that the client chose may be sent again as often as it takes: the same id and the same request are
the same job, the same id and another request 409.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from starlette.routing import BaseRoute, Route

from firstlight.gateway import patience
from firstlight.gateway.asgi import Answer, Call, HeaderList, Wire, dump_json, parse_json
from firstlight.gateway.core import Gateway
from firstlight.gateway.jobs import asked, events, ids
from firstlight.gateway.jobs.errors import NotAllowed, explain, refused
from firstlight.gateway.jobs.inside import Inside
from firstlight.gateway.jobs.taking import AS, LONGEST_WAIT_S, Wanted, answer_of, desk_of, place
from firstlight.gateway.patience import EVENTS
from firstlight.gateway.streams import Piped
from firstlight.invoke.types import REQUEST_LIMIT
from firstlight.jobs.rendering import rendered
from firstlight.jobs.types import Job, Status
from firstlight.runtime.errors import EndpointNotFound, InvalidInput

BODY_LIMIT = REQUEST_LIMIT + 64 * 1024
"""Bytes of a body: a request of 6 MB, and what is around it."""
MOST = 200
"""Jobs of one page."""
SHOWN_LIMIT = 64 * 1024
"""Bytes of what a job was asked that are shown in a list."""

_INFERS = re.compile(
    r"/|/predict|/invocations|/go|/(models|pipeline|lambda-url|rest-api|http-api)/.+|/endpoints/[^/]+/invocations"
    r"|/v1/(chat/completions|completions|embeddings)"
)
"""Paths whose requests can be jobs; those of the project's own come to it."""


class JobRoutes:
    """The routes over one gateway.

    Args:
        gateway: whose jobs they are.
        own: finds what a path of the project's own leads to; None where it leads nowhere.
    """

    def __init__(self, gateway: Gateway, own: Callable[[str], Any]) -> None:
        self.gateway = gateway
        self._own = own

    def routes(self) -> list[BaseRoute]:
        """They come before those of OpenAI's API, which takes all that is below ``/v1``."""
        one = "/v1/jobs/{id}"
        return [
            Route("/v1/jobs", _wire({"GET": self.list, "POST": self.create})),
            Route(f"{one}/cancel", _wire({"POST": self.cancel})),
            Route(f"{one}/result", _wire({"GET": self.result})),
            Route(f"{one}/stream", _wire({"GET": self.stream})),
            Route(one, _wire({"GET": self.get, "PUT": self.create})),
            Route("/v1/jobs/{rest:path}", Wire(_unknown, explain)),
        ]

    async def create(self, call: Call) -> Answer:
        """``PUT /v1/jobs/{id}`` and ``POST /v1/jobs``."""
        desk = desk_of(self.gateway)
        name = call.path_parameters.get("id")
        name = ids.of_key(call.header(b"idempotency-key")) if name is None else ids.checked(name)
        wish = asked.read(await _body(call), self.gateway.catalogue)
        if not self._infers(unquote(wish.request.path)):
            raise InvalidInput(
                f"{wish.request.path[:200]!r} is not an inference route of this server",
                "the paths of this server are listed at /docs",
            )
        wanted = Wanted(name, wish.webhook)
        # The wire itself checks the request and keeps it, as it does for a client that prefers a job.
        request = replace(wish.request, headers=(*wish.request.headers, ("prefer", "respond-async")))
        found = await Inside(call.scope["app"]).ask(request, wish.body, {AS: wanted})
        if wanted.job is None:
            raise wanted.refusal or refused(found)
        if _takes_events(call):
            return await self._events(wanted.job, call)
        seconds = patience.of(call).seconds
        job = await self._waited(call, wanted.job.id, seconds) if seconds else await desk.get(wanted.job.id)
        return _shown(job, call, 200 if job.status.final else 202)

    async def get(self, call: Call) -> Answer:
        """``GET /v1/jobs/{id}``; ``?wait=`` or ``Prefer: wait=`` seconds for its end, ``Accept`` for its events."""
        job = await self._job(call)
        if _takes_events(call):
            return await self._events(job, call)
        seconds = _whole(call.query().get("wait"), "wait", LONGEST_WAIT_S)
        seconds = patience.of(call).seconds if seconds is None else seconds
        if seconds and not job.status.final:
            job = await self._waited(call, job.id, seconds)
        return _shown(job, call)

    async def result(self, call: Call) -> Answer:
        """``GET /v1/jobs/{id}/result``: the answer itself; 202 and the job while there is none."""
        job = await self._job(call)
        seconds = _whole(call.query().get("wait"), "wait", LONGEST_WAIT_S)
        if seconds and not job.status.final:
            job = await self._waited(call, job.id, seconds)
        return answer_of(job) if job.status.final else _shown(job, call, 202)

    async def stream(self, call: Call) -> Answer:
        """``GET /v1/jobs/{id}/stream``: its events, those of the past first."""
        return await self._events(await self._job(call), call)

    async def cancel(self, call: Call) -> Answer:
        """``POST /v1/jobs/{id}/cancel``; a job that is over stays as it is."""
        job = await self._job(call)
        return _shown(await desk_of(self.gateway).cancel(job.id), call)

    async def list(self, call: Call) -> Answer:
        """``GET /v1/jobs``: the newest first."""
        desk, query = desk_of(self.gateway), call.query()
        if unknown := sorted(query.keys() - {"endpoint", "status", "limit", "cursor", "inputs", "token"}):
            raise InvalidInput(
                f"there is no {unknown[0][:100]!r} to choose jobs by", "endpoint, status, limit, cursor"
            )
        page = await desk.list(
            endpoint=query.get("endpoint"),
            status=_status(query.get("status")),
            limit=_whole(query.get("limit"), "limit", MOST, 1) or 50,
            cursor=query.get("cursor") or None,
        )
        shows = query.get("inputs") == "true"
        jobs = [_line(await desk.get(job.id), True) if shows else _line(job) for job in page.jobs]
        body = dump_json({"jobs": jobs, "next": page.next})
        return Answer(200, body, [(b"content-type", b"application/json"), (b"cache-control", b"no-cache")])

    async def _job(self, call: Call) -> Job:
        name = call.path_parameters["id"]
        if not ids.known(name):
            raise EndpointNotFound(
                f"there is no job {name[:140]!r}", "GET /v1/jobs lists those that there are"
            )
        return await desk_of(self.gateway).get(name)

    async def _waited(self, call: Call, job_id: str, seconds: float) -> Job:
        return await call.while_present(desk_of(self.gateway).wait(job_id, min(seconds, LONGEST_WAIT_S)))

    async def _events(self, job: Job, call: Call) -> Answer:
        after = _after(call)
        watched = desk_of(self.gateway).watch(job.id, after)
        if job.status.final:
            # A browser asks again for what has ended, until it is told by 204 that nothing more will come.
            past = [event async for event in watched]
            if not past:
                return Answer(204)
            return Answer(200, b"".join(map(events.sent, past)), _EVENT_HEADERS)
        return Answer(200, b"", list(_EVENT_HEADERS), stream=Piped(events.lines(watched), None))

    def _infers(self, path: str) -> bool:
        """Whether requests of this path can be jobs."""
        return _INFERS.fullmatch(path) is not None or self._own(path) is not None


_EVENT_HEADERS: HeaderList = [
    (b"content-type", EVENTS.encode() + b"; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def _wire(methods: dict[str, Callable[[Call], Awaitable[Answer]]]) -> Wire:
    """A path with its methods."""

    async def handle(call: Call) -> Answer:
        method = call.scope["method"]
        if method not in methods:
            known = ", ".join(methods)
            raise NotAllowed(f"{call.scope['path'][:200]} does not take {method[:20]}", f"use {known}", known)
        return await methods[method](call)

    return Wire(handle, explain)


async def _unknown(call: Call) -> Answer:
    raise EndpointNotFound(
        f"there is nothing at {call.scope['path'][:200]}",
        "a job has /v1/jobs/{id}, and below it /result, /stream and /cancel",
    )


async def _body(call: Call) -> Any:
    try:
        return parse_json(await call.body(BODY_LIMIT))
    except ValueError as error:
        raise InvalidInput(f"the body is not JSON: {error}", "send a JSON object") from error


def _shown(job: Job, call: Call, status: int = 200) -> Answer:
    """A job as JSON, with an ETag; 304 for who has it already. Its input may be large, and is shown if asked for."""
    known = rendered(job)
    if call.query().get("inputs") != "true":
        del known["input"]
    body = dump_json(known)
    tag = b'"%s"' % hashlib.sha256(body).hexdigest()[:20].encode()
    headers: HeaderList = [(b"etag", tag), (b"cache-control", b"no-cache")]
    if not job.status.final:
        headers.append((b"retry-after", b"1"))
    if call.scope["method"] == "GET" and status == 200 and tag in call.headers.get(b"if-none-match", b""):
        return Answer(304, b"", headers)
    return Answer(status, body, [(b"content-type", b"application/json"), *headers, *place(job)])


def _line(job: Job, shows: bool = False) -> dict[str, Any]:
    """A job in a list, with what it was asked where that is wanted and not large."""
    known = rendered(job)
    left_out = {"output", "partial", "logs"}
    if not shows or len(job.payload) > SHOWN_LIMIT:
        left_out.add("input")
    return {name: known[name] for name in known if name not in left_out}


def _takes_events(call: Call) -> bool:
    return call.header(b"accept").partition(";")[0].strip().lower() == EVENTS


def _after(call: Call) -> int:
    """The number of the last event that the client has."""
    text = call.header(b"last-event-id").strip() or call.query().get("after", "")
    return _whole(text or None, "Last-Event-ID", 10**12) or 0


def _whole(text: str | None, name: str, most: int, least: int = 0) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not least <= int(text[:15]) or len(text) > 15:
        raise InvalidInput(f"{name!r} is not a whole number from {least} to {most}", "send digits")
    return min(int(text), most)


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(status.value for status in Status)
        raise InvalidInput(f"there is no status {text[:50]!r}", f"choose of {known}") from None
