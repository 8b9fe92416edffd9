"""What is kept of a request, and what a job may be called."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from firstlight.gateway.asgi import Call
from firstlight.gateway.jobs import ids, kept
from firstlight.gateway.jobs.inside import Collected, Inside
from firstlight.jobs.types import Request, Webhook
from firstlight.runtime.errors import InvalidInput, PayloadTooLarge


def call(path: str = "/models/x", query: bytes = b"", headers: Any = (), **more: Any) -> Call:
    async def receive() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "headers": list(headers)}
    return Call({**scope, **more}, receive)


@given(some.text(min_size=1, max_size=2000))
def test_any_key_has_an_id_or_is_too_long(key: str) -> None:
    if len(key) > ids.KEY_LIMIT:
        with pytest.raises(InvalidInput):
            ids.of_key(key)
    else:
        assert ids.known(ids.of_key(key))


@given(some.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}", fullmatch=True))
def test_a_key_that_can_be_an_id_is_it(key: str) -> None:
    assert ids.of_key(key) == ids.of_key(f'"{key}"') == ids.of_key(f" {key} ") == ids.checked(key)


def test_no_key_is_a_new_id() -> None:
    assert ids.of_key("") != ids.of_key('""')


@given(some.binary(max_size=50), some.binary(max_size=50))
def test_fingerprints(one: bytes, other: bytes) -> None:
    request = Request("POST", "/x", "", (("accept", "a"), ("user-agent", "b")))
    same = Request("POST", "/x", "", (("accept", "a"), ("user-agent", "c")))
    shaping = (b"accept",)
    assert ids.fingerprint(request, one, None, shaping) == ids.fingerprint(same, one, None, shaping)
    equal = ids.fingerprint(request, one, None, shaping) == ids.fingerprint(request, other, None, shaping)
    assert equal == (one == other)
    told = Webhook("https://x/")
    assert ids.fingerprint(request, one, told, shaping) != ids.fingerprint(request, one, None, shaping)


def test_a_path_is_kept_as_it_was_sent() -> None:
    sent = call("/rest-api/x/a/b", raw_path=b"/rest-api/x/a%2Fb", query=b"a=1&token=x&%74oken=y&b=%20")
    assert kept.request_of(sent) == Request("POST", "/rest-api/x/a%2Fb", "a=1&b=%20", ())
    assert kept.request_of(call("/models/ä b")).path == "/models/%C3%A4%20b"


async def test_a_kept_request_comes_again_as_it_was() -> None:
    seen: list[dict[str, Any]] = []

    class App:
        async def inside(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append({**scope, "body": (await receive())["body"]})
            await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await send({"type": "http.response.body", "body": b"y"})

    request = Request("PUT", "/a%2Fb/%C3%A4", "q=1", (("accept", "*/*"),))
    found = await Inside(App()).ask(request, b"body", {"mark": 1})
    assert (found.status, found.body, found.complete, found.header(b"a")) == (201, b"xy", True, "b")
    (scope,) = seen
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("PUT", "/a/b/ä", b"/a%2Fb/%C3%A4")
    assert (scope["query_string"], scope["body"], scope["mark"]) == (b"q=1", b"body", 1)
    assert dict(scope["headers"])[b"content-length"] == b"4"


async def test_a_response_has_a_limit() -> None:
    collected = Collected(3)
    await collected.take({"type": "http.response.start", "status": 200, "headers": []})
    await collected.take({"type": "http.response.body", "body": b"abc", "more_body": True})
    assert not collected.complete
    with pytest.raises(PayloadTooLarge):
        await collected.take({"type": "http.response.body", "body": b"d"})


@pytest.mark.parametrize(
    "url", [3, "", "example.com", "ftp://x/", "http:///x", "http://a b/", "https://" + "x" * 2048]
)
def test_urls_that_are_none(url: object) -> None:
    with pytest.raises(InvalidInput, match="webhook"):
        kept.webhook(url)


@pytest.mark.parametrize("events", [[], "start", [3], ["start", "end"]])
def test_events_that_are_none(events: object) -> None:
    with pytest.raises(InvalidInput, match="filter"):
        kept.webhook("https://x/", events)
