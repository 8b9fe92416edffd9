"""The one table of architectures is what the converters take."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from firstlight.build.choice import architectures
from firstlight.build.convert import apart, generation, source
from firstlight.build.convert import families as encoders
from firstlight.build.convert.ct2 import bart, decoders, t5
from firstlight.build.gguf import families as language_models
from firstlight.runtime import tasks


def test_the_table_is_what_the_converters_know():
    assert set(architectures.ENCODERS) == set(encoders.FAMILIES)
    assert set(architectures.ENCODER_DECODERS) == {*bart.TYPES, *t5.TYPES}
    assert set(architectures.DECODERS) == set(language_models.FAMILIES)
    assert source._TASKS == apart.HEADS == architectures.HEADS
    assert source._SAME_HEAD == apart._SAME_HEAD == architectures.SAME_HEAD
    assert len(architectures.DECODERS_INT8) == len(decoders.TYPES)


@pytest.mark.parametrize(("kind", "family"), architectures.ENCODERS.items())
def test_every_head_of_an_encoder(kind, family):
    for ending, head in architectures.HEADS.items():
        found = architectures.of({"model_type": kind, "architectures": [family + ending]})
        assert found == architectures.Found(family + ending, head, architectures.ENCODER, "onnx")


@pytest.mark.parametrize("kind", architectures.WITH_TORCH)
def test_what_torch_exports_is_not_converted_without(kind):
    assert kind not in architectures.ENCODERS
    found = architectures.of({"model_type": kind, "architectures": ["XForSequenceClassification"]})
    assert found is not None
    assert found.converter == architectures.APART


@pytest.mark.parametrize(
    "name",
    [
        "ENCODER",
        "SEQUENCES",
        "DECODER",
        "APART",
        "GRAPH",
        "GRAPHS",
        "CTRANSLATE2_FILES",
        "GGUF_FILE",
        "GGML_FILE",
    ],
)
def test_every_converter_is_there(name):
    module, _, function = getattr(architectures, name).partition(":")
    assert find_spec(module) is not None
    assert function.startswith("convert")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bert", "JinaBertModel"),
        ("bert", "BertForPreTraining"),
        ("bart", "BartModel"),
        ("t5", "T5Model"),
        ("vit", "ViTModel"),
        ("marian", "T5ForConditionalGeneration"),
        ("gemma", "GemmaForCausalLM"),
    ],
)
def test_what_nothing_takes(kind, name):
    assert architectures.of({"model_type": kind, "architectures": [name]}) is None


def test_tasks_are_tasks():
    known = set(tasks.names())
    assert {*architectures.HEADS.values(), *architectures.SAME_HEAD, *generation.TASKS} <= known
