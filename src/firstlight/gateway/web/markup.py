"""HTML written as calls, every text escaped unless it is markup already."""

from __future__ import annotations

from html import escape
from typing import Any

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "rect", "path", "circle"})


class Markup(str):
    """Text that is HTML already; what is added to it is escaped unless it is markup too."""

    __slots__ = ()

    def __add__(self, other: object) -> Markup:
        return Markup(str.__add__(self, text(other)))


def text(value: object) -> Markup:
    """Any value as escaped text; markup and nested lists of it pass through, None and False are nothing."""
    if isinstance(value, Markup):
        return value
    if value is None or value is False:
        return Markup("")
    if isinstance(value, (list, tuple)):
        return Markup("".join(text(item) for item in value))
    # A lone surrogate has no UTF-8; a page has to be sendable whatever a model answered.
    return Markup(escape(str(value).encode("utf-8", "replace").decode("utf-8")))


def tag(name: str, /, *children: object, **attributes: Any) -> Markup:
    """One element.

    Args:
        name: of the element.
        children: texts, markup, lists of both.
        attributes: ``class_`` and ``for_`` lose their underscore, others become hyphens; True is a bare attribute,
            None and False leave it out.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        # The slash is what ends an SVG element; HTML reads over it.
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{text(children)}</{name}>")
