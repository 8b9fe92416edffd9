"""The Hugging Face Inference routes, as ``huggingface_hub.InferenceClient``, huggingface.js and curl use them.

``POST /models/{endpoint or hub id}``, ``/models/{id}/pipeline/{task}``, ``/pipeline/{task}[/{id}]``, and the container
conventions: ``POST /`` (inference toolkit), ``/predict`` (Vertex AI: ``instances`` and ``predictions``),
``/invocations`` and ``GET /ping`` (SageMaker). Where no endpoint is named, the project's first one answers.

Request: ``{"inputs": ..., "parameters": {...}}``. Query parameters become parameters that the body does not have;
``options`` (``use_cache``, ``wait_for_model``, ...) are taken and ignored: a cold start always holds the request.
``"stream": true`` streams what a generating task says (``hf_streaming``); ``Prefer: respond-async`` makes it a job
(``gateway.jobs``).
Errors: ``{"error": "...", "error_type": "..."}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.routing import BaseRoute, Route

from firstlight.gateway import hf_media, hf_streaming, hf_telling, jobs, patience, streams
from firstlight.gateway.asgi import (
    JSON_TYPE,
    Answer,
    Call,
    Wire,
    dump_json,
    json_answer,
    media_type,
    parse_json,
)
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.failures import of_reply
from firstlight.gateway.hf_shapes import GENERATING, for_client, meant, of_script, with_defaults
from firstlight.gateway.patience import Way
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply
from firstlight.runtime import tasks
from firstlight.runtime.errors import FirstlightError, InvalidInput, UnsupportedMedia

_NOT_PARAMETERS = frozenset({"inputs", "parameters", "options", "model", "stream", "task"})
_BODY_TYPES = ("", "application/json", "text/plain", "application/x-www-form-urlencoded")


class HuggingFace:
    """The inference routes over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def routes(self) -> list[BaseRoute]:
        """All of them; ``POST /`` shares its path with the page, which answers GET."""
        return [
            Route("/models/{id:path}", Wire(self.models, explain), methods=["POST"]),
            Route("/pipeline/{task}", Wire(self.pipeline, explain), methods=["POST"]),
            Route("/pipeline/{task}/{id:path}", Wire(self.pipeline, explain), methods=["POST"]),
            Route("/", Wire(self.first, explain), methods=["POST"]),
            Route("/predict", Wire(self.verbatim, explain), methods=["POST"]),
            Route("/invocations", Wire(self.verbatim, explain), methods=["POST"]),
            Route("/endpoints/{name}/invocations", Wire(self.verbatim, explain), methods=["POST"]),
        ]

    async def models(self, call: Call) -> Answer:
        """``/models/{id}`` and ``/models/{id}/pipeline/{task}``."""
        path = call.path_parameters["id"]
        name, mark, task = path.rpartition("/pipeline/")
        entry = self.gateway.catalogue.find(name if mark else path)
        return await self._infer(call, entry, task if mark else "")

    async def pipeline(self, call: Call) -> Answer:
        """``/pipeline/{task}``: the first endpoint of that task, or the one that is named."""
        task, name = call.path_parameters["task"], call.path_parameters.get("id")
        catalogue = self.gateway.catalogue
        entry = catalogue.find(name) if name else catalogue.of_task(tasks.canonical(task))
        return await self._infer(call, entry, task)

    async def first(self, call: Call) -> Answer:
        """``POST /``."""
        return await self._infer(call, self.gateway.catalogue.first(), "")

    async def verbatim(self, call: Call) -> Answer:
        """The body as it came: the endpoint's own handler knows the shapes of SageMaker and Vertex AI."""
        name = call.path_parameters.get("name") or call.header(b"x-amzn-sagemaker-target-model")
        catalogue = self.gateway.catalogue
        entry = catalogue.find(name) if name else catalogue.first()
        body = await call.body(REQUEST_LIMIT)
        event = _json_object(body, call)
        if patience.takes_job(call):
            return await jobs.take(self.gateway, call, entry.name, body)
        telling = hf_telling.of(str(event.get("task") or entry.task), event)
        if telling is not None:
            reply = await telling.reply(self.gateway, _invocation(call, entry, _streaming(event)))
        else:
            reply = await self._carry(call, entry, body)
        return Answer(200, reply.payload, [JSON_TYPE, *_headers(reply, call)])

    async def _infer(self, call: Call, entry: Entry, task: str) -> Answer:
        content = await call.body(REQUEST_LIMIT)
        takes = () if entry.script else tasks.takes(task or entry.task or "")
        body = hf_media.inputs(content, call, takes) or _json_object(content, call)
        event = _event(body, call.query(), entry, task)
        task = event.get("task") or entry.task or ""
        generates = not entry.script and task in GENERATING
        if not entry.script and _flag(body.get("stream")) and not generates:
            raise InvalidInput(
                f"{task or entry.name} answers at once and does not stream", 'leave "stream" out'
            )
        if patience.takes_job(call):
            return await jobs.take(self.gateway, call, entry.name, content)
        if generates:
            return await self._generate(call, entry, task, event, body.get("stream"))
        reply = await self._carry(call, entry, dump_json(event))
        headers = [JSON_TYPE, *_headers(reply, call)]
        if entry.task is None:
            status, payload = of_script(reply.payload)
            return Answer(status, payload, headers)
        blob = hf_media.bare(reply.payload, call.header(b"accept")) if takes else None
        if blob is not None:
            return Answer(200, blob[0], [(b"content-type", blob[1].encode()), *headers[1:]])
        return Answer(
            200, for_client(task, event["inputs"], reply.payload, call.header(b"user-agent")), headers
        )

    async def _generate(
        self, call: Call, entry: Entry, task: str, event: dict[str, Any], stream: Any
    ) -> Answer:
        """A generating task, which ends when its client goes away."""
        wanted = patience.of(call, _flag(stream), by_header=True)
        try:
            if wanted.way is Way.STREAM:
                invocation = _invocation(call, entry, _streaming(event))
                return await hf_streaming.answer(call, self.gateway, invocation)
            if wanted.seconds and "max_time" in tasks.schema(task)["parameters"]["properties"]:
                event["parameters"] = {"max_time": wanted.seconds, **event.get("parameters", {})}
            telling = hf_telling.of(task, event)
            if telling is not None:
                reply = await telling.reply(self.gateway, _invocation(call, entry, _streaming(event)))
            else:
                reply = await call.while_present(self._carry(call, entry, dump_json(event), stops=True))
        except FirstlightError as error:
            raise hf_streaming.as_generation(error) from error
        payload = for_client(task, event["inputs"], reply.payload, call.header(b"user-agent"))
        return Answer(200, payload, [JSON_TYPE, *_headers(reply, call)])

    async def _carry(self, call: Call, entry: Entry, payload: bytes, stops: bool = False) -> Reply:
        """Invoke, and raise what the function did wrong as an error with a status."""
        reply = await self.gateway.invoke(_invocation(call, entry, payload), stops)
        reply.payload = await streams.as_json(reply)
        if reply.function_error:
            raise of_reply(reply)
        return reply


def _invocation(call: Call, entry: Entry, payload: bytes) -> Invocation:
    return Invocation(
        endpoint=entry.name,
        payload=payload,
        trace_id=call.header(b"x-amzn-trace-id")[:2048] or None,
        wire="huggingface",
    )


def _streaming(event: dict[str, Any]) -> bytes:
    return dump_json({**event, "stream": True})


def _flag(stream: Any) -> bool:
    if stream is not None and not isinstance(stream, bool):
        raise InvalidInput("'stream' is not true or false", "leave it out for a whole answer")
    return stream is True


def _json_object(body: bytes, call: Call) -> dict[str, Any]:
    kind = media_type(call)
    if kind not in _BODY_TYPES and not kind.endswith("+json"):
        raise UnsupportedMedia(f"the body is {kind[:100]!r} and has to be JSON", "send application/json")
    try:
        value = parse_json(body)
    except ValueError as error:
        raise InvalidInput(f"the body is not JSON: {error}", 'send {"inputs": ...}') from error
    if not isinstance(value, dict):
        raise InvalidInput("the body is not a JSON object", 'send {"inputs": ...}')
    return value


def _event(body: dict[str, Any], query: Mapping[str, str], entry: Entry, task: str) -> dict[str, Any]:
    """The event for the endpoint: the body, with the query's parameters and the protocol's defaults filled in."""
    if entry.script:
        return _script_event(body)
    if "inputs" not in body:
        raise InvalidInput("the body has no 'inputs'", 'send {"inputs": ...}')
    given = body.get("parameters")
    if given is not None and not isinstance(given, dict):
        raise InvalidInput("'parameters' is not an object", "send a JSON object or leave it out")
    parameters = {name: _scalar(value) for name, value in query.items() if name != "token"}
    parameters |= {name: value for name, value in body.items() if name not in _NOT_PARAMETERS}
    parameters |= given or {}
    named = task or _named_task(body)
    parameters = tasks.implied(named) | parameters
    event: dict[str, Any] = {"inputs": body["inputs"]}
    task = tasks.canonical(named) if named else meant(body["inputs"], parameters, entry.tasks)
    if task and task != entry.task:
        event["task"] = task
    parameters = with_defaults(task or entry.task or "", parameters)
    if parameters:
        event["parameters"] = parameters
    return event


def _named_task(body: dict[str, Any]) -> str:
    task = body.get("task")
    if task is None:
        return ""
    if not isinstance(task, str):
        raise InvalidInput("'task' is not text", "name a pipeline tag, or leave it out")
    return task


def _script_event(body: dict[str, Any]) -> dict[str, Any]:
    """A script gets the body as it is; text in ``inputs`` also as ``text``, the key most handlers read."""
    if isinstance(body.get("inputs"), str) and "text" not in body:
        return {**body, "text": body["inputs"]}
    return body


def _scalar(text: str) -> Any:
    """A query parameter: number, true, false or null where it reads as one, else text."""
    try:
        value = parse_json(text.encode())
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def _headers(reply: Reply, call: Call) -> list[tuple[bytes, bytes]]:
    """Figures in whole milliseconds under the names text-embeddings-inference gave them, and the request's ids."""
    report = reply.report
    headers = [
        (b"x-compute-type", b"cpu"),
        (b"x-compute-time", b"%d" % round(report.duration_ms)),
        (b"x-inference-time", b"%d" % round(report.timings.get("engine", report.duration_ms))),
        (b"x-queue-time", b"%d" % round(report.queue_ms)),
        (b"x-request-id", reply.request_id.encode()),
    ]
    trace = call.headers.get(b"x-amzn-trace-id")
    if trace:
        headers.append((b"x-amzn-trace-id", trace))
    return headers + timing_headers(report)


def explain(error: FirstlightError, _call: Call) -> Answer:
    """An error as the Inference API words it."""
    text = f"{error.message} ({error.hint})" if error.hint else error.message
    body: dict[str, Any] = {"error": text, "error_type": getattr(error, "kind", type(error).__name__)}
    headers: list[tuple[bytes, bytes]] = []
    if error.status == 429:
        headers.append((b"retry-after", b"%d" % getattr(error, "retry_after", 1)))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    request_id = getattr(error, "request_id", "")
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    return json_answer(body, error.status, headers)
