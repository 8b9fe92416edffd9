from __future__ import annotations

from typing import Any

import pytest
from starlette.routing import Route

from firstlight.gateway import routing
from firstlight.gateway.routing import ALLOWED, Routes
from gateways import Client


class Told:
    """An application that says who was asked, and with what."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send((self.name, scope.get("path_params"), scope.get(ALLOWED)))


@pytest.fixture
def routes() -> Routes:
    fixed = [
        Route("/a/{name}", Told("post"), methods=["POST"]),
        Route("/a/{name}", Told("get"), methods=["GET"]),
        Route("/b/{rest:path}", Told("all")),
    ]
    return Routes(fixed, Told("rest"))


async def asked(routes: Routes, method: str, path: str) -> Any:
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    await routes({"type": "http", "method": method, "path": path}, None, send)  # type: ignore[arg-type]
    return said[0]


@pytest.mark.parametrize(("method", "path", "found"), [
    ("POST", "/a/x", ("post", {"name": "x"}, None)),
    ("HEAD", "/a/y", ("get", {"name": "y"}, None)),
    ("PUT", "/b/c/d", ("all", {"rest": "c/d"}, None)),
    ("PUT", "/a/x", ("rest", None, ("GET", "HEAD", "POST"))),
    ("GET", "/c", ("rest", None, ())),
])  # fmt: skip
async def test_what_answers(routes: Routes, method: str, path: str, found: Any) -> None:
    for _ in range(2):  # the second time from memory
        assert await asked(routes, method, path) == found


async def test_what_one_request_does_to_its_parameters_is_its_own(routes: Routes) -> None:
    (await asked(routes, "POST", "/a/x"))[1]["name"] = "changed"
    assert (await asked(routes, "POST", "/a/x"))[1] == {"name": "x"}


async def test_not_every_path_is_remembered(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "_KEPT", 10)
    for number in range(25):
        await asked(routes, "POST", f"/a/{number}")
        await asked(routes, "POST", f"/a/{'x' * 300}{number}")
        await asked(routes, "POST", f"/nowhere/{number}")
    assert len(routes._known) == 5


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("DELETE", "/models/sentiment", "POST"), ("POST", "/livez", "GET, HEAD"), ("DELETE", "/", "GET, HEAD, POST"),
])  # fmt: skip
async def test_a_path_that_has_other_methods_says_which(
    client: Client, method: str, path: str, allowed: str
) -> None:
    response = await client(method, path)
    assert (response.status, response.headers["allow"]) == (405, allowed)
    assert (await client(method, "/nowhere")).status == 404
