"""A request as a job keeps it: what the answer depends on, and nothing that lets anybody in."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from firstlight.gateway.asgi import Call
from firstlight.jobs.types import Request, Webhook
from firstlight.runtime.errors import InvalidInput

WEBHOOK = b"x-firstlight-webhook"
WEBHOOK_EVENTS = b"x-firstlight-webhook-events"
EVENTS = ("start", "output", "logs", "completed")
"""What a webhook can be told of."""
URL_LIMIT = 2048

_OF_THE_CONNECTION = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"expect",
        b"forwarded",
        b"host",
        b"idempotency-key",
        b"keep-alive",
        b"origin",
        b"prefer",
        b"referer",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        WEBHOOK,
        WEBHOOK_EVENTS,
    }
)
_SECRET = re.compile(
    rb"auth|cookie|token|secret|signature|credential|password|session|api[-_]?key|^sec-|^x-amz-|^amz-"
)
"""Parts of the names of headers that hold secrets, and of those that a browser or an AWS signature adds."""


def request_of(call: Call) -> Request:
    """The request without what belongs to its connection and without secrets; its path is percent-encoded."""
    scope = call.scope
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in scope["headers"]
        if name not in _OF_THE_CONNECTION and not _SECRET.search(name)
    ]
    query: bytes = scope.get("query_string", b"")
    fields = [part for part in query.split(b"&") if unquote_to_bytes(part.partition(b"=")[0]) != b"token"]
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    return Request(scope["method"], path, b"&".join(fields).decode("latin-1"), tuple(headers))


def webhook_of(call: Call) -> Webhook | None:
    """The webhook that the headers name: an URL, and what it is told of (``start, completed``).

    Raises:
        InvalidInput: they name none.
    """
    url = call.header(WEBHOOK).strip()
    events = [part.strip().lower() for part in call.header(WEBHOOK_EVENTS).split(",") if part.strip()]
    return webhook(url, events or None) if url else None


def webhook(url: object, events: object = None) -> Webhook:
    """A webhook, checked.

    Raises:
        InvalidInput: the URL is not one of http or https, or an event is unknown.
    """
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^\s/]\S*", url) or len(url) > URL_LIMIT:
        raise InvalidInput("'webhook' is not an http or https URL", "for example https://example.com/done")
    if events is None:
        return Webhook(url)
    if not isinstance(events, list) or not events or not all(event in EVENTS for event in events):
        raise InvalidInput(
            "'webhook_events_filter' is not a list of known events", f"choose of {', '.join(EVENTS)}"
        )
    return Webhook(url, tuple(event for event in EVENTS if event in events))
