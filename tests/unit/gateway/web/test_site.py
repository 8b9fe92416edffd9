from __future__ import annotations

import re
from urllib.parse import urlencode

from firstlight.gateway.app import create_app
from firstlight.project import Project, RecordPolicy
from firstlight.runtime.errors import TooManyRequests
from gateways import Client, TableInvoker, failed

FORM = {"content-type": "application/x-www-form-urlencoded"}
LABELS = [{"label": "good", "score": 0.75}, {"label": "bad", "score": 0.25}]


async def test_the_first_page_is_the_first_endpoints(client: Client, invoker: TableInvoker) -> None:
    invoker.pools = {"qa": {"idle": 1}}
    response = await client("GET", "/")
    assert response.status == 200
    assert "<h1>sentiment</h1>" in response.text
    for name in ("sentiment", "qa", "embeddings", "hello"):
        assert f'href="/endpoints/{name}"' in response.text
    assert response.text.count('class="state awake"') == 1
    assert invoker.seen == []


async def test_a_page_loads_nothing_from_anywhere_else_and_all_it_loads_is_there(client: Client) -> None:
    page = (await client("GET", "/")).text
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert not [link for link in links if "//" in link]
    for link in {link for link in links if link.startswith("/")}:
        assert (await client("GET", link)).status == 200, link
    script = (await client("GET", "/assets/app.js")).text
    for name in re.findall(r'from "\./([a-z.]+)"', script):
        assert (await client("GET", f"/assets/{name}")).status == 200


async def test_assets_are_kept_by_browsers_and_asked_for_again(client: Client) -> None:
    page = (await client("GET", "/")).text
    link = re.search(r'href="(/assets/app\.css\?v=[0-9a-f]+)"', page)
    assert link is not None
    fresh = await client("GET", link[1])
    assert "immutable" in fresh.headers["cache-control"]
    plain = await client("GET", "/assets/app.css")
    assert plain.headers["cache-control"] == "no-cache"
    again = await client("GET", "/assets/app.css", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    for name in ("pages.py", "..%2Fpages.py", "nope.css"):
        assert (await client("GET", f"/assets/{name}")).status == 404


async def test_a_form_is_answered_with_a_page(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = LABELS
    body = urlencode({"inputs": "a <b> day", "parameters.top_k": "2", "task": "text-classification"})
    response = await client("POST", "/endpoints/sentiment", body, FORM)
    assert invoker.event == {"inputs": "a <b> day", "parameters": {"top_k": 2}}
    assert invoker.seen[0].wire == "page"
    assert "75.0%" in response.text
    assert "a &lt;b&gt; day</textarea>" in response.text
    assert response.text.startswith("<!doctype html>")


async def test_the_script_gets_the_answer_alone(client: Client, invoker: TableInvoker) -> None:
    invoker.table["sentiment"] = LABELS
    response = await client(
        "POST", "/endpoints/sentiment", urlencode({"inputs": "x"}), {**FORM, "x-fragment": "answer"}
    )
    assert "75.0%" in response.text
    assert "<html" not in response.text
    assert "curl -s http://127.0.0.1:8400/models/sentiment" in response.text


async def test_failures_are_shown(client: Client, invoker: TableInvoker) -> None:
    invoker.table["hello"] = failed(message="boom <x>", stackTrace=["  File a.py\n"])
    response = await client("POST", "/endpoints/hello", urlencode({"event": "{}"}), FORM)
    assert response.status == 200
    assert "boom &lt;x&gt;" in response.text
    assert "File a.py" in response.text
    invoker.table["hello"] = TooManyRequests("every worker is busy", "try again")
    response = await client("POST", "/endpoints/hello", urlencode({"event": "{}"}), FORM)
    assert "every worker is busy" in response.text


async def test_a_form_of_another_type_or_size_is_refused(client: Client) -> None:
    assert (
        await client("POST", "/endpoints/hello", b"{}", {"content-type": "application/json"})
    ).status == 415
    assert (await client("POST", "/endpoints/hello", b"x" * 7_000_000, FORM)).status == 413
    assert (await client("POST", "/endpoints/hello", b"a=1&" * 200, FORM)).status == 400


async def test_an_unknown_page_is_a_page(client: Client) -> None:
    for path in ("/endpoints/nope", "/nowhere"):
        response = await client("GET", path, headers={"accept": "text/html"})
        assert response.status == 404
        assert "<h1>" in response.text
    assert (await client("GET", "/nowhere")).json()["error"]


async def test_a_project_without_endpoints_says_what_to_do(tmp_path, invoker: TableInvoker) -> None:  # type: ignore[no-untyped-def]
    project = Project("empty", None, None, {}, RecordPolicy(), tmp_path)
    client = Client(create_app(project, invoker))
    assert "No endpoints yet" in (await client("GET", "/")).text
    assert (await client("POST", "/", {"inputs": "x"})).status == 404
    assert (await client("POST", "/go", {"text": "x"})).status == 404
    assert (await client("GET", "/go")).status == 200
