"""User scripts: Lambda handlers, Hugging Face's EndpointHandler, SageMaker's functions."""

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest

from firstlight.runtime import scripts
from firstlight.runtime.errors import HandlerError, UnsupportedMedia
from firstlight.runtime.faults import Fault
from firstlight.runtime.types import Handler

Load = Callable[..., Handler]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Write a script and load it; what it put into the interpreter is taken out again."""
    path, modules = list(sys.path), set(sys.modules)

    def write(source: str, file: str = "script.py") -> Handler:
        script = tmp_path / file
        script.parent.mkdir(exist_ok=True)
        script.write_text(textwrap.dedent(source))
        return scripts.load(script)

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith(("numpy", "firstlight")):
            del sys.modules[name]


def body(text: str, content_type: str = "application/json", **headers: str) -> dict:
    """A function URL's event."""
    return {"version": "2.0", "headers": {"content-type": content_type, **headers}, "body": text}


def test_the_sentiment_script_as_it_is_written_for_lambda(load: Load) -> None:
    handler = load(
        """
        import json
        nlp = lambda text: [{"label": "POSITIVE", "score": len(text)}]

        def handler(event, context):
            response = {
                "statusCode": 200,
                "body": nlp(event['text'])[0]
            }
            return response
        """
    )
    assert handler({"text": "abc"}, None) == {"statusCode": 200, "body": {"label": "POSITIVE", "score": 3}}


@pytest.mark.parametrize("file", ["translate-en2fr.py", "json.py", "2nd.model.py", "größe.py", "no_suffix"])
def test_any_file_name(load: Load, file: str) -> None:
    source = (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n  x: int\ndef handler(e, c): return A(e).x"
    )
    assert load(source, file)(3, None) == 3
    assert json.loads("1") == 1, "json is still the real one"


def test_the_name_aws_gives_a_new_function(load: Load) -> None:
    assert load("def lambda_handler(event, context): return event")(1, None) == 1


def test_files_beside_the_script_can_be_imported(load: Load, tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("ANSWER = 42")
    assert load("from beside_it import ANSWER\ndef handler(e, c): return ANSWER")(None, None) == 42


def test_scripts_of_the_same_name_do_not_meet(load: Load) -> None:
    first = load("def handler(e, c): return 1", "a/app.py")
    second = load("def handler(e, c): return 2", "b/app.py")
    assert (first(0, 0), second(0, 0)) == (1, 2)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "has nothing to call"),
        ("handler = 5", "handler in {path} cannot be called"),
        ("def predict_fn(data, model): pass", "has no model_fn"),
    ],
)
def test_scripts_that_do_not_say_how_to_answer(load: Load, tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(HandlerError, match=message.format(path=tmp_path / "script.py")) as caught:
        load(source)
    assert "model_fn(model_dir)" in caught.value.hint


def test_errors_of_the_import(load: Load) -> None:
    with pytest.raises(Fault, match="No module named 'transformers_not'") as caught:
        load("import transformers_not.pipelines")
    assert caught.value.kind == "Runtime.ImportModuleError"
    assert "transformers_not.py" in caught.value.hint
    with pytest.raises(Fault, match="Syntax error in module 'b-c'") as caught:
        load("def", "b-c.py")
    assert caught.value.kind == "Runtime.UserCodeSyntaxError"
    with pytest.raises(ZeroDivisionError):
        load("1 / 0")


ENDPOINT_HANDLER = """
import numpy
class EndpointHandler:
    def __init__(self, path=""):
        self.path = path
    def __call__(self, data):
        if data["inputs"] == "numbers":
            return {"scores": numpy.ones(2, "float32"), numpy.int64(3): (numpy.float64(0.5), numpy.bool_(True))}
        return [self.path, data]
"""


def test_endpoint_handler(load: Load, tmp_path: Path) -> None:
    handler = load(ENDPOINT_HANDLER, "handler.py")
    data = {"inputs": "a", "parameters": {"k": 1}, "date": "2026-11-20"}
    assert handler(data, None) == [str(tmp_path), data]
    response = handler(body(json.dumps(data)), None)
    assert json.loads(response["body"]) == [str(tmp_path), data]
    numbers = handler({"inputs": "numbers"}, None)
    assert json.loads(json.dumps(numbers)) == {"scores": [1.0, 1.0], "3": [0.5, True]}
    assert handler({"source": "aws.events"}, None) == {"warm": True}
    assert handler(body("{"), None)["statusCode"] == 400


def test_endpoint_handler_without_a_path_and_with_a_context(load: Load) -> None:
    source = "class EndpointHandler:\n  def __call__(self, data, context):\n    return [data, context]"
    assert load(source)({"a": 1}, "context") == [{"a": 1}, "context"]


def test_model_and_predict_only(load: Load, tmp_path: Path) -> None:
    handler = load(
        """
        def model_fn(model_dir):
            return lambda text: [model_dir, text]
        def predict_fn(data, model):
            return model(data["inputs"])
        """,
        "code/inference.py",
    )
    assert handler({"inputs": "a"}, None) == [str(tmp_path), "a"], "the model is above the folder named code"


def test_model_alone_is_called_as_a_pipeline_is(load: Load) -> None:
    handler = load("def model_fn(model_dir):\n  return lambda inputs, **options: [inputs, options]")
    assert handler({"inputs": "a", "parameters": {"top_k": 1}}, None) == ["a", {"top_k": 1}]
    assert handler({"text": "a"}, None) == [{"text": "a"}, {}]
    assert handler(["a"], None) == [["a"], {}]


ALL_PARTS = """
def model_fn(model_dir, context=None):
    return "model"
def input_fn(body, content_type):
    return [type(body).__name__, content_type, len(body)]
def predict_fn(data, model, context):
    return [*data, model, context]
def output_fn(prediction, accept):
    if accept == "text/csv":
        return ",".join(map(str, prediction)), "text/csv"
    if accept == "image/png":
        return b"\\x89PNG", accept
    import json
    return json.dumps(prediction)
"""


def test_all_four_functions(load: Load) -> None:
    handler = load(ALL_PARTS)
    assert handler({"a": 1}, "context") == ["str", "application/json", 8, "model", "context"]
    response = handler(body("a,b", "text/csv", accept="text/csv"), None)
    assert (response["headers"]["content-type"], response["body"]) == (
        "text/csv",
        "str,text/csv,3,model,None",
    )
    response = handler({**body("AAEC", "image/png", accept="image/png"), "isBase64Encoded": True}, None)
    assert (response["isBase64Encoded"], response["body"]) == (True, "iVBORw==")
    assert response["headers"]["content-type"] == "image/png"


def test_transform_fn_takes_the_place_of_three(load: Load) -> None:
    handler = load(
        """
        def model_fn(model_dir):
            return "model"
        def transform_fn(model, body, content_type, accept):
            return {"model": model, "body": body, "type": content_type, "accept": accept}
        """
    )
    assert handler(5, None) == {
        "model": "model",
        "body": "5",
        "type": "application/json",
        "accept": "application/json",
    }


def test_the_bundle_beside_a_script_is_its_model(load: Load, tmp_path: Path) -> None:
    bundle = {"schema": 1, "name": "echo", "task": "echo", "engine": "echo", "files": {}}
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    handler = load('def output_fn(prediction, accept): return \'{"got": "%s"}\' % prediction')
    assert handler({"inputs": "a", "parameters": {}}, None) == {"got": "a"}


def test_bodies_the_default_input_cannot_read(load: Load) -> None:
    handler = load("def model_fn(model_dir): return len")
    response = handler(body("{no"), None)
    assert response["statusCode"] == UnsupportedMedia.status
    assert handler(body("abc", "text/plain"), None)["body"] == "3"


def test_numpy_answers_of_sagemaker_functions(load: Load) -> None:
    handler = load("import numpy\ndef model_fn(model_dir): return lambda inputs: {'v': numpy.arange(inputs)}")
    assert handler({"inputs": 3}, None) == {"v": [0, 1, 2]}
    assert numpy.arange(1).tolist() == [0]
