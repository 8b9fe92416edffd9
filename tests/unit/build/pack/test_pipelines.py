"""What a script asks of firstlight.pipeline, read from its text."""

import ast

import pytest

from firstlight import pipelines as served
from firstlight import starters
from firstlight.build.pack import pipelines
from firstlight.build.pack.types import File


def _asked(text: str) -> pipelines.Asked:
    return pipelines.asked([File("inference/mood.py", text.encode(), len(text))])


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ('pipeline("sentiment-analysis")', ("sentiment",)),
        ('pipeline(task="translation_en_to_fr")', ("translate-en2fr",)),
        ('firstlight.pipeline("zero-shot-classification")', ("embeddings",)),
        ('pipeline("text-classification", "starter:lyrics")', ("lyrics",)),
        ('pipeline(model="starter:qa")', ("qa",)),
        ('pipeline("text-classification", model="models/mine")', ()),
        ('pipeline("no-such-task")', ()),
        ("pipeline(TASK)", tuple(sorted(starters.names()))),
        ("pipeline(model=MODEL)", tuple(sorted(starters.names()))),
    ],
)
def test_starters_that_may_be_loaded_are_packed(call: str, found: tuple[str, ...]) -> None:
    assert _asked(f"from firstlight import pipeline\nmake = lambda: {call}\n").starters == found


def test_engines_are_those_of_the_starters() -> None:
    asked = _asked('import firstlight\nclassify = firstlight.pipeline("sentiment-analysis")\n')
    assert asked.wheels == {"onnxruntime", "tokenizers"}
    assert _asked('from firstlight import pipeline\nx = pipeline("text-generation")').wheels >= {
        "xllamacpp",
        "jinja2",
    }


def test_a_script_without_firstlight_gets_none_of_it() -> None:
    assert _asked('from transformers import pipeline\npipeline("sentiment-analysis")\n') == pipelines.Asked()
    assert _asked("def broken(:\n") == pipelines.Asked()
    assert _asked("from .firstlight import pipeline\n") == pipelines.Asked()


def test_models_that_would_have_to_be_converted_are_told_of() -> None:
    text = 'from firstlight import pipeline\npipeline(model="hf:owner/name")\npipeline(model="./models/mine/")\n"\\d"\n'
    files = [File("mood.py", text.encode(), 9), File("models/mine/bundle.json", b"{}", 2)]
    assert pipelines.asked(files).absent == ("hf:owner/name",)
    assert _asked('from firstlight import pipeline\npipeline("qa", "starter:qa")').absent == ()


def test_a_file_that_imports_another_pipeline_counts_for_nothing() -> None:
    files = [
        File("a.py", b"from firstlight import pipeline\npipeline('question-answering')", 9),
        File("b.py", b"from transformers import pipeline\npipeline(TASK)", 9),
    ]
    assert pipelines.asked(files).starters == ("qa",)


@pytest.mark.parametrize("tag", sorted(served._STARTERS))
def test_the_starter_of_a_task_is_the_one_that_pipeline_takes(tag: str) -> None:
    call = ast.parse(f"pipeline({tag!r})", mode="eval").body
    assert isinstance(call, ast.Call)
    assert list(pipelines._of_call(call)) == [served._STARTERS[tag]]
