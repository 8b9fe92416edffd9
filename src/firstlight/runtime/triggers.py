"""The events a model endpoint is sent, by what sends them, and the answers each of them takes.

| sender                                  | the request is in     | the answer                               |
|-----------------------------------------|-----------------------|------------------------------------------|
| Invoke API, SDKs                        | the event             | the result; an error fails the function  |
| API Gateway REST (v1) and HTTP (v2),    | ``body``, or the      | ``statusCode``, ``headers``, ``body``    |
| function URL, load balancer             | query                 |                                          |
| EventBridge rule                        | ``detail``            | as the Invoke API                        |
| EventBridge schedule (a warm-up ping)   | nowhere               | ``{"warm": true}``, the model is not run |

The request itself is ``{"inputs", "parameters"}`` (Hugging Face, SageMaker), ``{"text"}``, ``{"question", "context"}``
or Vertex AI's ``{"instances": [...], "parameters"}``, which is answered with ``{"predictions": [...]}``.

Shapes: "Lambda proxy integrations", "function URL payloads", "ALB targets", AWS documentation.
"""

from __future__ import annotations

from firstlight.runtime import jsons, logs, notes
from firstlight.runtime.errors import FirstlightError, InvalidInput, NotSupported, UnsupportedMedia
from firstlight.runtime.request import TEXT_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_PINGS = ("aws.events", "aws.scheduler", "serverless-plugin-warmup")
_FORM, _JSON, _EVENTS = "application/x-www-form-urlencoded", "application/json", "text/event-stream"


class Plain:
    """The event is the request, the result is the answer."""

    ping = False

    def __init__(self, event: Any) -> None:
        self.event = event

    def payload(self, takes: Sequence[str] = ()) -> Any:  # noqa: ARG002 - a request by HTTP looks at them
        """The request as a JSON value.

        Args:
            takes: beginnings of the media types whose bytes are inputs as they are.
        """
        return self.event

    def raw(self) -> tuple[bytes, str, str]:
        """The request as bytes, their media type, and the media type wanted back."""
        return jsons.dumps(self.event, ascii_only=False).encode("utf-8", "replace"), _JSON, _JSON

    def reply(self, result: Any) -> Any:
        """The answer that carries a result."""
        return result

    def reply_stream(self, pieces: Any) -> Any:
        """The answer that carries pieces as they are made."""
        return pieces

    def wants_stream(self) -> bool:
        """Whether whoever sent this reads Server-Sent Events and nothing else."""
        return False

    def reply_raw(self, body: bytes, content_type: str) -> Any:
        """The answer that carries bytes: parsed when they are JSON, text when they are text."""
        if content_type.startswith(_JSON):
            return jsons.loads(body)
        return body.decode() if content_type.startswith("text/") else body

    def fail(self, error: FirstlightError) -> Any:
        """The answer that carries an error: none, the invocation fails."""
        raise error


class Detail(Plain):
    """An event that came over an EventBridge bus."""

    def payload(self, takes: Sequence[str] = ()) -> Any:  # noqa: ARG002
        """What the sender of the event put into it."""
        return self.event["detail"]


class Ping(Plain):
    """A schedule that keeps a worker warm."""

    ping = True


class Http(Plain):
    """A request that came by HTTP, through API Gateway, a function URL or a load balancer."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        super().__init__(event)
        # An ALB with multi-value headers turned on sends, and reads, those alone.
        self._multiple = bool(event.get("multiValueHeaders")) and not event.get("headers")
        headers = _texts(event, "headers", "multiValueHeaders")
        self._headers = {name.lower(): value for name, value in headers.items()}

    def payload(self, takes: Sequence[str] = ()) -> Any:
        """The body, with what the query adds to its parameters; the query alone where there is no body.

        Raises:
            InvalidInput, UnsupportedMedia: the body is not what its media type says, or of one that is not taken.
        """
        body, content_type, _ = self.raw()
        query = self._query()
        if not body:
            return _from_query(query)
        bare = content_type.startswith(tuple(takes))  # of no beginnings, none is one
        value = {"inputs": body} if bare else self._parsed(body, content_type)
        if query and isinstance(value, dict) and "parameters" not in value:
            return {**value, "parameters": {name: _value(text) for name, text in query.items()}}
        return value

    def raw(self) -> tuple[bytes, str, str]:
        """The body as bytes, decoded where the event has it as base64."""
        body = self.event.get("body")
        content_type = self._headers.get("content-type") or _JSON
        accept = self._headers.get("accept") or "*/*"
        if body is None:
            body = b""
        elif not isinstance(body, str):
            body = jsons.dumps(body).encode()
        elif self.event.get("isBase64Encoded"):
            body = _from_base64(body)
        else:
            body = body.encode("utf-8", "replace")
        return body, content_type.lower(), accept

    def reply(self, result: Any) -> Any:
        """Status 200 and the result as JSON text, or its blob where that is wanted; warnings go into a header."""
        accept = self._headers.get("accept") or "*/*"
        if not accept.startswith(("*/*", _JSON)):
            from firstlight.runtime.blob import alone

            blob = alone(result, accept)
            if blob is not None:
                return self.reply_raw(blob.data, blob.content_type)
        return self._response(200, jsons.dumps(result, ascii_only=False), _JSON)

    def reply_stream(self, pieces: Any) -> Any:
        """Status 200 and the pieces, after a prelude (``runtime.streaming``)."""
        headers = {"content-type": pieces.content_type, "cache-control": "no-cache"}
        return {"statusCode": 200, "headers": headers, "body": pieces}

    def wants_stream(self) -> bool:
        """By the Accept header, as a browser's EventSource sends it."""
        return self._headers.get("accept", "").strip().lower() == _EVENTS

    def reply_raw(self, body: bytes, content_type: str) -> Any:
        """Status 200 and the bytes, as base64 where they are not text."""
        try:
            return self._response(200, body.decode(), content_type)
        except UnicodeDecodeError:
            from binascii import b2a_base64

            response = self._response(200, b2a_base64(body, newline=False).decode(), content_type)
            return {**response, "isBase64Encoded": True}

    def fail(self, error: FirstlightError) -> Any:
        """The error's status, what happened and what to do about it."""
        if error.status >= 500:
            logs.error(error.as_json())
        told = {"error": error.message, "hint": error.hint} if error.hint else {"error": error.message}
        return self._response(error.status, jsons.dumps(told, ascii_only=False), _JSON)

    def _response(self, status: int, body: str, content_type: str) -> dict[str, Any]:
        headers = {"content-type": content_type}
        if notes.warnings:
            headers["firstlight-warnings"] = jsons.dumps(notes.warnings)
        response: dict[str, Any] = {"statusCode": status, "headers": headers}
        if self._multiple:
            response = {
                "statusCode": status,
                "multiValueHeaders": {name: [text] for name, text in headers.items()},
            }
        return {**response, "body": body, "isBase64Encoded": False}

    def _query(self) -> dict[str, str]:
        query = _texts(self.event, "queryStringParameters", "multiValueQueryStringParameters")
        context = self.event.get("requestContext")
        if (
            query and isinstance(context, dict) and "elb" in context
        ):  # a load balancer leaves the query encoded
            from urllib.parse import unquote_plus

            return {unquote_plus(name): unquote_plus(text) for name, text in query.items()}
        return query

    def _parsed(self, body: bytes, content_type: str) -> Any:
        kind = content_type.partition(";")[0].strip()
        try:
            if kind == "text/plain":
                return {"inputs": body.decode()}
            if kind == _FORM and body.lstrip()[:1] not in (b"{", b"["):  # curl -d says form of all it sends
                from urllib.parse import parse_qsl

                return _from_query(dict(parse_qsl(body.decode(), keep_blank_values=True)))
            if kind in (_JSON, _FORM) or kind.endswith("+json"):
                return jsons.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                f"the body cannot be read as {kind}: {error}", 'send {"inputs": ...}'
            ) from None
        raise UnsupportedMedia(f"a body of type {kind} is not taken", f"send {_JSON}, text/plain or {_FORM}")


def shape(event: Any) -> Plain:
    """How an event came, and how it is to be answered.

    Raises:
        NotSupported: the event is one of a kind that is not taken.
    """
    if not isinstance(event, dict):
        return Plain(event)
    if "httpMethod" in event or "body" in event or isinstance(event.get("requestContext"), dict):
        return Http(event)
    if event.get("source") in _PINGS:
        return Ping(event)
    if "detail-type" in event and isinstance(event.get("detail"), dict):
        return Detail(event)
    if isinstance(event.get("Records"), list):
        raise NotSupported(
            "events with Records (SQS, SNS, S3) are not taken", "send one request an invocation"
        )
    return Plain(event)


def _from_query(query: Mapping[str, str]) -> dict[str, Any]:
    """A request from names and texts: what a text key names is the inputs, the rest are parameters."""
    request: dict[str, Any] = {name: text for name, text in query.items() if name in TEXT_KEYS}
    parameters = {name: _value(text) for name, text in query.items() if name not in TEXT_KEYS}
    if "stream" in parameters:
        request["stream"] = parameters.pop("stream")
    return {**request, "parameters": parameters} if parameters else request


def _texts(event: Mapping[str, Any], single: str, multiple: str) -> dict[str, str]:
    """Names and texts of an event, from the field with one text a name or else the last ones of that with lists."""
    found = event.get(single)
    if not found and isinstance(many := event.get(multiple), dict):
        found = {name: values[-1] for name, values in many.items() if isinstance(values, list) and values}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _value(text: str) -> Any:
    """A parameter of a query: a number, truth value, list or object where it reads as one."""
    try:
        return jsons.loads(text)
    except (ValueError, RecursionError):
        return text


def _from_base64(text: str) -> bytes:
    from binascii import Error, a2b_base64

    try:
        return a2b_base64(text)
    except (Error, ValueError) as error:
        raise InvalidInput(f"the body is not base64, as the event says: {error}") from None
