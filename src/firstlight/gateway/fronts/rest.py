"""The front of an API Gateway REST API with one proxy resource.

Error bodies: API Gateway developer guide, "Gateway response types", and what REST APIs were recorded to answer.
"""

from __future__ import annotations

from typing import Any

from firstlight.gateway.asgi import Answer, HeaderList
from firstlight.gateway.fronts import answers, events_v1, headers, media
from firstlight.gateway.fronts.answers import Parsed
from firstlight.gateway.fronts.doors import TooFast, UsedUp
from firstlight.gateway.fronts.front import Door, Front
from firstlight.gateway.fronts.refusals import Refusal, message
from firstlight.gateway.fronts.signing import Unsigned
from firstlight.gateway.fronts.visit import Visit
from firstlight.gateway.streams import Malformed
from firstlight.invoke.types import Reply
from firstlight.runtime.errors import FirstlightError

_JSON = b"application/json"
_SERVER_ERROR = "InternalServerErrorException"


class Rest(Front):
    """REST API: version 1 events, 29 seconds, API keys."""

    kind = "rest-api"
    wants_prelude = True

    def wall(self, streaming: bool) -> float:
        """29 seconds, or as long as a function may run in STREAM mode."""
        return self.walls.stream if streaming else self.walls.rest

    def event(self, visit: Visit) -> dict[str, Any]:
        """Version 1."""
        made = events_v1.event(visit)
        if not visit.lenient and not made["isBase64Encoded"] and "\ufffd" in (made["body"] or ""):
            self.warn_once(
                visit,
                "a body was not UTF-8 and its Content-Type is no binary media type, so the function got text with "
                "losses, as from API Gateway: send it as application/octet-stream",
            )
        return made

    def response(self, visit: Visit, reply: Reply, streams_on: bool) -> Answer:
        """Version 1; in STREAM mode an answer has to begin with a prelude."""
        if streams_on and not visit.lenient:
            raise Malformed("a REST API in STREAM mode wants a prelude, which this answer does not have")
        parsed = answers.version_1(reply.payload, visit.lenient)
        if parsed.serialised:
            self.warn_once(
                visit,
                "it returns a body that is not a string; it was served as JSON, but the real API Gateway answers 502 "
                "to it: return json.dumps(body)",
            )
        return self.passed_on(visit, parsed)

    def head(self, visit: Visit, reply: Reply, head: Parsed | None) -> Answer:
        """After the prelude; a route of the project takes plain bytes too."""
        if head is not None:
            return self.passed_on(visit, head)
        return Answer(200, b"", [(b"content-type", reply.content_type.encode("latin-1", "replace"))])

    def passed_on(self, visit: Visit, parsed: Parsed) -> Answer:
        """With headers remapped; base64 becomes bytes for a client whose Accept begins with a binary type."""
        answer = answers.sent(parsed, headers.remapped(parsed.headers or []), _JSON)
        if parsed.encoded and answer.body:
            if visit.lenient or media.wants_binary(visit.call.header(b"accept")):
                answer.body = parsed.decoded()
            else:
                self.warn_once(
                    visit,
                    "a base64 body was answered as the text it is, as by API Gateway: the Accept header does not "
                    "begin with one of the binary media types",
                )
        return answer

    def marks(self, visit: Visit) -> HeaderList:
        """Both ids and the trace."""
        return [
            (b"x-amzn-requestid", visit.request_id.encode()),
            (b"x-amz-apigw-id", visit.extended_id.encode()),
            (b"x-amzn-trace-id", visit.trace_id.encode("latin-1")),
        ]

    def shut(self, why: Door) -> Refusal:
        """403 or 429, in the words of the gateway responses."""
        if isinstance(why, Unsigned):
            return message(403, why.text + why.detail, why.kind)
        if isinstance(why, TooFast):
            return message(429, "Too Many Requests", "TooManyRequestsException")
        if isinstance(why, UsedUp):
            return message(429, "Limit Exceeded", "LimitExceededException")
        return message(403, "Forbidden", "ForbiddenException")

    def too_long(self, event: bool) -> Refusal:
        """Plain text over 10 MB; Lambda's own limit has a message."""
        if event:
            return message(413, "Request Too Long", "RequestTooLargeException")
        text = f"HTTP content length exceeded {self.body_limit} bytes."
        return Refusal(413, text.encode(), headers=[(b"content-type", b"text/plain")])

    def failed(self) -> Refusal:
        """502, whatever the function did wrong."""
        return message(502, "Internal server error", _SERVER_ERROR)

    def over_wall(self) -> Refusal:
        """504."""
        return message(504, "Endpoint request timed out", _SERVER_ERROR)

    def failed_to_carry(self, error: FirstlightError, visit: Visit) -> Refusal:
        """500: what Lambda refuses is an error of the API's own. A route says that there were too many."""
        if error.status == 429 and visit.lenient:
            refusal = message(429, "Too Many Requests", "TooManyRequestsException")
            refusal.headers = [(b"retry-after", b"%d" % getattr(error, "retry_after", 1))]
            return refusal
        if error.status == 413:
            return self.too_long(event=True)
        if error.status == 400:
            return message(400, "Bad Request", "BadRequestException")
        if error.status == 502:
            return self.failed()
        return self.internal()

    def internal(self) -> Refusal:
        """500."""
        return message(500, "Internal server error", _SERVER_ERROR)

    def unknown(self) -> Refusal:
        """A path that no resource has."""
        return message(403, "Missing Authentication Token", "MissingAuthenticationTokenException")
