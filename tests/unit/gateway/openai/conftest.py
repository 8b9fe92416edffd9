from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.gateway.app import create_app
from firstlight.project import Project
from gateways import Client, Response, TableInvoker, with_stories


@pytest.fixture
def client(project: Project, invoker: TableInvoker) -> Client:
    return Client(with_stories(create_app(project, invoker)))


class Asker:
    """Sends requests to the OpenAI routes, and says what the endpoint was asked."""

    def __init__(self, client: Client, invoker: TableInvoker) -> None:
        self.client = client
        self.invoker = invoker

    async def chat(self, **fields: Any) -> Response:
        body = {"model": "stories", "messages": [{"role": "user", "content": "hi"}], **fields}
        return await self.client("POST", "/v1/chat/completions", body)

    async def complete(self, **fields: Any) -> Response:
        return await self.client("POST", "/v1/completions", {"model": "stories", "prompt": "hi", **fields})

    async def embed(self, **fields: Any) -> Response:
        return await self.client("POST", "/v1/embeddings", {"model": "embeddings", "input": "hi", **fields})

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the last invocation."""
        return self.invoker.event["parameters"]


@pytest.fixture
def ask(client: Client, invoker: TableInvoker) -> Asker:
    return Asker(client, invoker)


def chunks(response: Response) -> list[Any]:
    """The events of a streamed response; ``[DONE]`` as text."""
    lines = response.text.split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    texts = [line.removeprefix("data: ") for line in lines]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]
