"""``.env``: what is read of it, and how a mistake is told without telling what is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight import project as projects
from firstlight.cli import preparing
from firstlight.project import dotenv
from firstlight.runtime.errors import ProjectError

SCRIPT = "def handler(event, context):\n    return event\n"


def read(folder, text):
    (folder / ".env").write_text(text, encoding="utf-8")
    return dotenv.read(folder)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  export A = one two  # a comment", "one two"),
        ("A=a#b", "a#b"),
        ("A=", ""),
        ("A=#", ""),
        ("A='it is $HOME \\n'  # as it is", "it is $HOME \\n"),
        ('A="two\\nlines \\"quoted\\" \\\\ \\x"', 'two\nlines "quoted" \\ \\x'),
        ("A=x=y=z", "x=y=z"),
        ("# A=0\n\nA=é", "é"),
        ("A=1\nA=2", "2"),
    ],
)
def test_a_line(tmp_path, line, value):
    assert read(tmp_path, line) == {"A": value}


def test_no_file_is_no_variables(tmp_path):
    assert dotenv.read(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\nsecret words", "line 2"),
        ("A='s3cret", "line 1"),
        ('A="s3cret" more', "line 1"),
        ("2A=s3cret", "line 1"),
        ("AWS_LAMBDA_FUNCTION_NAME=s3cret", "set by the runtime"),
        ("A=s3\0cret", "line 1"),
    ],
)
def test_a_mistake_is_told_without_the_value(tmp_path, text, words):
    with pytest.raises(ProjectError) as refused:
        read(tmp_path, text)
    told = f"{refused.value.message} {refused.value.hint}"
    assert words in told
    assert "s3" not in told
    assert "secret" not in told


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ProjectError, match="cannot be read"):
        dotenv.read(tmp_path)


@given(
    st.text(
        st.characters(
            exclude_characters="'\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0", exclude_categories=["Cs"]
        )
    )
)
def test_what_is_in_single_quotes_is_what_a_worker_gets(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("env")
    assert read(folder, f"A='{text}'") == {"A": text}


def test_workers_get_them_and_the_project_wins(tmp_path):
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "echo.py").write_text(SCRIPT)
    (tmp_path / "firstlight.toml").write_text('[endpoints.echo]\nenv = { B = "project" }\n')
    (tmp_path / ".env").write_text("A=s3cret\nB=s3cret\n")
    project = projects.load(tmp_path, env={})
    assert "s3cret" not in repr(project)
    assert project.endpoints["echo"].env == {"B": "project"}
    env = preparing.prepare(project).specs["echo"].env
    assert (env["A"], env["B"]) == ("s3cret", "project")
