"""What the source of a script says."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.doctor import sources


def tree(text: str) -> ast.Module:
    return ast.parse(dedent(text))


def test_imports_with_where_and_how_they_are_made():
    found = list(
        sources.imports(
            tree(
                """
                import os, nltk.corpus
                from gensim.models import Word2Vec
                from . import beside
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    import never
                try:
                    import fast
                except ImportError:
                    import slow
                try:
                    import loud
                except ValueError:
                    pass
                def handler(event, context):
                    import late
                class A:
                    import inner
                with open("x"):
                    import nltk
                """
            )
        )
    )
    assert [(one.module, one.line, one.optional, one.inside) for one in found] == [
        ("os", 2, False, False),
        ("nltk", 2, False, False),
        ("gensim", 3, False, False),
        ("typing", 5, False, False),
        ("fast", 9, True, False),
        ("slow", 11, False, False),
        ("loud", 13, False, False),
        ("late", 17, False, True),
        ("inner", 19, False, False),
    ]


def test_what_can_be_imported(tmp_path: Path):
    (tmp_path / "beside.py").touch()
    (tmp_path / "package").mkdir()
    for name in ("os", "sys", "numpy", "beside", "package", "firstlight"):
        assert sources.is_there(name, (tmp_path,))
    for name in ("no_such_module", "no.such"):
        assert not sources.is_there(name, (tmp_path,))
    assert sources.is_local("beside", (tmp_path,))
    assert not sources.is_local("numpy", (tmp_path,))


PROCESSES = "concurrent.futures.ProcessPoolExecutor"


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("import multiprocessing\nmultiprocessing.Pool(2)", "multiprocessing.Pool"),
        ("import multiprocessing as m\nm.Lock()", "multiprocessing.Lock"),
        ("from multiprocessing import Queue as Q\nQ()", "multiprocessing.Queue"),
        ("import multiprocessing.pool\nmultiprocessing.pool.Pool()", "multiprocessing.pool.Pool"),
        ("from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor()", PROCESSES),
        ("import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()", PROCESSES),
    ],
)
def test_what_needs_shared_memory(text, called):
    assert list(sources.shared_memory(tree(text))) == [(called, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor()",
        "from multiprocessing import Process, Pipe\nProcess(); Pipe()",
        "from queue import Queue\nQueue()",
        "import threading\nthreading.Lock()",
        "from multiprocessing import Pool",
    ],
)
def test_what_does_not(text):
    assert not list(sources.shared_memory(tree(text)))


@pytest.mark.parametrize("body", ['{"a": 1}', "[1]", "[x for x in y]", "{x: 1 for x in y}", "nlp(text)[0]"])
def test_bodies_that_are_objects(body):
    text = f'def handler(e, c):\n    return {{"statusCode": 200, "body": {body}}}'
    assert list(sources.object_bodies(tree(text))) == [2]


@pytest.mark.parametrize("body", ["json.dumps(x)", '"text"', "text", "str(x)", 'f"{x}"'])
def test_bodies_that_may_be_strings(body):
    assert not list(sources.object_bodies(tree(f'{{"statusCode": 200, "body": {body}}}')))
    assert not list(sources.object_bodies(tree('{"body": {"a": 1}, **more}')))


@given(st.binary(max_size=200))
def test_anything_in_a_file_is_read_or_refused(tmp_path_factory, content):
    script = tmp_path_factory.mktemp("any") / "x.py"
    script.write_bytes(content)
    try:
        found = sources.parsed(script)
    except SyntaxError:
        return
    list(sources.imports(found))
    list(sources.shared_memory(found))
    list(sources.object_bodies(found))
