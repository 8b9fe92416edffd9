"""How repositories are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.build import hub
from firstlight.build.hub.names import is_path
from firstlight.build.types import Name
from firstlight.runtime.errors import ProjectError

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ada/tiny", Name("ada/tiny")),
        ("hf:ada/tiny@v1.0", Name("ada/tiny", "v1.0")),
        ("hf:ada/tiny@refs/pr/1", Name("ada/tiny", "refs/pr/1")),
        (f"ada/tiny/q/model.gguf@{COMMIT}", Name("ada/tiny", COMMIT, "q/model.gguf")),
        ("Helsinki-NLP/opus-mt-en-fr", Name("Helsinki-NLP/opus-mt-en-fr")),
        ("https://huggingface.co/ada/tiny", Name("ada/tiny")),
        ("https://huggingface.co/ada/tiny/tree/main", Name("ada/tiny", "main")),
        ("https://hf.co/ada/tiny/tree/refs%2Fpr%2F1/q", Name("ada/tiny", "refs/pr/1", "q")),
        ("https://hf.co/ada/tiny/tree/refs/pr/1", Name("ada/tiny", "refs/pr/1")),
        ("https://huggingface.co/ada/tiny/blob/v1/a%20b.gguf", Name("ada/tiny", "v1", "a b.gguf")),
        (
            "https://huggingface.co/ada/tiny/resolve/v1/q/m.gguf?download=true",
            Name("ada/tiny", "v1", "q/m.gguf"),
        ),
        ("https://huggingface.co/ada/tiny/discussions/3", Name("ada/tiny")),
    ],
)
def test_names(text: str, name: Name) -> None:
    assert hub.parse(text) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not the name"),
        ("tiny", "whose model"),
        ("own er/tiny", "not the name"),
        ("ada/ti--ny", "not the name"),
        ("ada/tiny.git", "not the name"),
        ("ada/tiny@", "not the name"),
        ("ada/tiny/", "not the name"),
        ("ada/tiny@../x", "not the name"),
        ("ada/tiny@a b", "not the name"),
        ("ada/tiny/../../etc/passwd", "not the name"),
        ("ada/tiny/a\x00b.gguf", "not the name"),
        ("./ada/tiny", "is a path"),
        ("/ada/tiny", "is a path"),
        ("https://huggingface.co/datasets/ada/tiny", "not the page of a model"),
        ("https://huggingface.co/ada", "not the name"),
        ("https://example.org/ada/tiny", "not a page of the hub"),
    ],
)
def test_what_is_no_name_is_said(text: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as refused:
        hub.parse(text)
    assert refused.value.hint


def test_addresses_of_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example:8443/")
    assert hub.parse("https://mirror.example:8443/ada/tiny/tree/v1") == Name("ada/tiny", "v1")


PART = st.from_regex(r"[A-Za-z0-9_]([._-]?[A-Za-z0-9_]){0,10}", fullmatch=True)
FILE = st.lists(PART, min_size=1, max_size=3).map("/".join)


@given(PART, PART, st.none() | FILE, st.none() | FILE)
def test_names_come_back(owner: str, name: str, revision: str | None, file: str | None) -> None:
    text = f"{owner}/{name}" + (f"/{file}" if file else "") + (f"@{revision}" if revision else "")
    if name.endswith(".git"):
        return
    wanted = Name(f"{owner}/{name}", revision, file)
    assert hub.parse(text) == hub.parse(f"hf:{text}") == wanted
    if revision is None or "/" not in revision:
        tail = f"/resolve/{revision or 'main'}" + (f"/{file}" if file else "")
        assert hub.parse(f"https://huggingface.co/{owner}/{name}{tail}") == Name(
            wanted.repository, revision or "main", file
        )


@given(st.text(max_size=40))
def test_whatever_is_said_is_a_name_or_an_error(text: str) -> None:
    try:
        found = hub.parse(text)
    except ProjectError:
        return
    assert found.repository.count("/") == 1
    assert found.file is None or is_path(found.file)
