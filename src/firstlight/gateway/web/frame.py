"""What every page has around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from firstlight.gateway.asgi import Answer
from firstlight.gateway.web.markup import Markup, tag


@dataclass(frozen=True, slots=True)
class Look:
    """The addresses of the files that every page loads, by file name."""

    assets: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """The address of one file."""
        return self.assets.get(name, f"/assets/{name}")


def html(markup: Markup, status: int = 200) -> Answer:
    """Markup as an answer."""
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    return Answer(status, markup.encode(), headers)


def page(look: Look, title: str, *body: object, wide: bool = True) -> Markup:
    """A whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href=look.of("icon.svg"), type="image/svg+xml"),
        tag("link", rel="stylesheet", href=look.of("app.css")),
        tag("script", src=look.of("app.js"), type="module"),
    )
    header = tag(
        "header",
        tag("a", tag("span", class_="sun", aria_hidden="true"), "firstlight", href="/", class_="mark"),
        tag("nav", tag("a", "API", href="/docs"), tag("a", "Health", href="/health"), aria_label="Server"),
        class_="top",
    )
    content = tag(
        "body",
        tag("a", "Skip to the content", href="#main", class_="skip"),
        header,
        tag("div", body, class_="wide" if wide else "narrow"),
    )
    return Markup("<!doctype html>") + tag("html", head, content, lang="en")
