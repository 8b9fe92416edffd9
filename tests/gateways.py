"""A gateway over an invoker that answers from a table, and a client that speaks ASGI to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from firstlight.gateway.catalogue import Entry
from firstlight.invoke.types import Invocation, Reply, Report
from firstlight.project import Endpoint, Project, RecordPolicy
from firstlight.runtime.errors import EndpointNotFound

Answering = Callable[[Invocation], Reply]


class TableInvoker:
    """Answers each endpoint with what the table has for it: JSON, bytes, a reply, an error, or a function."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.seen: list[Invocation] = []
        self.closed = False
        self.pools: dict[str, dict[str, Any]] = {}

    async def invoke(self, invocation: Invocation) -> Reply:
        self.seen.append(invocation)
        if invocation.endpoint not in self.table:
            raise EndpointNotFound(f"there is no endpoint {invocation.endpoint!r}")
        found = self.table[invocation.endpoint]
        if callable(found):
            found = found(invocation)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Reply):
            return found
        payload = found if isinstance(found, bytes) else json.dumps(found).encode()
        return Reply(invocation.request_id, payload, report=report())

    def status(self) -> dict[str, dict[str, Any]]:
        return self.pools

    async def close(self) -> None:
        self.closed = True

    @property
    def event(self) -> Any:
        """The event of the last invocation."""
        return json.loads(self.seen[-1].payload)


def report(**changes: Any) -> Report:
    return Report(
        **{
            "duration_ms": 4.2,
            "billed_ms": 5,
            "memory_mb": 1769,
            "max_memory_mb": 90,
            "queue_ms": 0.5,
            "timings": {"preprocess": 0.25, "engine": 3.5, "postprocess": 0.125},
            **changes,
        }
    )


def failed(kind: str = "ValueError", message: str = "boom", **more: Any) -> Answering:
    """A function error."""
    outcome = "timeout" if kind == "Sandbox.Timedout" else "error"

    def answer(invocation: Invocation) -> Reply:
        body = {"errorMessage": message, "errorType": kind, "requestId": invocation.request_id, **more}
        return Reply(
            invocation.request_id,
            json.dumps(body).encode(),
            function_error="Unhandled",
            outcome=outcome,
            report=report(),
        )

    return answer


def streamed(*pieces: bytes, content_type: str = "application/json", **at_the_end: Any) -> Answering:
    """A streamed reply; what is only known when the stream has ended is set then."""

    def answer(invocation: Invocation) -> Reply:
        reply = Reply(invocation.request_id, content_type=content_type, report=report())

        async def stream() -> AsyncGenerator[bytes]:
            for piece in pieces:
                yield piece
            for name, value in at_the_end.items():
                setattr(reply, name, value)

        reply.stream = stream()
        return reply

    return answer


def token(text: str, **more: Any) -> dict[str, Any]:
    """An event of a generating task."""
    event = {"index": 1, "generated_text": None, "details": None}
    return {**event, "token": {"id": 7, "text": text, "logprob": None, "special": False, **more}}


def generated(*texts: str, prompt_tokens: int = 3, **details: Any) -> list[dict[str, Any]]:
    """The events of an answer of these pieces; the last one has the details."""
    events = [token(text) for text in texts]
    known = {"finish_reason": "eos_token", "generated_tokens": len(texts), "seed": None}
    end = {"generated_text": "".join(texts), "details": {**known, "prompt_tokens": prompt_tokens, **details}}
    return [*events, {**token("", special=True), **end}]


def speaking(events: list[dict[str, Any]], **at_the_end: Any) -> Answering:
    """A reply that streams events as a worker does."""
    lines = [f"data:{json.dumps(event)}\n\n".encode() for event in events]
    return streamed(*lines, content_type="text/event-stream", **at_the_end)


@dataclass
class Response:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Requests as uvicorn hands them over."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self,
        method: str,
        path: str,
        body: bytes | str | Any = b"",
        headers: dict[str, str] | None = None,
        *,
        raw_headers: Iterable[tuple[bytes, bytes]] = (),
        server: tuple[str, int] = ("127.0.0.1", 8400),
        chunks: list[bytes] | None = None,
        gone: bool = False,
        leaves: asyncio.Event | None = None,
        got: Callable[[bytes], None] = lambda piece: None,
    ) -> Response:
        """Send a request.

        Args:
            gone: the client goes away in the middle of its body.
            leaves: set when the client goes away later.
            got: is called with each piece of the body.
        """
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        path, _, query = path.partition("?")
        sent = {"host": "127.0.0.1:8400", **(headers or {})}
        if body and chunks is None and "content-length" not in sent:
            sent["content-length"] = str(len(body))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode("latin-1", "replace"),
            "headers": [*((k.lower().encode(), v.encode("latin-1")) for k, v in sent.items()), *raw_headers],
            "client": ("127.0.0.1", 50000),
            "server": server,
        }
        pieces = list(chunks if chunks is not None else [body])
        messages = [
            {"type": "http.request", "body": piece, "more_body": gone or index + 1 < len(pieces)}
            for index, piece in enumerate(pieces)
        ]
        self.received = 0
        response = Response()
        here = asyncio.Event() if leaves is None else leaves

        async def receive() -> dict[str, Any]:
            self.received += 1
            if messages:
                return messages.pop(0)
            if not gone:
                await here.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                response.status = message["status"]
                response.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
            else:
                response.pieces.append(message["body"])
                got(message["body"])

        await self.app(scope, receive, send)
        return response


def make_project(tmp_path: Path) -> Project:
    endpoints = [
        Endpoint("sentiment", model="starter:sentiment", task="text-classification"),
        Endpoint("qa", model="hf:acme/qa-model@main", task="question-answering", route="/qa"),
        Endpoint("embeddings", model="starter:embeddings", task="feature-extraction"),
        Endpoint("zero", model="starter:zero", task="zero-shot-classification"),
        Endpoint("ner", model="starter:ner", task="ner"),
        Endpoint("hello", script=tmp_path / "hello.py", route="/hello/{name}"),
    ]
    return Project(
        name="demo",
        root=tmp_path,
        stage=None,
        endpoints={endpoint.name: endpoint for endpoint in endpoints},
        records=RecordPolicy(),
        data_dir=tmp_path,
    )


def with_stories(app: Any, **fields: Any) -> Any:
    """The app with one more endpoint: ``stories``, which generates text."""
    catalogue = app.state.gateway.catalogue
    endpoint = Endpoint("stories", model="hf:acme/stories@main", task="text-generation")
    known = {"task": "text-generation", "tasks": ("text-generation",), "source": "acme/stories", **fields}
    catalogue.entries["stories"] = catalogue._by_source["acme/stories"] = Entry("stories", endpoint, **known)
    return app
