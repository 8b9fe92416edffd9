"""``/v1/models``, ``/v1/chat/completions``, ``/v1/completions`` and ``/v1/embeddings``, and the same below
``/models/{id}``, where ``huggingface_hub.InferenceClient`` and huggingface.js post them.

Shapes: OpenAI API reference, measured with the ``openai`` package. ``model`` is an endpoint's name or a hub id.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.routing import BaseRoute, Route

from firstlight.gateway import jobs, patience
from firstlight.gateway.asgi import Answer, Call, HeaderList, Wire, json_answer, media_type, parse_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.generations import Event, Generation, merged
from firstlight.gateway.openai import answers, asked, embeddings, streaming
from firstlight.gateway.openai.asked import Asked
from firstlight.gateway.openai.errors import NotAllowed, UnknownModel, WrongField, explain
from firstlight.gateway.patience import EVENTS, Way
from firstlight.gateway.streams import Piped
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply, new_request_id
from firstlight.runtime.errors import EndpointNotFound, PayloadTooLarge, UnsupportedMedia

_METHODS = {"models": "GET", "chat/completions": "POST", "completions": "POST", "embeddings": "POST"}


class OpenAI:
    """The routes over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def routes(self) -> list[BaseRoute]:
        """Those below ``/v1``; ``of_model`` has those of a single endpoint."""
        return [
            Route("/v1/models", Wire(self.models, explain), methods=["GET"]),
            Route("/v1/models/{model:path}", Wire(self.model, explain), methods=["GET"]),
            Route("/v1/chat/completions", Wire(self.chat, explain), methods=["POST"]),
            Route("/v1/completions", Wire(self.completions, explain), methods=["POST"]),
            Route("/v1/embeddings", Wire(self.embed, explain), methods=["POST"]),
            Route("/v1/{rest:path}", Wire(self.unknown, explain)),
        ]

    def of_model(self) -> BaseRoute:
        """All of them below ``/models/{id}/v1``. It has to come before the Hugging Face route ``/models/{id}``."""
        return Route("/models/{id:path}/v1/{rest:path}", Wire(self.dispatch, explain))

    async def dispatch(self, call: Call) -> Answer:
        """A route below ``/models/{id}/v1``."""
        rest = call.path_parameters["rest"]
        if _METHODS.get(rest) != call.scope["method"]:
            return await self.unknown(call)
        if rest == "models":
            return json_answer(_listed([_served(self._find(call.path_parameters["id"]))]), 200, _request_id())
        if rest == "embeddings":
            return await self.embed(call)
        return await (self.chat(call) if rest == "chat/completions" else self.completions(call))

    async def models(self, _call: Call) -> Answer:
        """The endpoints that can be asked by these routes."""
        entries = [entry for entry in self.gateway.catalogue if _usable(entry)]
        return json_answer(_listed(entries), 200, _request_id())

    async def model(self, call: Call) -> Answer:
        """One of them, by name or hub id (``org%2Fmodel`` and ``org/model``)."""
        return json_answer(_model(_served(self._find(call.path_parameters["model"]))), 200, _request_id())

    async def chat(self, call: Call) -> Answer:
        """``POST /v1/chat/completions``."""
        return await self._complete(call, asked.chat)

    async def completions(self, call: Call) -> Answer:
        """``POST /v1/completions``."""
        return await self._complete(call, asked.completion)

    async def embed(self, call: Call) -> Answer:
        """``POST /v1/embeddings``."""
        content, body = await _body(call)
        entry = self._for_task(call, body, embeddings.TASK)
        wanted = embeddings.Embeddings(body, entry)
        if patience.takes_job(call):
            return await jobs.take(self.gateway, call, entry.name, content)
        response, replies = await call.while_present(wanted.answer(self.gateway, _trace(call)))
        return json_answer(response, 200, _reply_headers(replies))

    async def unknown(self, call: Call) -> Answer:
        """Everything else below ``/v1``."""
        path, method = call.scope["path"], call.scope["method"]
        rest = call.path_parameters["rest"].rstrip("/")
        right = "GET" if rest.startswith("models/") else _METHODS.get(rest)
        if right is not None and right != method:
            raise NotAllowed(f"Not allowed to {method} on {path[:200]}", f"use {right}")
        known = ", ".join(f"{right} /v1/{name}" for name, right in _METHODS.items())
        raise EndpointNotFound(f"Invalid URL ({method} {path[:200]})", f"this server has {known}")

    async def _complete(
        self, call: Call, read: Callable[[dict[str, Any], Entry, int | None], Asked]
    ) -> Answer:
        content, body = await _body(call)
        entry = self._for_task(call, body, asked.TASK)
        wanted = patience.of(call, asked=body.get("stream") is True)
        wish = read(body, entry, None if wanted.way is Way.JOB else wanted.seconds)
        if wanted.way is Way.JOB:
            return await jobs.take(self.gateway, call, entry.name, content)
        return await self._generate(call, wish)

    async def _generate(self, call: Call, wish: Asked) -> Answer:
        events = wish.events()
        if any(len(event) > REQUEST_LIMIT for event in events):
            raise PayloadTooLarge("the request is over 6 MB once it is an event")
        generations = [
            Generation(self.gateway, Invocation(wish.entry.name, event, trace_id=_trace(call), wire="openai"))
            for event in events
        ]
        coming = merged([generation.events() for generation in generations])
        answer = answers.Answer(wish)
        if not wish.stream:
            await call.while_present(_gather(answer, coming))
            replies = [generation.reply for generation in generations if generation.reply is not None]
            return json_answer(answer.whole(), 200, _reply_headers(replies))
        try:
            first = await call.while_present(anext(coming))
        except BaseException:
            await coming.aclose()
            raise
        return Answer(
            200,
            b"",
            [
                (b"content-type", EVENTS.encode() + b"; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                *_request_id(next(item.reply.request_id for item in generations if item.reply is not None)),
            ],
            stream=Piped(streaming.chunks(answer, first, coming), coming),
        )

    def _for_task(self, call: Call, body: dict[str, Any], task: str) -> Entry:
        """The endpoint that the path or the body names.

        Raises:
            UnknownModel: there is none, or it does something else.
        """
        named = call.path_parameters.get("id")
        if named is None:
            named = body.get("model")
            if not isinstance(named, str) or not named:
                raise WrongField(
                    "you must provide a 'model'",
                    f"models here: {self._names(task)}",
                    param="model",
                    code="missing_required_parameter",
                )
        entry = self._find(named, task)
        if task not in entry.tasks:
            does = "runs a script" if entry.script else f"does {entry.task or 'nothing known'}"
            raise UnknownModel(
                f"The model {entry.name!r} {does} and not {task}",
                f"models that do: {self._names(task)}",
                code="model_not_supported",
            )
        return entry

    def _find(self, name: str, task: str = "") -> Entry:
        try:
            return self.gateway.catalogue.find(name)
        except EndpointNotFound:
            raise UnknownModel(
                f"The model {name[:200]!r} does not exist", f"models here: {self._names(task)}"
            ) from None

    def _names(self, task: str) -> str:
        names = [
            entry.name
            for entry in self.gateway.catalogue
            if (task in entry.tasks if task else _usable(entry))
        ]
        return ", ".join(names[:20]) or "none"


async def _gather(answer: answers.Answer, coming: AsyncGenerator[tuple[int, Event]]) -> None:
    try:
        async for number, event in coming:
            answer.choices[number].add(event)
    finally:
        await coming.aclose()


async def _body(call: Call) -> tuple[bytes, dict[str, Any]]:
    """The body as it came, and the object in it."""
    kind = media_type(call)
    if kind not in (
        "",
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ) and not kind.endswith("+json"):
        raise UnsupportedMedia(f"the body is {kind[:100]!r} and has to be JSON", "send application/json")
    content = await call.body(REQUEST_LIMIT)
    try:
        value = parse_json(content)
    except ValueError as error:
        raise WrongField(f"We could not parse the JSON body of your request: {error}", param=None) from error
    if not isinstance(value, dict):
        raise WrongField("the body is not a JSON object", param=None)
    return content, value


def _usable(entry: Entry) -> bool:
    return asked.TASK in entry.tasks or embeddings.TASK in entry.tasks


def _served(entry: Entry) -> Entry:
    if not _usable(entry):
        raise UnknownModel(
            f"The model {entry.name!r} can neither chat nor embed", f"ask it by /models/{entry.name}"
        )
    return entry


def _listed(entries: list[Entry]) -> dict[str, Any]:
    return {"object": "list", "data": [_model(entry) for entry in entries]}


def _model(entry: Entry) -> dict[str, Any]:
    owner = entry.source.partition("/")[0] or "firstlight"
    return {"id": entry.name, "object": "model", "created": entry.created, "owned_by": owner}


def _trace(call: Call) -> str | None:
    return call.header(b"x-amzn-trace-id")[:2048] or None


def _request_id(request_id: str = "") -> HeaderList:
    return [(b"x-request-id", (request_id or new_request_id()).encode())]


def _reply_headers(replies: list[Reply]) -> HeaderList:
    """Of an answer made of several invocations, the figures are those of the one that took longest."""
    longest = max(replies, key=lambda reply: reply.report.duration_ms)
    return [*_request_id(replies[0].request_id), *timing_headers(longest.report)]
