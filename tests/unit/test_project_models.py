import pytest

from firstlight import project
from firstlight.project.models import endpoint_of_model, is_model, with_models


@pytest.mark.parametrize("text", ["starter:qa", "hf:a/b", "a/b", "./a", "m.gguf", "~/m", "old.bin"])
def test_words_that_name_models(text):
    assert is_model(text)


@pytest.mark.parametrize("text", ["qa", "my-endpoint", "translate_2"])
def test_words_that_name_endpoints(text):
    assert not is_model(text)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("starter:qa", "qa"),
        ("hf:owner/repo-Q4.5/model v2.gguf@main", "model-v2"),
        ("hf:owner/name@rev", "name"),
        ("./%%%", "model"),
    ],
)
def test_names(model, name):
    assert endpoint_of_model(model).name == name


def test_a_file_gets_the_memory_its_weights_need(tmp_path):
    file = tmp_path / "big.gguf"
    with file.open("wb") as opened:
        opened.truncate(3_000_000_000)
    endpoint = endpoint_of_model(str(file))
    assert (endpoint.name, endpoint.model, endpoint.memory) == ("big", str(file), 4112)


def test_the_same_name_twice():
    served = with_models(project.load(None, env={}), ["starter:qa", "hf:other/qa"])
    assert [(name, endpoint.model) for name, endpoint in served.endpoints.items()] == [
        ("qa", "starter:qa"),
        ("qa-2", "hf:other/qa"),
    ]
