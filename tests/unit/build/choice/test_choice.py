from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.build import choice
from firstlight.build.choice import architectures
from firstlight.build.types import Artefact, Card, Wish
from firstlight.runtime.errors import ConversionError, ProjectError

MB = 1_000_000
NO_CARD = Card()
DISTILBERT = {
    "model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "dim": 768, "n_heads": 12,
    "n_layers": 6, "vocab_size": 30522,
}  # fmt: skip
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "num_attention_heads": 12,
    "num_hidden_layers": 6, "vocab_size": 30522,
}  # fmt: skip
LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16"}
MARIAN = {"model_type": "marian", "architectures": ["MarianMTModel"]}
T5 = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}
SPECIFIC = {"task_specific_params": {"translation_en_to_fr": {}}}
SEVERAL = {"task_specific_params": {"translation_en_to_fr": {}, "summarization": {}}}
SAFE, PICKLE, GRAPH = "model.safetensors", "pytorch_model.bin", "onnx/model.onnx"
TOKENIZER = {"tokenizer.json": 1000}


def chosen(files: dict[str, int], config: Any = None, card: Card = NO_CARD, **wish: Any) -> Artefact:
    texts = {"config.json": config} if config is not None else {}
    if "modules.json" in files:
        kinds = ("Transformer", "Pooling", "Normalize")
        texts["modules.json"] = [{"type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    sizes = {**files, **{name: len(json.dumps(content)) for name, content in texts.items()}}

    def read(path: str) -> bytes | None:
        return json.dumps(texts[path]).encode() if path in texts else None

    return choice.choose(sizes, read, card, Wish("hf:owner/name", **wish))


def rejected(artefact: Artefact) -> dict[str, str]:
    return dict(artefact.rejected)


def test_weights_that_are_converted_without_torch_come_first():
    everything = {
        SAFE: 268 * MB, PICKLE: 268 * MB, GRAPH: 268 * MB, "onnx/model_quantized.onnx": 67 * MB, "tf_model.h5": 268,
        "rust_model.ot": 1, "vocab.txt": 1, "README.md": 1, "training_args.bin": 1, **TOKENIZER,
    }  # fmt: skip
    found = chosen(everything, DISTILBERT, Card("apache-2.0", "text-classification"))
    assert (found.form, found.weights, found.converter) == ("safetensors", (SAFE,), architectures.ENCODER)
    assert (found.task, found.precision) == ("text-classification", None)
    assert found.files == ("README.md", "config.json", SAFE, "tokenizer.json", "vocab.txt")
    assert found.bytes == sum(everything[path] for path in found.files if path != "config.json") + len(
        json.dumps(DISTILBERT)
    )
    assert found.why.startswith(f"{SAFE}: DistilBertForSequenceClassification: ")
    reasons = rejected(found)
    assert "pickle" in reasons[PICKLE]
    assert "TensorFlow" in reasons["tf_model.h5"]
    assert {GRAPH, "rust_model.ot", "onnx/model_quantized.onnx"} <= set(reasons)


@pytest.mark.parametrize(
    ("config", "card", "wish", "task"),
    [
        (DISTILBERT, None, {}, "text-classification"),
        (DISTILBERT, "zero-shot-classification", {}, "zero-shot-classification"),
        (DISTILBERT, "text-generation", {}, "text-classification"),
        (DISTILBERT, None, {"task": "sentiment-analysis"}, "text-classification"),
        (BERT, None, {}, "feature-extraction"),
        (BERT, "sentence-similarity", {}, "sentence-similarity"),
        (BERT | {"architectures": ["BertForQuestionAnswering"]}, None, {}, "question-answering"),
        (MARIAN, None, {}, "translation"),
        (T5, None, {}, "text2text-generation"),
        (T5, "summarization", {}, "summarization"),
        (T5 | SPECIFIC, None, {}, "translation"),
        (T5 | SEVERAL, None, {}, "text2text-generation"),
        (T5, "summarization", {"task": "translation_en_to_de"}, "translation"),
        (LLAMA, None, {"task": "chat"}, "text-generation"),
    ],
)  # fmt: skip
def test_the_task(config, card, wish, task):
    assert chosen({SAFE: MB, **TOKENIZER}, config, Card(task=card), **wish).task == task


@pytest.mark.parametrize(
    ("config", "wish", "said"),
    [
        (DISTILBERT, {"task": "fill-mask"}, "weights for text-classification, not for fill-mask"),
        (MARIAN, {"task": "fill-mask"}, "not fill-mask"),
        (LLAMA, {"task": "summarization"}, "language model"),
        (DISTILBERT, {"precision": "q4_k_m"}, "not made into q4_k_m"),
        (LLAMA | {"quantization_config": {"quant_method": "gptq"}}, {}, "quantised already .gptq"),
        (BERT | {"num_attention_heads": 7}, {}, "7 heads"),
        ({"architectures": ["ViTForImageClassification"], "model_type": "vit"}, {}, "ViTForImageClassification"),
        ({"architectures": ["JinaBertModel"], "model_type": "bert", "auto_map": {"A": "b"}}, {}, "code of its own"),
        ({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}, {}, "nothing here converts"),
        ({"model_type": "bert"}, {}, "names no architecture"),
        ([1], {}, "does not hold a JSON object"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_said_before_anything_is_downloaded(config, wish, said):
    with pytest.raises((ConversionError, ProjectError), match=said):
        chosen({SAFE: MB, **TOKENIZER}, config, **wish)


def test_eight_bits_of_an_encoder_are_made_and_measured_here():
    found = chosen(
        {SAFE: 268 * MB, "onnx/model_quantized.onnx": 67 * MB, **TOKENIZER}, DISTILBERT, precision="int8"
    )
    assert (found.form, found.precision, found.memory_mb) == ("safetensors", "int8", 92)
    assert "measured" in found.why


def test_an_encoder_with_positions_only_torch_has_is_exported():
    found = chosen({SAFE: MB, **TOKENIZER}, BERT | {"position_embedding_type": "relative_key"})
    assert (found.converter, found.runs_code) == (architectures.APART, False)


def test_hidden_states_can_be_had_of_every_encoder():
    config = DISTILBERT | {"architectures": ["DistilBertForMaskedLM"]}
    found = chosen({SAFE: MB, **TOKENIZER}, config, task="feature-extraction")
    assert (found.task, found.converter) == ("feature-extraction", architectures.ENCODER)


def test_parts_of_a_checkpoint_come_with_their_index():
    parts = {f"model-0000{number}-of-00002.safetensors": 500 * MB for number in (1, 2)}
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    sizes = {**parts, "model.safetensors.index.json": 100, "optimizer.safetensors": 3, **TOKENIZER}

    def read(path: str) -> bytes | None:
        texts = {"config.json": LLAMA, "model.safetensors.index.json": index}
        return json.dumps(texts[path]).encode() if path in texts else None

    found = choice.choose({**sizes, "config.json": 9}, read, Card(), Wish("hf:a/b"))
    assert found.weights == tuple(parts)
    assert set(found.files) == {*parts, "model.safetensors.index.json", "tokenizer.json", "config.json"}
    assert found.memory_mb == round(82 + 500 * 8.5 / 8)
    del sizes["model-00002-of-00002.safetensors"]
    with pytest.raises(ConversionError, match="lacks model-00002"):
        choice.choose({**sizes, "config.json": 9}, read, Card(), Wish("hf:a/b"))


@pytest.mark.parametrize(
    ("file", "config"),
    [(SAFE, DISTILBERT | {"torch_dtype": "float16"}), ("model.fp16.safetensors", DISTILBERT)],
)
def test_half_precision_takes_twice_its_bytes_and_is_written_anew(file, config):
    found = chosen({file: 134 * MB, **TOKENIZER}, config)
    assert (found.memory_mb, "32 bits" in found.why) == (222, True)


def test_pickles_are_asked_for():
    with pytest.raises(ProjectError, match="pickle") as error:
        chosen({PICKLE: MB, "vocab.txt": 9}, DISTILBERT)
    assert "--allow-pickle" in error.value.hint
    found = chosen({PICKLE: MB, "vocab.txt": 9}, DISTILBERT, allow_pickle=True)
    assert (found.form, found.weights, found.converter) == ("pickle", (PICKLE,), architectures.ENCODER)


def test_pickles_are_not_taken_where_the_same_weights_are_there_without():
    found = chosen({PICKLE: MB, SAFE: MB, **TOKENIZER}, DISTILBERT, allow_pickle=True)
    assert found.form == "safetensors"
    assert "without it" in rejected(found)[PICKLE]


def test_code_of_the_repository_is_asked_for():
    config = {
        "model_type": "nomic_bert",
        "architectures": ["NomicBertModel"],
        "auto_map": {"AutoModel": "m.M"},
    }
    files = {SAFE: MB, "modeling_nomic.py": 9, **TOKENIZER}
    with pytest.raises(ProjectError, match="code of its own") as error:
        chosen(files, config)
    assert "--trust-remote-code" in error.value.hint
    found = chosen(files, config, trust_remote_code=True)
    assert (found.runs_code, found.converter) == (True, architectures.APART)
    assert "modeling_nomic.py" in found.files


def test_code_that_is_not_needed_is_neither_asked_for_nor_fetched():
    found = chosen({SAFE: MB, "modeling.py": 9, **TOKENIZER}, DISTILBERT | {"auto_map": {"AutoModel": "m.M"}})
    assert (found.runs_code, "modeling.py" in found.files) == (False, False)


GGUF = {"m-Q4_K_M.gguf": 250 * MB, "m-Q8_0.gguf": 430 * MB, "m-Q5_1.gguf": 300 * MB, "m-F16.gguf": 810 * MB}


@pytest.mark.parametrize(
    ("files", "precision", "weights", "made"),
    [
        (GGUF, None, "m-Q8_0.gguf", None),
        ({name: 10 * size for name, size in GGUF.items()}, None, "m-Q4_K_M.gguf", None),
        (GGUF, "q5_1", "m-Q5_1.gguf", "q5_1"),
        (GGUF, "fp16", "m-F16.gguf", "fp16"),
        (GGUF, "q6_k", "m-F16.gguf", "q6_k"),
        ({"m.Q3_K_S.gguf": MB}, None, "m.Q3_K_S.gguf", None),
        ({"whatever.gguf": MB}, None, "whatever.gguf", None),
        ({"sub/m-q8_0.gguf": MB, "mmproj-m.gguf": MB}, None, "sub/m-q8_0.gguf", None),
    ],
)  # fmt: skip
def test_the_quantisation_that_fits(files, precision, weights, made):
    found = chosen(dict(files), precision=precision)
    assert (found.form, found.weights, found.precision) == ("gguf", (weights,), made)
    assert found.task == "text-generation"
    assert len(found.rejected) == len(files) - 1


def test_all_parts_of_a_split_file_or_none():
    parts = {f"m-Q8_0-0000{number}-of-00002.gguf": 2000 * MB for number in (1, 2)}
    assert chosen(dict(parts)).weights == tuple(parts)
    parts.popitem()
    with pytest.raises(ConversionError, match="not its part"):
        chosen(parts)


def test_a_ready_quantisation_is_smaller_than_weights_that_are_converted():
    found = chosen({"m-q8_0.gguf": 140 * MB, SAFE: 270 * MB, **TOKENIZER}, LLAMA)
    assert (found.form, rejected(found)[SAFE]) == ("gguf", "would have to be converted, and is larger")
    other = chosen({"m-q2_k.gguf": 60 * MB, SAFE: 270 * MB, **TOKENIZER}, LLAMA)
    assert (other.form, other.converter) == ("safetensors", architectures.DECODER)


def test_eight_bits_of_a_language_model_are_another_engines():
    assert chosen({SAFE: MB, **TOKENIZER}, LLAMA, precision="int8").converter == architectures.SEQUENCES


GRAPHS = {
    GRAPH: 268 * MB,
    "onnx/model_quantized.onnx": 67 * MB,
    "onnx/model_fp16.onnx": 134 * MB,
    **TOKENIZER,
}


@pytest.mark.parametrize(
    ("files", "precision", "weights", "made"),
    [
        (GRAPHS, None, (GRAPH,), None),
        (GRAPHS, "fp32", (GRAPH,), "fp32"),
        (GRAPHS, "int8", ("onnx/model_quantized.onnx", GRAPH), "int8"),
        ({GRAPH: MB, f"{GRAPH}_data": MB, **TOKENIZER}, None, (GRAPH, f"{GRAPH}_data"), None),
        ({"onnx/model_quantized.onnx": MB, **TOKENIZER}, None, ("onnx/model_quantized.onnx",), None),
        ({"classifier.onnx": MB, **TOKENIZER}, None, ("classifier.onnx",), None),
    ],
)
def test_ready_graphs(files, precision, weights, made):
    found = chosen(dict(files), DISTILBERT, precision=precision)
    assert (found.converter, found.weights, found.precision) == (architectures.GRAPH, weights, made)
    assert found.task == "text-classification"


def test_a_graph_in_eight_bits_under_a_name_of_its_own():
    found = chosen({"model.int8.onnx": 67 * MB, **TOKENIZER}, DISTILBERT)
    assert (found.precision, found.memory_mb, "in eight bits" in found.why) == (None, 92, True)


def test_graphs_that_are_not_taken_are_said():
    files = {"onnx/model_fp16.onnx": MB, "onnx/model_q4.onnx": MB, **TOKENIZER}
    with pytest.raises(ConversionError, match="no ONNX graph in fp32 or int8"):
        chosen(dict(files), DISTILBERT)
    assert "half precision" in rejected(chosen(dict(GRAPHS), DISTILBERT))["onnx/model_fp16.onnx"]


def test_a_graph_whose_task_nothing_tells():
    files = {"model.onnx": MB, **TOKENIZER}
    with pytest.raises(ProjectError, match="nothing says what owner/name is for") as error:
        chosen(dict(files), {"model_type": "bert"})
    assert "--task" in error.value.hint
    assert chosen(dict(files), {"model_type": "bert"}, task="fill-mask").task == "fill-mask"


PAIR = ("onnx/encoder_model{}.onnx", "onnx/decoder_model_merged{}.onnx")


def test_graphs_of_an_encoder_decoder():
    files = {path.format(suffix): MB for path in PAIR for suffix in ("", "_quantized")} | TOKENIZER
    found = chosen(dict(files), T5)
    assert (found.converter, found.precision) == (architectures.GRAPHS, "fp32")
    assert found.weights == tuple(path.format("") for path in PAIR)
    found = chosen(dict(files), T5, precision="int8")
    assert found.weights == tuple(path.format("_quantized") for path in PAIR)
    with pytest.raises(ConversionError, match="in fp32 and int8, not in fp16"):
        chosen(dict(files), T5, precision="fp16")
    with pytest.raises(ConversionError, match="not complete"):
        chosen({PAIR[0].format(""): MB, **TOKENIZER}, T5)
    with pytest.raises(ConversionError, match="no encoder_model"):
        chosen({PAIR[1].format(""): MB, **TOKENIZER}, T5)


def test_the_task_of_a_folder_in_ctranslate2s_format_is_told_by_its_tokenizer():
    def read(path: str) -> bytes | None:
        named = {"tokenizer_config.json": {"tokenizer_class": "MarianTokenizer"}, "config.json": {}}
        return json.dumps(named[path]).encode()

    files = {
        "model.bin": 1,
        "shared_vocabulary.json": 9,
        "source.spm": 9,
        "tokenizer_config.json": 9,
        "config.json": 2,
    }
    assert choice.choose(files, read, Card(), Wish("./ct2")).task == "translation"


def test_a_folder_in_ctranslate2s_format():
    files = {"model.bin": 76 * MB, "shared_vocabulary.json": 9, "source.spm": 9, "target.spm": 9}
    found = chosen(dict(files), {"add_source_eos": False}, Card(task="translation"))
    assert (found.form, found.task) == ("ctranslate2", "translation")
    assert found.weights == ("model.bin", "shared_vocabulary.json")
    with pytest.raises(ConversionError, match="already"):
        chosen(dict(files), {"add_source_eos": False}, precision="int8")
    with pytest.raises(ConversionError, match="no tokenizer"):
        chosen({"model.bin": MB, "shared_vocabulary.json": 9}, {"add_source_eos": False})
    with pytest.raises(ConversionError, match="language model in CTranslate2"):
        chosen({"model.bin": MB, "vocabulary.json": 9, **TOKENIZER}, {"add_source_eos": False})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no weights"),
        ({"tf_model.h5": MB}, "TensorFlow"),
        ({"model_index.json": 9, "unet/model.safetensors": MB}, "images"),
        ({"adapter_config.json": 9, "adapter_model.safetensors": MB}, "adapter"),
        ({SAFE: MB}, "no config.json"),
    ],
)
def test_what_is_no_model_is_said(files, said):
    with pytest.raises(ConversionError, match=said):
        chosen(files)


def test_speech_in_graphs_that_are_called_like_text():
    files = {path.format(""): MB for path in PAIR} | TOKENIZER | {"preprocessor_config.json": 9}
    config = {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}
    with pytest.raises(ConversionError, match="WhisperForConditionalGeneration"):
        chosen(files, config)


def test_a_checkpoint_without_a_tokenizer_is_said():
    with pytest.raises(ConversionError, match="no tokenizer"):
        chosen({SAFE: MB}, DISTILBERT)


def test_the_name_of_no_task_is_said():
    with pytest.raises(ProjectError, match="no task 'mind-reading'"):
        chosen({SAFE: MB, **TOKENIZER}, DISTILBERT, task="mind-reading")


def test_a_sentence_encoder_with_a_module_that_is_not_known():
    def read(path: str) -> bytes | None:
        modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Dense")]
        return json.dumps({"config.json": BERT, "modules.json": modules}[path]).encode()

    with pytest.raises(ConversionError, match="Dense"):
        choice.choose(
            {SAFE: 1, "config.json": 9, "modules.json": 9, **TOKENIZER}, read, Card(), Wish("hf:a/b")
        )


@pytest.mark.parametrize(
    ("weights", "config", "wish", "measured"),
    [
        (268.1, DISTILBERT, {}, 217),
        (268.1, DISTILBERT, {"precision": "int8"}, 100),
        (436.0, BERT | {"hidden_size": 768, "architectures": ["BertForQuestionAnswering"]}, {}, 368),
        (297.0, MARIAN, {"precision": "int8"}, 126),
        (297.0, MARIAN, {}, 355),
        (1620.0, {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]}, {"precision": "q8_0"}, 513),
    ],
)  # fmt: skip
def test_the_expected_memory_is_near_what_was_measured(weights, config, wish, measured):
    found = chosen({SAFE: round(weights * MB), **TOKENIZER}, config, **wish)
    assert found.memory_mb == pytest.approx(measured, rel=0.1)
