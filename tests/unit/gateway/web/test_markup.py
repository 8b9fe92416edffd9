from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from firstlight.gateway.web.markup import Markup, tag, text


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.words += data


plain = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


@given(plain, plain)
def test_no_text_becomes_markup(words: str, value: str) -> None:
    reader = Reader()
    reader.feed(tag("p", words, title=value))
    reader.close()
    assert reader.tags == [("p", [("title", value)])]
    assert reader.words == words


@given(st.text())
def test_every_page_can_be_sent(words: str) -> None:
    tag("p", words, title=words).encode()


def test_attributes() -> None:
    assert tag("a", "x", class_="b", aria_label="c", hidden=True, id=None, lang=False) == (
        '<a class="b" aria-label="c" hidden>x</a>'
    )


def test_children_nest_and_nothing_is_nothing() -> None:
    assert tag("p", [tag("b", 1), None, ["<"]], False) == "<p><b>1</b>&lt;</p>"
    assert tag("input", name="a") == '<input name="a"/>'
    assert text(0) == "0"


def test_adding_escapes_what_is_not_markup() -> None:
    assert Markup("<b>") + "<i>" == "<b>&lt;i&gt;"
    assert Markup("<b>") + Markup("<i>") == "<b><i>"
