"""The front of an API Gateway HTTP API with one default route.

Error bodies as HTTP APIs were seen to answer; they say less than those of REST APIs.
"""

from __future__ import annotations

from typing import Any

from firstlight.gateway.asgi import Answer, HeaderList
from firstlight.gateway.catalogue import Entry
from firstlight.gateway.fronts import answers, events_v2, headers
from firstlight.gateway.fronts.answers import Parsed
from firstlight.gateway.fronts.doors import NoKey
from firstlight.gateway.fronts.front import Door, Front
from firstlight.gateway.fronts.refusals import Refusal, message
from firstlight.gateway.fronts.visit import Visit
from firstlight.invoke.types import ACCOUNT, Reply
from firstlight.runtime.errors import FirstlightError

_TEXT = b"text/plain; charset=utf-8"


class Http(Front):
    """HTTP API: version 2 events, 30 seconds."""

    kind = "http-api"
    can_stream = False

    def wall(self, streaming: bool) -> float:  # noqa: ARG002 - it does not stream
        """30 seconds."""
        return self.walls.http

    def auth_of(self, entry: Entry) -> str:
        """It has no API keys: an endpoint that asks for one is not reached by it."""
        if entry.endpoint.front.auth == "key":
            raise NoKey
        return entry.endpoint.front.auth

    def event(self, visit: Visit) -> dict[str, Any]:
        """Version 2."""
        route = f"ANY {visit.resource}" if visit.resource != "/{proxy+}" else "$default"
        return events_v2.of_http_api(visit, ACCOUNT, route)

    def response(self, visit: Visit, reply: Reply, streams_on: bool) -> Answer:  # noqa: ARG002
        """Version 2."""
        return self.passed_on(visit, answers.version_2(reply.payload))

    def passed_on(self, visit: Visit, parsed: Parsed) -> Answer:  # noqa: ARG002
        """Text where nothing else is said."""
        answer = answers.sent(parsed, headers.own(parsed.headers or []), _TEXT)
        if parsed.encoded and answer.body:
            answer.body = parsed.decoded()
        return answer

    def marks(self, visit: Visit) -> HeaderList:
        """The request's id."""
        return [(b"apigw-requestid", visit.request_id.encode())]

    def shut(self, why: Door) -> Refusal:  # noqa: ARG002 - it does not say why
        """403."""
        return message(403, "Forbidden")

    def too_long(self, event: bool) -> Refusal:  # noqa: ARG002
        """413."""
        return message(413, "Request Entity Too Large")

    def failed(self) -> Refusal:
        """500, whatever the function did wrong."""
        return message(500, "Internal Server Error")

    def over_wall(self) -> Refusal:
        """503."""
        return message(503, "Service Unavailable")

    def failed_to_carry(self, error: FirstlightError, visit: Visit) -> Refusal:  # noqa: ARG002
        """503 where Lambda has no room."""
        if error.status == 429:
            return message(503, "Service Unavailable")
        if error.status == 413:
            return self.too_long(event=True)
        if error.status == 400:
            return message(400, "Bad Request")
        return self.internal()

    def internal(self) -> Refusal:
        """500."""
        return message(500, "Internal Server Error")

    def unknown(self) -> Refusal:
        """A path that no route has."""
        return message(404, "Not Found")
