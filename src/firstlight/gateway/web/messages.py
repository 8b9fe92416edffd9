"""Pages that say one thing: an error, a project without endpoints, the router form."""

from __future__ import annotations

from firstlight.gateway.asgi import Answer
from firstlight.gateway.core import Gateway
from firstlight.gateway.web.frame import Look, html, page
from firstlight.gateway.web.markup import Markup, tag
from firstlight.runtime.errors import FirstlightError


def error_page(error: FirstlightError) -> Answer:
    """An error for a browser; where a token is asked for, the field for it."""
    body: list[object] = [
        tag("p", str(error.status), class_="status"),
        tag("h1", error.message),
        error.hint and tag("p", error.hint, class_="lead"),
    ]
    if error.status == 401:
        body.append(
            tag(
                "form",
                tag("label", "Token", for_="token"),
                tag("input", type="password", name="token", id="token", autocomplete="off", required=True),
                tag("button", "Open", type="submit", class_="ask"),
                method="get",
                action="/",
                class_="login",
            )
        )
    else:
        body.append(tag("p", tag("a", "Back to the endpoints", href="/")))
    main = tag("main", body, id="main", class_="message")
    return html(page(Look(), "firstlight", main, wide=False), error.status)


def empty_page(look: Look) -> Markup:
    """For a project without endpoints."""
    main = tag(
        "main",
        tag("h1", "No endpoints yet"),
        tag("p", "Add one and this page shows it:", class_="lead"),
        tag("pre", tag("code", "firstlight add starter:sentiment")),
        tag("p", "or put a Python file with a handler into inference/."),
        id="main",
        class_="message",
    )
    return page(look, "firstlight", main, wide=False)


def go_page(gateway: Gateway) -> bytes:
    """The router's form: a text box and, where there are several endpoints, which one to ask."""
    options = [tag("option", entry.name, value=entry.name) for entry in gateway.catalogue]
    main = tag(
        "main",
        tag("h1", "Ask an endpoint"),
        tag(
            "form",
            tag(
                "div",
                tag("label", "Endpoint", for_="arn"),
                tag("select", options, name="functionARN", id="arn"),
                class_="field",
            ),
            tag(
                "div",
                tag("label", "Text", for_="text"),
                tag("textarea", "\n", name="text", id="text", rows="5", required=True),
                class_="field",
            ),
            tag("div", tag("button", "Ask", type="submit", class_="ask"), class_="actions"),
            method="post",
            action="/go",
            data_router=True,
        ),
        tag("section", id="answer", aria_live="polite", aria_label="Answer"),
        id="main",
        class_="message",
    )
    return page(Look(), "firstlight", main, wide=False).encode()
