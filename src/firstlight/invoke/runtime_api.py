"""The server half of AWS Lambda's Runtime API (version 2018-06-01): one of these per worker.

A worker asks ``GET /runtime/invocation/next``, is left waiting until there is work, and answers with
``POST /runtime/invocation/{id}/response`` or ``/error``. ``RuntimeApi`` holds where in that conversation the worker is;
``Connection`` is HTTP/1.1 on a socket. What the worker says goes to a ``Listener`` (the pool's worker).
Shapes and refusals follow AWS's runtime-api documentation and its emulator: 202 for an accepted answer, 400
InvalidRequestID, 403 InvalidStateTransition, 413 RequestEntityTooLarge.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from firstlight.invoke.runtime_messages import Answer, ProtocolError, Request, header
from firstlight.invoke.types import RESPONSE_LIMIT, STREAM_LIMIT

if TYPE_CHECKING:
    from firstlight.invoke.connection import Connection

_ACCEPTED = (
    b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
)
_RESTORED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"


class Sink(Protocol):
    """Where the bytes of a streamed answer go."""

    def feed(self, data: bytes) -> None: ...

    def end(self, answer: Answer) -> None:
        """The stream is over; ``answer.error_type`` is set where the function broke off."""


class Listener(Protocol):
    """What a worker says, as the pool hears it."""

    def on_next(self, notes: bytes) -> None:
        """The worker waits for an invocation; the first time that ends its init."""

    def on_response(self, answer: Answer) -> None: ...

    def on_error(self, answer: Answer) -> None: ...

    def on_oversize(self) -> None:
        """The answer had more than ``RESPONSE_LIMIT`` bytes and was refused."""

    def on_stream(self, content_type: str, connection: Connection) -> Sink: ...

    def on_init_error(self, answer: Answer) -> None: ...

    def on_lost(self) -> None:
        """The connection on which the worker waited is gone."""


class Phase(Enum):
    """Where a worker is in the conversation."""

    INIT = "init"
    WAITING = "waiting"
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"


class RuntimeApi:
    """The conversation with one worker.

    Args:
        listener: is told what the worker says.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiting: Connection | None = None
        self._request_id = b""
        self._attempt = b""
        self._count = 0
        self.connections: set[Connection] = set()
        self.phase = Phase.INIT

    def send(self, payload: bytes, request_id: str, headers: Mapping[bytes, str]) -> None:
        """Hand the waiting worker an invocation.

        Args:
            payload: the event.
            headers: the rest of the response's headers, name to value.

        Raises:
            ConnectionError: no worker waits.
        """
        connection, self._waiting = self._waiting, None
        if connection is None:
            raise ConnectionError("no worker waits for an invocation")
        self._count += 1
        self._attempt = b"%x" % self._count
        self._request_id = header(request_id)
        self.phase = Phase.RUNNING
        head = [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: ",
            self._request_id,
            b"\r\nLambda-Runtime-Invocation-Id: ",
            self._attempt,
        ]
        for name, value in headers.items():
            head += (b"\r\n", name, b": ", header(value))
        head += (b"\r\nContent-Length: %d\r\n\r\n" % len(payload), payload)
        connection.write(b"".join(head))

    def close(self) -> None:
        """Hang up; a worker that waits sees the end of its socket."""
        for connection in tuple(self.connections):
            connection.close()

    def abandon(self) -> None:
        """Hang up on a worker in the middle of an invocation whose answer nobody waits for any more.

        It learns of it when it next writes (or looks whether it is still in time), and asks for the next invocation
        over a new connection; what it says of the old one until then is refused.
        """
        self.phase = Phase.ANSWERED
        self.close()

    def lost(self, connection: Connection) -> None:
        """A connection was closed."""
        self.connections.discard(connection)
        if connection is self._waiting:
            self._waiting = None
            self._listener.on_lost()

    def is_waiting(self, connection: Connection) -> bool:
        """Whether the worker waits on this connection for its next invocation."""
        return connection is self._waiting

    def limit(self, request: Request) -> int:
        """Bytes the body of a request may have."""
        return STREAM_LIMIT if request.streaming else RESPONSE_LIMIT

    def begin_stream(self, request: Request, connection: Connection) -> Sink | None:
        """The sink of a streamed answer, None where the request is not one that may stream."""
        action = request.action
        if action[:1] != (b"invocation",) or action[-1:] != (b"response",) or not request.streaming:
            return None
        self._check_answer(action[1], request)
        return self._listener.on_stream(request.content_type("application/octet-stream"), connection)

    def end_stream(self, request: Request, sink: Sink) -> bytes:
        """The streamed answer is complete, trailers included."""
        self.phase = Phase.ANSWERED
        error = request.text(b"lambda-runtime-function-error-type")
        body = _decoded(request.headers.get(b"lambda-runtime-function-error-body", b""))
        sink.end(Answer(body, "application/json", error, request.notes))
        return _ACCEPTED

    def handle(self, request: Request, connection: Connection) -> bytes | None:
        """The response to a whole request; None leaves the worker waiting.

        Raises:
            ProtocolError: the request does not fit the protocol or the phase.
        """
        match (request.method, *request.action):
            case (b"GET", b"invocation", b"next"):
                return self._next(request, connection)
            case (b"POST", b"invocation", request_id, b"response"):
                return self._response(request_id, request)
            case (b"POST", b"invocation", request_id, b"error"):
                return self._error(request_id, request)
            case (b"POST", b"init" | b"restore", b"error"):
                return self._init_error(request)
            case (b"GET", b"restore", b"next"):
                return _RESTORED
            case (_, b"invocation" | b"init" | b"restore", *_):
                raise ProtocolError(
                    405, "MethodNotAllowed", "the Runtime API has no such method on this path"
                )
        raise ProtocolError(404, "NotFound", "the Runtime API has no such path")

    def _next(self, request: Request, connection: Connection) -> bytes | None:
        if self.phase in (Phase.RUNNING, Phase.FAILED) or self._waiting is not None:
            raise _transition(self.phase, "next")
        self._waiting = connection
        self.phase = Phase.WAITING
        self._listener.on_next(request.notes)
        return None

    def _response(self, request_id: bytes, request: Request) -> bytes:
        self._check_answer(request_id, request)
        self.phase = Phase.ANSWERED
        if request.body is None:
            self._listener.on_oversize()
            message = f"Exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
            raise ProtocolError(413, "RequestEntityTooLarge", message)
        self._listener.on_response(
            Answer(request.body, request.content_type("application/json"), "", request.notes)
        )
        return _ACCEPTED

    def _error(self, request_id: bytes, request: Request) -> bytes:
        self._check_answer(request_id, request)
        self.phase = Phase.ANSWERED
        self._listener.on_error(request.error())
        return _ACCEPTED

    def _init_error(self, request: Request) -> bytes:
        if self.phase is not Phase.INIT:
            raise _transition(self.phase, "init/error")
        self.phase = Phase.FAILED
        self._listener.on_init_error(request.error())
        return _ACCEPTED

    def _check_answer(self, request_id: bytes, request: Request) -> None:
        attempt = request.headers.get(b"lambda-runtime-invocation-id", self._attempt)
        if not self._request_id or request_id != self._request_id or attempt != self._attempt:
            raise ProtocolError(400, "InvalidRequestID", "Invalid request ID")
        if self.phase is not Phase.RUNNING:
            raise _transition(self.phase, "an answer")


def _transition(phase: Phase, what: str) -> ProtocolError:
    return ProtocolError(
        403, "InvalidStateTransition", f"State transition is not allowed: {what} while {phase.value}"
    )


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text
