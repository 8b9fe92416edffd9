"""The AWS Lambda Invoke API, as boto3, the AWS CLI and every other AWS SDK speak it.

Routes and shapes: Lambda API reference (Invoke, InvokeWithResponseStream, ListFunctions, GetFunction,
GetFunctionConfiguration) and the published model in botocore. Only ``$LATEST`` exists here: any other qualifier is
ResourceNotFoundException, as on AWS for a version that was never published. An Event invocation needs a queue that
this version does not have; it is refused with status 501, which SDKs do not retry, as a ServiceException.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from starlette.routing import BaseRoute, Route

from firstlight.gateway import aws_names, eventstream, functions, streams
from firstlight.gateway.asgi import (
    JSON_TYPE,
    Answer,
    BodyTooLarge,
    Call,
    Wire,
    json_answer,
    media_type,
    parse_json,
)
from firstlight.gateway.aws_names import FunctionName
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.invoke.types import LATEST, REQUEST_LIMIT, Invocation, Reply, new_request_id
from firstlight.runtime.errors import (
    EndpointNotFound,
    FirstlightError,
    InvalidInput,
    NotSupported,
    UnsupportedMedia,
)

FUNCTIONS = "/2015-03-31/functions"
STREAMING = "/2021-11-15/functions/{name:path}/response-streaming-invocations"
CLIENT_CONTEXT_LIMIT = 3583
"""Bytes of ``X-Amz-Client-Context``, base64 (Lambda API reference, Invoke)."""

_BODY_TYPES = frozenset(
    {"", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
)
"""What clients send with JSON in the body: SDKs nothing, curl its form type, a page's fetch plain text."""


class InvalidRequestContent(InvalidInput):
    """The body or the client context is not what it has to be."""


class LambdaApi:
    """The routes of the Invoke API over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def routes(self) -> list[BaseRoute]:
        """Invoke first: it is the path that has to be short."""
        one = f"{FUNCTIONS}/{{name:path}}"
        return [
            Route(f"{one}/invocations", _wire(self.invoke), methods=["POST"]),
            Route(STREAMING, _wire(self.invoke_streaming), methods=["POST"]),
            Route(
                "/2014-11-13/functions/{name:path}/invoke-async", _wire(self.invoke_async), methods=["POST"]
            ),
            Route(FUNCTIONS, _wire(self.list_functions), methods=["GET"]),
            Route(f"{FUNCTIONS}/", _wire(self.list_functions), methods=["GET"]),
            Route(f"{one}/configuration", _wire(self.get_configuration), methods=["GET"]),
            Route(one, _wire(self.get_function), methods=["GET"]),
            *(
                Route(f"/{day}/{{rest:path}}", _wire(_unknown))
                for day in ("2015-03-31", "2014-11-13", "2021-11-15")
            ),
        ]

    async def invoke(self, call: Call) -> Answer:
        """Invoke: RequestResponse and DryRun."""
        function = self._function(call)
        kind = call.header(b"x-amz-invocation-type", "RequestResponse")
        if kind == "DryRun":
            return Answer(204, b"", [_request_id(new_request_id())])
        if kind != "RequestResponse":
            raise _not_supported(kind)
        tail = _tail(call)
        reply = await self.gateway.invoke(await self._invocation(call, function, tail))
        payload = await streams.whole(reply)
        headers = [JSON_TYPE, *_reply_headers(reply), *timing_headers(reply.report)]
        if tail:
            headers.append((b"x-amz-log-result", base64.b64encode(reply.log)))
        return Answer(200, payload, headers)

    async def invoke_streaming(self, call: Call) -> Answer:
        """InvokeWithResponseStream; an answer that does not stream comes as one piece."""
        function = self._function(call)
        tail = _tail(call)
        reply = await self.gateway.invoke(await self._invocation(call, function, tail))
        headers = [
            (b"content-type", eventstream.CONTENT_TYPE),
            (b"x-amzn-remapped-content-type", reply.content_type.encode("latin-1", "replace")),
            (b"x-amz-executed-version", reply.executed_version.encode()),
            _request_id(reply.request_id),
        ]
        return Answer(200, b"", headers, stream=streams.Piped(_event_stream(reply, tail), reply.stream))

    async def invoke_async(self, call: Call) -> Answer:
        """InvokeAsync, which AWS has deprecated in favour of Event."""
        self._function(call)
        raise _not_supported("Event")

    async def list_functions(self, call: Call) -> Answer:
        """ListFunctions, ``MaxItems`` and ``Marker`` included."""
        return json_answer(functions.listed(self.gateway.catalogue, call.query()), headers=[_request_id()])

    async def get_function(self, call: Call) -> Answer:
        """GetFunction."""
        return json_answer(functions.described(self._entry(call)), headers=[_request_id()])

    async def get_configuration(self, call: Call) -> Answer:
        """GetFunctionConfiguration."""
        return json_answer(functions.configuration(self._entry(call)), headers=[_request_id()])

    def _entry(self, call: Call) -> functions.Entry:
        return self.gateway.catalogue.entries[self._function(call).name]

    def _function(self, call: Call) -> FunctionName:
        """The function of the path, which exists."""
        query = call.query()
        function = aws_names.parse(call.path_parameters["name"], query.get("Qualifier") if query else None)
        if function.qualifier != LATEST or function.name not in self.gateway.catalogue.entries:
            known = ", ".join(list(self.gateway.catalogue.entries)[:20])
            raise EndpointNotFound(
                f"Function not found: {function.arn}", f"functions here: {known}, each as $LATEST"
            )
        return function

    async def _invocation(self, call: Call, function: FunctionName, tail: bool) -> Invocation:
        kind = media_type(call)
        if (
            kind not in _BODY_TYPES
            and not kind.endswith("+json")
            and not kind.startswith("application/x-amz-json")
        ):
            raise UnsupportedMedia("The content type of the Invoke request body is not JSON.")
        context = _client_context(call)
        payload = await call.body(REQUEST_LIMIT)
        return Invocation(
            endpoint=function.name,
            payload=_checked(payload),
            client_context=context,
            trace_id=call.header(b"x-amzn-trace-id")[:2048] or None,
            tail=tail,
        )


def _wire(handle: Callable[[Call], Awaitable[Answer]]) -> Wire:
    return Wire(handle, explain)


async def _unknown(call: Call) -> Answer:
    raise NotSupported(
        f"{call.scope['method']} {call.scope['path'][:200]} is not a part of the Lambda API that this server speaks",
        "it speaks Invoke, InvokeWithResponseStream, ListFunctions, GetFunction and GetFunctionConfiguration",
    )


def _checked(payload: bytes) -> bytes:
    """The event as it goes to the worker: valid JSON, ``{}`` for an empty body."""
    if not payload:
        return b"{}"
    try:
        parse_json(payload)
    except ValueError as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from error
    return payload


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
        raise InvalidInput(_enum_violated(kind, "logType", "[Tail, None]"))
    return kind == "Tail"


def _not_supported(kind: str) -> FirstlightError:
    if kind != "Event":
        return InvalidInput(_enum_violated(kind, "invocationType", "[Event, RequestResponse, DryRun]"))
    return NotSupported(
        "Asynchronous invocations (InvocationType Event) are not available in this version of firstlight: "
        "nothing was queued and the function did not run; use RequestResponse"
    )


def _enum_violated(value: str, member: str, values: str) -> str:
    return (
        f"1 validation error detected: Value '{value[:100]}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy enum value set: {values}"
    )


def _request_id(request_id: str | None = None) -> tuple[bytes, bytes]:
    return b"x-amzn-requestid", (request_id or new_request_id()).encode()


def _reply_headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [_request_id(reply.request_id), (b"x-amz-executed-version", reply.executed_version.encode())]
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


_EXCEPTIONS: dict[int, tuple[str, str, str]] = {
    400: ("InvalidParameterValueException", "User", "message"),
    401: ("UnrecognizedClientException", "User", "message"),
    403: ("AccessDeniedException", "User", "Message"),
    404: ("ResourceNotFoundException", "User", "Message"),
    413: ("RequestTooLargeException", "User", "message"),
    415: ("UnsupportedMediaTypeException", "User", "message"),
    429: ("TooManyRequestsException", "User", "message"),
}
"""Status -> exception, Type, and the key AWS puts the text under (it is not the same for all)."""


def explain(error: FirstlightError, _call: Call) -> Answer:
    """An error in AWS's shape: ``x-amzn-ErrorType`` and a JSON body."""
    name, kind, key = _EXCEPTIONS.get(error.status, ("ServiceException", "Service", "Message"))
    message, status, headers = error.message, error.status, []
    body: dict[str, Any] = {"Type": kind}
    if isinstance(error, InvalidRequestContent):
        name = "InvalidRequestContentException"
    elif isinstance(error, BodyTooLarge):
        message = (
            f"{error.size} byte payload is too large for the RequestResponse invocation type "
            f"(limit {error.limit} bytes)"
        )
    elif error.status == 429:
        message = "Rate Exceeded."
        body = {"Reason": getattr(error, "reason", "ConcurrentInvocationLimitExceeded"), "Type": kind}
        headers = [(b"retry-after", b"%d" % getattr(error, "retry_after", 1))]
    elif name == "ServiceException" and error.hint:
        message = f"{error.message}; {error.hint}"
    if error.status in (401, 403):
        status = 403
    body[key] = message
    if error.status == 404 and error.hint:
        body["Hint"] = error.hint
    return json_answer(body, status, [(b"x-amzn-errortype", name.encode()), _request_id(), *headers])
