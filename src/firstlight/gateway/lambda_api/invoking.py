"""Invoke, InvokeWithResponseStream and InvokeAsync.

Shapes: the published model (botocore) and the Lambda API reference; where answers recorded from AWS differ, those.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

from firstlight.gateway import joining, streams
from firstlight.gateway.asgi import JSON_TYPE, Answer, Call, HeaderList, media_type, parse_json
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.lambda_api import eventstream, finding
from firstlight.gateway.lambda_api.errors import InvalidRequestContent, enum_violated, request_id
from firstlight.gateway.lambda_api.names import FunctionName
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply, new_request_id
from firstlight.jobs import lineage
from firstlight.jobs.types import EVENT_LIMIT, Job, Kind
from firstlight.runtime.errors import InvalidInput, NotSupported, UnsupportedMedia
from firstlight.versions.types import Target

CLIENT_CONTEXT_LIMIT = 3583
"""Bytes of ``X-Amz-Client-Context``, base64 (Lambda API reference, Invoke)."""

INVOKE_ASYNC_LIMIT = 262_144
"""Bytes of the event of InvokeAsync, which was never raised to what Event takes."""

_EVENTS = uuid.UUID("0c5b8a35-7a3c-4d7e-9a55-6f1f3c2f7f10")
_BODY_TYPES = frozenset(
    {"", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
)
"""What clients send with JSON in the body: SDKs nothing, curl its form type, a page's fetch plain text."""

_TYPES = "[Event, RequestResponse, DryRun]"


class Invoking:
    """The routes that run functions."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def invoke(self, call: Call) -> Answer:
        """Invoke: RequestResponse, Event and DryRun."""
        function = finding.asked(call)
        target = finding.target(self.gateway, function)
        kind = call.header(b"x-amz-invocation-type", "RequestResponse")
        if kind != "RequestResponse":
            return await self._otherwise(call, kind, function, target)
        tail = _tail(call)
        reply = await self.gateway.invoke(await _invocation(call, target, tail), whole=True)
        headers = [JSON_TYPE, *_reply_headers(reply), *timing_headers(reply.report)]
        if tail:
            headers.append((b"x-amz-log-result", base64.b64encode(reply.log)))
        return Answer(200, reply.payload, headers)

    async def invoke_streaming(self, call: Call) -> Answer:
        """InvokeWithResponseStream; an answer that does not stream comes as one piece."""
        target = finding.target(self.gateway, finding.asked(call))
        kind = call.header(b"x-amz-invocation-type", "RequestResponse")
        if kind not in ("RequestResponse", "DryRun"):
            raise enum_violated(kind, "invocationType", "[RequestResponse, DryRun]")
        tail = _tail(call)
        invocation = await _invocation(call, target, tail)
        if kind == "DryRun":
            return Answer(204, b"", [request_id()])
        reply = await self.gateway.invoke(invocation)
        headers = [
            (b"content-type", eventstream.CONTENT_TYPE),
            (b"x-amzn-remapped-content-type", reply.content_type.encode("latin-1", "replace")),
            (b"x-amz-executed-version", reply.executed_version.encode()),
            request_id(reply.request_id),
        ]
        return Answer(200, b"", headers, stream=streams.Piped(_event_stream(reply, tail), reply.stream))

    async def invoke_async(self, call: Call) -> Answer:
        """InvokeAsync, which AWS has deprecated in favour of Event."""
        function = finding.asked(call)
        return await self._event(call, function, finding.target(self.gateway, function), INVOKE_ASYNC_LIMIT)

    async def _otherwise(self, call: Call, kind: str, function: FunctionName, target: Target) -> Answer:
        if kind == "Event":
            return await self._event(call, function, target, EVENT_LIMIT)
        if kind == "DryRun":
            await _invocation(call, target, _tail(call))
            return Answer(204, b"", [request_id()])
        raise enum_violated(kind, "invocationType", _TYPES)

    async def _event(self, call: Call, function: FunctionName, target: Target, limit: int) -> Answer:
        """Hand an event in; it is kept when the answer goes out.

        A retry of the same call has the same payload, so the id made of both is that of the event that is kept.
        """
        _check_headers(call)
        payload = _checked(await call.body(limit))
        if self.gateway.jobs is None:
            raise NotSupported(
                "this server keeps no events: nothing was queued and the function did not run",
                "start it with a data folder it can write to, or use RequestResponse",
            )
        digest = hashlib.sha256(payload).hexdigest()
        asked = joining.asked.get()
        name = new_request_id()
        if asked is not None:
            about = f"{asked.call.decode('latin-1')} {target.endpoint} {function.qualifier} {digest}"
            name = str(uuid.uuid5(_EVENTS, about))
        job = Job(
            id=name,
            kind=Kind.EVENT,
            endpoint=target.endpoint,
            payload=payload,
            created=time.time(),
            qualifier=target.qualifier,
            trace_id=call.header(b"x-amzn-trace-id")[:2048] or None,
            fingerprint=digest,
        )
        await self.gateway.jobs.submit(job)
        return Answer(202, b"", [request_id(name)])


async def _invocation(call: Call, target: Target, tail: bool) -> Invocation:
    _check_headers(call)
    context = _client_context(call)
    trace = call.header(b"x-amzn-trace-id")[:2048] or None
    if trace is not None:
        trace = lineage.onward(trace, target.endpoint, 0.0)
    return Invocation(
        endpoint=target.endpoint,
        payload=_checked(await call.body(REQUEST_LIMIT)),
        qualifier=target.qualifier,
        version=target.version,
        client_context=context,
        trace_id=trace,
        tail=tail,
    )


def _check_headers(call: Call) -> None:
    """Raise for a body that is not JSON, and for what only functions of other kinds take."""
    kind = media_type(call)
    if (
        kind not in _BODY_TYPES
        and not kind.endswith("+json")
        and not kind.startswith("application/x-amz-json")
    ):
        raise UnsupportedMedia("The content type of the Invoke request body is not JSON.")
    if b"x-amz-tenant-id" in call.headers:
        raise InvalidInput(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request "
            "and try again."
        )
    if b"x-amz-durable-execution-name" in call.headers:
        raise InvalidInput(
            "The invoked function is not a durable function and takes no DurableExecutionName."
        )


def _checked(payload: bytes) -> bytes:
    """The event as it goes to the worker: valid JSON, ``{}`` for an empty body."""
    if not payload:
        return b"{}"
    try:
        parse_json(payload)
    except UnicodeDecodeError as error:
        raise _unparsed(
            f"Invalid UTF-8 start byte {payload[error.start]:#04x}; column: {error.start + 1}"
        ) from error
    except ValueError as error:
        raise _unparsed(str(error)) from error
    return payload


def _unparsed(problem: str) -> InvalidRequestContent:
    return InvalidRequestContent(
        f"Could not parse request body into json: Could not parse payload into json: {problem}"
    )


def _client_context(call: Call) -> str | None:
    """The JSON text in ``X-Amz-Client-Context``."""
    raw = call.headers.get(b"x-amz-client-context")
    if not raw:
        return None
    if len(raw) > CLIENT_CONTEXT_LIMIT:
        raise InvalidRequestContent(
            f"Client context must be at most {CLIENT_CONTEXT_LIMIT} bytes, base64-encoded."
        )
    try:
        context = parse_json(base64.b64decode(raw, validate=True))
    except (ValueError, binascii.Error) as error:
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.") from error
    return json.dumps(context)


def _tail(call: Call) -> bool:
    kind = call.header(b"x-amz-log-type", "None")
    if kind not in ("None", "Tail"):
        raise enum_violated(kind, "logType", "[Tail, None]")
    return kind == "Tail"


def _reply_headers(reply: Reply) -> HeaderList:
    headers = [request_id(reply.request_id), (b"x-amz-executed-version", reply.executed_version.encode())]
    if reply.function_error:
        headers.append((b"x-amz-function-error", reply.function_error.encode()))
    return headers


async def _event_stream(reply: Reply, tail: bool) -> AsyncGenerator[bytes]:
    """PayloadChunk for every piece, then InvokeComplete."""
    if reply.stream is not None:
        async for framed in eventstream.chunks(reply.stream):
            yield framed
    elif reply.payload and not reply.function_error:
        yield eventstream.payload_chunk(reply.payload)
    end: dict[str, Any] = {}
    if reply.function_error:
        end["ErrorCode"] = reply.function_error
        end["ErrorDetails"] = reply.payload.decode("utf-8", "replace")
    if tail:
        end["LogResult"] = base64.b64encode(reply.log).decode()
    yield eventstream.invoke_complete(json.dumps(end).encode())
