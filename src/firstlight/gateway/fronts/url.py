"""The front of a Lambda Function URL.

Error bodies as recorded from Function URLs: an error of the function is 502 ``Internal Server Error`` without JSON.
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
from firstlight.gateway.fronts.signing import Unsigned
from firstlight.gateway.fronts.visit import Visit
from firstlight.invoke.types import ACCOUNT, REQUEST_LIMIT, Reply
from firstlight.runtime.errors import FirstlightError

_JSON = b"application/json"
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class Url(Front):
    """Function URL: version 2 events, as long as the function may run, BUFFERED or RESPONSE_STREAM."""

    kind = "function-url"
    signed_for = "lambda"
    body_limit = REQUEST_LIMIT

    def auth_of(self, entry: Entry) -> str:
        """It has no API keys: an endpoint that asks for one is not reached by it."""
        if entry.endpoint.front.auth == "key":
            raise NoKey
        return entry.endpoint.front.auth

    def event(self, visit: Visit) -> dict[str, Any]:
        """Version 2."""
        return events_v2.of_url(visit, ACCOUNT if visit.caller is not None else "anonymous")

    def response(self, visit: Visit, reply: Reply, streams_on: bool) -> Answer:
        """Version 2; in RESPONSE_STREAM mode what does not stream is sent as it is."""
        if streams_on:
            return self._raw(reply, reply.payload)
        return self.passed_on(visit, answers.version_2(reply.payload))

    def head(self, visit: Visit, reply: Reply, head: Parsed | None) -> Answer:
        """After the prelude; without one the bytes are the body."""
        return self._raw(reply, b"") if head is None else self.passed_on(visit, head)

    def _raw(self, reply: Reply, body: bytes) -> Answer:
        return Answer(200, body, [(b"content-type", reply.content_type.encode("latin-1", "replace"))])

    def passed_on(self, visit: Visit, parsed: Parsed) -> Answer:  # noqa: ARG002
        """JSON where nothing else is said."""
        answer = answers.sent(parsed, headers.remapped(parsed.headers or []), _JSON)
        if parsed.encoded and answer.body:
            answer.body = parsed.decoded()
        return answer

    def marks(self, visit: Visit) -> HeaderList:
        """The request's id and the trace."""
        return [
            (b"x-amzn-requestid", visit.request_id.encode()),
            (b"x-amzn-trace-id", visit.trace_id.encode("latin-1")),
        ]

    def shut(self, why: Door) -> Refusal:
        """403: who has not signed at all is told where to read on."""
        if isinstance(why, Unsigned) and why.kind != "MissingAuthenticationTokenException":
            return message(403, why.text, why.kind)
        return message(403, _FORBIDDEN, "AccessDeniedException", key="Message")

    def too_long(self, event: bool) -> Refusal:  # noqa: ARG002
        """413, as the Invoke API has it."""
        text = f"Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation"
        return message(413, text, "RequestEntityTooLargeException", key="Message")

    def failed(self) -> Refusal:
        """502, whatever the function did wrong; a timeout too."""
        return Refusal(502, b"Internal Server Error")

    def over_wall(self) -> Refusal:
        """The same: a function has at most 15 minutes."""
        return self.failed()

    def failed_to_carry(self, error: FirstlightError, visit: Visit) -> Refusal:  # noqa: ARG002
        """429 where there is no room."""
        if error.status == 429:
            reason = getattr(error, "reason", "ConcurrentInvocationLimitExceeded")
            body = f'{{"Reason":"{reason}","Type":"User","message":"Rate Exceeded."}}'
            retry = (b"retry-after", b"%d" % getattr(error, "retry_after", 1))
            return Refusal(429, body.encode(), "TooManyRequestsException", [retry])
        if error.status == 413:
            return self.too_long(event=True)
        if error.status == 400:
            return message(400, "Bad Request", "BadRequestException", key="Message")
        if error.status == 502:
            return self.failed()
        return self.internal()

    def internal(self) -> Refusal:
        """500."""
        return Refusal(500, b"Internal Server Error")

    def unknown(self) -> Refusal:
        """A URL that does not exist (recorded)."""
        return Refusal(403, b'{"Message":null}', "AccessDeniedException")
