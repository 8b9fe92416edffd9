"""One request as a front sees it: what was asked, by whom, and under which ids."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from firstlight.gateway.asgi import Call
from firstlight.invoke.types import new_request_id, new_trace_id
from firstlight.versions.types import Target

_NOWHERE = Target("")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, as AWS names a user.

    Args:
        access_key: id of the key.
        name: of the user, which is the key's.
    """

    access_key: str
    name: str
    user_id: str
    arn: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    Args:
        name: the endpoint's.
        path: what comes after the front's own path, percent-encoded as the client sent it.
        resource: the path of the resource that matched, ``/{proxy+}`` or a route.
        parameters: values of the ``{names}`` in it.
        time: when it came, seconds since the epoch.
        caller: who signed it; None where nobody did.
        api_key: value and id of the API key it came with.
        lenient: whether the front forgives what AWS does not.
        target: the version that answers, and what it was asked for by.
        request_id: of the request and of the invocation.
        extended_id: API Gateway's other id, ``x-amz-apigw-id``.
        trace_id: value of ``X-Amzn-Trace-Id``, the client's or a new one.
    """

    call: Call
    name: str
    path: str
    body: bytes
    time: float
    resource: str = "/{proxy+}"
    parameters: Mapping[str, str] = field(default_factory=dict)
    caller: Caller | None = None
    api_key: tuple[str, str] | None = None
    lenient: bool = False
    target: Target = _NOWHERE
    request_id: str = field(default_factory=new_request_id)
    extended_id: str = field(default_factory=lambda: b64encode(secrets.token_bytes(11)).decode())
    trace_id: str = ""

    @property
    def method(self) -> str:
        """As it was sent."""
        method: str = self.call.scope["method"]
        return method

    @property
    def query(self) -> str:
        """The query string as it was sent."""
        raw: bytes = self.call.scope.get("query_string", b"")
        return raw.decode("latin-1")

    @property
    def source(self) -> str:
        """The client's address."""
        client = self.call.scope.get("client") or ("127.0.0.1", 0)
        return str(client[0])

    @property
    def protocol(self) -> str:
        """``HTTP/1.1``."""
        return f"HTTP/{self.call.scope.get('http_version', '1.1')}"

    @property
    def written_time(self) -> str:
        """When it came, as access logs write it."""
        return datetime.fromtimestamp(self.time, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")

    def headers(self, without: frozenset[str]) -> dict[str, list[str]]:
        """Its headers, names in lower case, and those that AWS adds on the way.

        Args:
            without: names that are left out; of a signed request ``authorization`` is too.
        """
        found: dict[str, list[str]] = {}
        for raw, value in self.call.scope["headers"]:
            name = raw.decode("latin-1").lower()
            if name not in without and not (name == "authorization" and self.caller is not None):
                found.setdefault(name, []).append(value.decode("latin-1"))
        server = self.call.scope.get("server") or ("127.0.0.1", None)
        found["x-amzn-trace-id"] = [self.trace_id]
        found["x-forwarded-for"] = [", ".join([*found.get("x-forwarded-for", []), self.source])]
        found["x-forwarded-port"] = [str(server[1] or 80)]
        found["x-forwarded-proto"] = [str(self.call.scope.get("scheme", "http"))]
        return found


def raw_path(call: Call) -> str:
    """The path as the client sent it, percent-encoded."""
    raw: bytes | None = call.scope.get("raw_path")
    return raw.decode("latin-1").partition("?")[0] if raw else quote(call.scope["path"])


def trace_of(call: Call, now: float) -> str:
    """The trace a request is part of; one that nobody samples where the client named none."""
    return call.header(b"x-amzn-trace-id")[:2048] or new_trace_id(now).partition(";")[0]
