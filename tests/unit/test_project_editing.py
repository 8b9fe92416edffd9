from __future__ import annotations

import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight import project
from firstlight.project.editing import begun, with_endpoint
from firstlight.runtime.errors import ProjectError

NAMES = ("qa", "mood", "translate-en2fr", "x_1", "9")
WORDS = st.text("abcdefghijk äé日🙂'\"\\#[]={}\t", max_size=12)
MODELS = st.one_of(st.just("starter:qa"), WORDS.map(lambda word: f"./m{word}"))
SETTINGS = st.fixed_dictionaries(
    {"model": MODELS},
    optional={
        "task": st.just("text-classification"),
        "memory": st.integers(128, 10240),
        "timeout": st.floats(0.5, 900, allow_nan=False),
        "allow_pickle": st.booleans(),
        "route": st.sampled_from(["/a", "/b/c"]),
    },
)
Endpoints = dict[str, dict[str, object]]
COMMENTS = WORDS.map(lambda word: "# " + word.replace("\t", " "))


def literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
        return f'"{escaped}"'
    return repr(value)


def pairs(settings: dict[str, object]) -> list[str]:
    return [f"{key} = {literal(value)}" for key, value in settings.items() if key != "route"]


def inline(settings: dict[str, object]) -> str:
    return f"{{ {', '.join(pairs(settings))} }}"


class Hand:
    """Writes parts of a file in one of the ways people do."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def comment(self) -> list[str]:
        return [self.draw(COMMENTS)] if self.draw(st.booleans()) else []

    def blank(self) -> list[str]:
        return [""] * self.draw(st.integers(0, 2))

    def tail(self) -> str:
        return f"  {self.draw(COMMENTS)}" if self.draw(st.booleans()) else ""

    def maybe(self, *lines: str) -> list[str]:
        return [*lines, *self.comment(), *self.blank()] if self.draw(st.booleans()) else []

    def none(self, endpoints: Endpoints) -> list[str]:
        return []

    def whole(self, endpoints: Endpoints) -> list[str]:
        inner = ", ".join(f"{name} = {inline(its)}" for name, its in endpoints.items())
        return [f"endpoints = {{ {inner} }}{self.tail()}"]

    def dotted(self, endpoints: Endpoints) -> list[str]:
        return [
            f"endpoints.{name}.{pair}{self.tail()}" for name, its in endpoints.items() for pair in pairs(its)
        ]

    def below(self, endpoints: Endpoints) -> list[str]:
        lines = ["[endpoints]"]
        for name, its in endpoints.items():
            if self.draw(st.booleans()):
                lines += [f"{name} = {inline(its)}{self.tail()}", *self.comment()]
            else:
                lines += [f"{name}.{pair}{self.tail()}" for pair in pairs(its)]
        return lines

    def headers(self, endpoints: Endpoints) -> list[str]:
        lines = []
        for name, its in endpoints.items():
            lines += [*self.comment(), f"[endpoints.{name}]{self.tail()}"]
            for pair in pairs(its):
                lines += [f"{pair}{self.tail()}", *self.comment()]
            lines += self.maybe(f"[endpoints.{name}.env]", 'LINES = """', "[endpoints.no]", '# no comment"""')
        return lines


@st.composite
def files(draw: st.DrawFn) -> str:
    """A project file as somebody may have written it."""
    hand = Hand(draw)
    endpoints = draw(st.dictionaries(st.sampled_from(NAMES), SETTINGS, max_size=3))
    write = draw(st.sampled_from([hand.none, hand.whole, hand.dotted, hand.below, hand.headers]))
    records = hand.maybe("[records]", f'store = "hash"{hand.tail()}')
    stage = hand.maybe("[stage.prod.endpoints.qa]", f'model = "starter:qa"{hand.tail()}')
    top = [*hand.comment(), *hand.maybe('name = "project"')]
    first = write in (hand.whole, hand.dotted)
    tables = [write(endpoints), hand.comment() + records, hand.comment() + stage]
    order = tables if first else draw(st.permutations(tables))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join([*top, *(line for table in order for line in table)]) + draw(st.sampled_from(["", end]))


def comments(text: str) -> list[str]:
    """What follows a number sign at the beginning of a line."""
    return [line.strip() for line in text.splitlines() if line.lstrip().startswith("#")]


def loaded(text: str) -> project.Project:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / project.FILE).write_text(text, encoding="utf-8", newline="")
        return project.load(Path(folder), env={})


@given(
    text=files(),
    name=st.sampled_from(NAMES),
    settings=SETTINGS,
    dropped=st.sampled_from([(), ("task", "memory")]),
)
def test_what_is_read_back_is_what_was_asked_and_nothing_else_has_changed(text, name, settings, dropped):
    before = loaded(text)
    changed = with_endpoint(text, name, settings, dropped)
    after = loaded(changed)
    kept = tomllib.loads(text).get("endpoints", {}).get(name, {})
    expected = {key: value for key, value in kept.items() if key not in dropped} | settings
    assert tomllib.loads(changed)["endpoints"][name] == expected
    assert all(getattr(after.endpoints[name], key) == value for key, value in settings.items())
    others = {key: one for key, one in before.endpoints.items() if key != name}
    assert {key: one for key, one in after.endpoints.items() if key != name} == others
    assert (after.records, tomllib.loads(changed).get("stage")) == (
        before.records,
        tomllib.loads(text).get("stage"),
    )


@given(text=files(), name=st.sampled_from(NAMES), settings=SETTINGS)
def test_comments_and_line_ends_stay(text, name, settings):
    changed = with_endpoint(text, name, settings)
    assert comments(changed) == comments(text)
    if "\n" in text:
        assert ("\r\n" in changed, "\n" in changed.replace("\r\n", "")) == (
            "\r\n" in text,
            "\r\n" not in text,
        )
    if name not in tomllib.loads(text).get("endpoints", {}):
        kept = [line for line in text.splitlines() if line.strip() and not line.startswith("endpoints = {")]
        assert not [line for line in kept if line not in changed.splitlines()]


@given(text=files(), name=st.sampled_from(NAMES), settings=SETTINGS)
def test_the_same_again_changes_no_byte(text, name, settings):
    once = with_endpoint(text, name, settings)
    assert with_endpoint(once, name, settings) == once


HAND_WRITTEN = """\
# My project.
name = "lyrics"   # not the folder's

[endpoints.mood]
model = "starter:lyrics"
# timeout = 60

# What is kept of what was said.
[records]
store = "hash"
"""


def test_a_new_endpoint_comes_behind_the_last_one_and_before_the_next_ones_comment():
    changed = with_endpoint(HAND_WRITTEN, "qa", {"model": "hf:owner/name", "allow_pickle": True})
    new = '[endpoints.qa]\nmodel = "hf:owner/name"\nallow_pickle = true\n\n'
    place = HAND_WRITTEN.index("# What is kept")
    assert changed == HAND_WRITTEN[:place] + new + HAND_WRITTEN[place:]


def test_a_replaced_endpoint_keeps_its_place_its_comments_and_its_other_settings():
    text = HAND_WRITTEN.replace("# timeout = 60", 'quantize = "int8"\nmemory = 512 # enough')
    changed = with_endpoint(text, "mood", {"model": "hf:a/b"}, ["quantize", "script"])
    assert changed == text.replace("starter:lyrics", "hf:a/b").replace('quantize = "int8"\n', "")


def test_a_file_begins():
    assert with_endpoint(begun("demo"), "qa", {"model": "hf:a/b"}) == (
        'name = "demo"\n\n[endpoints.qa]\nmodel = "hf:a/b"\n'
    )


@pytest.mark.parametrize("text", ["endpoints = 3\n", "endpoints = { qa = 3 }\n", "[endpoints\n"])
def test_what_cannot_be_changed_is_said(text):
    with pytest.raises(ProjectError, match=r"firstlight\.toml"):
        with_endpoint(text, "qa", {"model": "hf:a/b"})
