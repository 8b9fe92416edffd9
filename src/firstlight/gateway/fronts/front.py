"""What the three fronts have in common: a request comes in, an event goes to the function, its answer goes back."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from firstlight.gateway import joining, streams
from firstlight.gateway.asgi import Answer, BodyTooLarge, Call, ClientGone, HeaderList, dump_json
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.core import Gateway, timing_headers
from firstlight.gateway.fronts import streaming
from firstlight.gateway.fronts.answers import Parsed
from firstlight.gateway.fronts.doors import Admitted, Doors, NoKey, TooFast, UsedUp
from firstlight.gateway.fronts.refusals import Refusal, message
from firstlight.gateway.fronts.signing import Unsigned
from firstlight.gateway.fronts.visit import Visit, trace_of
from firstlight.gateway.jobs import before_wall, runs_as_job
from firstlight.invoke.collecting import TooMuch
from firstlight.invoke.types import REQUEST_LIMIT, Invocation, Reply
from firstlight.runtime.errors import Conflict, FirstlightError
from firstlight.versions.types import Target

log = logging.getLogger("firstlight.gateway")

Door = Unsigned | NoKey | TooFast | UsedUp


@dataclass(frozen=True, slots=True)
class Walls:
    """After how many seconds a front stops waiting; what the function does goes on.

    Args:
        rest: API Gateway REST APIs, the integration timeout.
        http: HTTP APIs.
        stream: everything that streams, and Function URLs: as long as a function may run.
    """

    rest: float = 29.0
    http: float = 30.0
    stream: float = 900.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where below a front a request came in.

    Args:
        path: percent-encoded, from the front's own path on.
        resource: that matched it.
        lenient: whether it is a ``route`` of the project, where more is forgiven.
        target: the version that answers; None for the newest state.
    """

    path: str
    resource: str = "/{proxy+}"
    parameters: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False
    target: Target | None = None


class Front(ABC):
    """One kind of front.

    Args:
        gateway: what carries the invocations.
        doors: who may come in.
        walls: when it stops waiting.
    """

    kind = ""
    signed_for = "execute-api"
    can_stream = True
    wants_prelude = False
    """Whether what streams has to begin with a prelude; a route of the project forgives it."""

    body_limit = 10_485_760
    """Bytes of a request's body (API Gateway quotas, "Payload size": 10 MB)."""

    def __init__(self, gateway: Gateway, doors: Doors, walls: Walls) -> None:
        self.gateway = gateway
        self.doors = doors
        self.walls = walls
        self._warned: set[tuple[str, str]] = set()

    async def serve(self, call: Call, entry: Entry, place: Place, now: float) -> Answer:
        """Answer one request to an endpoint."""
        visit = Visit(
            call,
            entry.name,
            place.path,
            b"",
            now,
            place.resource,
            place.parameters,
            lenient=place.lenient,
            target=place.target or Target(entry.name),
            trace_id=trace_of(call, now),
        )
        try:
            answer = await self._answered(call, entry, visit)
        except Refusal as refusal:
            answer = refusal.answer()
        except (Unsigned, NoKey, TooFast, UsedUp) as shut:
            answer = self.shut(shut).answer()
        except BodyTooLarge as error:
            answer = self.too_long(event=False).answer()
            if error.close:
                answer.headers.append((b"connection", b"close"))
        except Conflict as error:  # of a job that the request was to become
            answer = message(409, error.message, "ConflictException").answer()
        except FirstlightError as error:
            answer = self.failed_to_carry(error, visit).answer()
        except ClientGone:
            raise
        except Exception:
            log.exception("%s %s failed", visit.method, call.scope["path"])
            answer = self.internal().answer()
        answer.headers += self.marks(visit)
        return answer

    async def _answered(self, call: Call, entry: Entry, visit: Visit) -> Answer:
        body = await call.body(self.body_limit)
        front = entry.endpoint.front
        admitted = Admitted()
        if not runs_as_job(call):  # it was let in when it was taken
            admitted = self.doors.admit(call, body, self.auth_of(entry), self.signed_for, visit.time)
        visit = replace(visit, body=body, caller=admitted.caller, api_key=admitted.api_key)
        joining.compare(
            visit.method.encode(),
            visit.path.encode(),
            visit.query.encode(),
            repr(visit.caller).encode(),
            body,
        )
        payload = dump_json(self.event(visit))
        if len(payload) > REQUEST_LIMIT:
            raise self.too_long(event=True)
        streams_on = (front.stream and self.can_stream) or visit.lenient
        late: list[bool] = []

        async def handle(_call: Call) -> Answer:
            answer = await self._carried(visit, payload, streams_on)
            if late and answer.stream is not None:
                await answer.stream.aclose()
            return answer

        try:
            return await before_wall(
                self.gateway, call, visit.name, body, handle, self.wall(front.stream and streams_on)
            )
        except TimeoutError:
            late.append(True)
            log.warning("%s: %s was not answered before the wall", visit.name, visit.path)
            raise self.over_wall() from None

    def auth_of(self, entry: Entry) -> str:
        """Who may come in by this front; API keys are for REST APIs."""
        return entry.endpoint.front.auth

    async def _carried(self, visit: Visit, payload: bytes, streams_on: bool) -> Answer:
        invocation = Invocation(
            endpoint=visit.name,
            payload=payload,
            request_id=visit.request_id,
            trace_id=visit.trace_id,
            qualifier=visit.target.qualifier,
            version=visit.target.version,
            wire="route" if visit.lenient else self.kind,
        )
        reply = await self.gateway.invoke(invocation)
        try:
            answer = await self._response(visit, reply, streams_on)
        except streams.Malformed as problem:
            log.warning("%s: malformed answer for %s: %s", visit.name, visit.path, problem)
            raise self.malformed() from None
        except TooMuch:
            log.warning("%s: the answer for %s is over 6 MB", visit.name, visit.path)
            raise self.failed() from None
        answer.headers += timing_headers(reply.report)
        return answer

    async def _response(self, visit: Visit, reply: Reply, streams_on: bool) -> Answer:
        if reply.stream is not None and streams_on:
            head, body = await streaming.opened(reply, reply.stream, self.wants_prelude and not visit.lenient)
            try:
                answer = self.head(visit, reply, head)
            except BaseException:
                await body.aclose()
                raise
            answer.stream = body
            return answer
        parsed = await streaming.buffered(reply)
        if reply.function_error:
            said = reply.payload[:500].decode("utf-8", "replace")
            log.warning("%s answered %s with an error: %s", visit.name, visit.path, said)
            raise self.failed()
        if parsed is not None:
            return self.passed_on(visit, parsed)
        return self.response(visit, reply, streams_on)

    def warn_once(self, visit: Visit, text: str) -> None:
        """Say once for an endpoint what AWS would do differently, or why what it does surprises."""
        if (visit.name, text) not in self._warned:
            self._warned.add((visit.name, text))
            log.warning("%s: %s", visit.name, text)

    def wall(self, streaming: bool) -> float:  # noqa: ARG002 - a REST API has two
        """Seconds until it stops waiting."""
        return self.walls.stream

    @abstractmethod
    def event(self, visit: Visit) -> dict[str, Any]:
        """What the function is sent."""

    @abstractmethod
    def response(self, visit: Visit, reply: Reply, streams_on: bool) -> Answer:
        """The response in a reply that is whole."""

    def head(self, visit: Visit, reply: Reply, head: Parsed | None) -> Answer:
        """The beginning of a response that streams."""
        raise NotImplementedError

    @abstractmethod
    def passed_on(self, visit: Visit, parsed: Parsed) -> Answer:
        """A response with the headers that this front lets through."""

    @abstractmethod
    def marks(self, visit: Visit) -> HeaderList:
        """Headers on every answer."""

    @abstractmethod
    def shut(self, why: Door) -> Refusal:
        """The answer to who may not come in."""

    @abstractmethod
    def too_long(self, event: bool) -> Refusal:
        """The request, or the event made of it, is over the limit."""

    @abstractmethod
    def failed(self) -> Refusal:
        """The function answered an error."""

    def malformed(self) -> Refusal:
        """The function's answer is no HTTP response."""
        return self.failed()

    @abstractmethod
    def over_wall(self) -> Refusal:
        """The function has taken too long."""

    @abstractmethod
    def failed_to_carry(self, error: FirstlightError, visit: Visit) -> Refusal:
        """The function did not run."""

    @abstractmethod
    def internal(self) -> Refusal:
        """The server itself failed."""

    @abstractmethod
    def unknown(self) -> Refusal:
        """There is nothing at this path."""
