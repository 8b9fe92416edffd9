"""Repositories with ONNX graphs to bundles: every layout, and what is wrong with them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
import small_seq2seq as small
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from firstlight.build.convert import onnx_seq2seq, onnx_seq2seq_files, onnx_seq2seq_parity
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.onnx_seq2seq import OnnxSequence
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.generation.wishes import Search
from firstlight.runtime.model import Model

SOURCE = [5, 9, 30, 17, 1]


@pytest.fixture
def repository(tmp_path):
    small.repository(tmp_path)
    return tmp_path


def answers(place):
    engine = OnnxSequence(Bundle.open(place, verify="hashes"))
    found = engine.search(SOURCE, [], Search(num_beams=3, max_tokens=8, answers=3), NEVER)
    return [list(one.units) for one in found]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root = tmp_path_factory.mktemp("expected")
    small.repository(root)
    return answers(onnx_seq2seq.convert(root, root / "bundle"))


@pytest.mark.parametrize(
    ("kind", "place", "external", "opset"),
    [
        ("merged", ".", True, 17),
        ("pair", "onnx", False, 14),
        ("pair", ".", True, 20),
    ],
)
def test_layouts(tmp_path, expected, kind, place, external, opset):
    small.repository(tmp_path, kind, place, external=external, opset=opset)
    assert onnx_seq2seq_files.there(tmp_path)
    assert answers(onnx_seq2seq.convert(tmp_path, tmp_path / "bundle")) == expected


def test_precisions(tmp_path, expected):
    small.repository(tmp_path, seed=1)
    small.repository(tmp_path, suffix="_quantized")
    bundle = Bundle.open(onnx_seq2seq.convert(tmp_path, tmp_path / "bundle", precision="int8"))
    assert (bundle.precision, bundle.engine) == ("int8", "onnx-seq2seq")
    assert answers(bundle.path) == expected


def test_which_precision_is_taken(tmp_path):
    def find(precision=None):
        files = onnx_seq2seq_files.find(tmp_path, precision)
        return files.precision, files.encoder.name, len(files.decoders)

    small.repository(tmp_path, kind="pair", suffix="_int8")
    assert find() == ("int8", "encoder_model_int8.onnx", 2)
    small.repository(tmp_path, suffix="_quantized")
    assert find() == ("int8", "encoder_model_quantized.onnx", 1)
    with pytest.raises(ConversionError, match="int8, not in fp32") as caught:
        find("fp32")
    assert caught.value.hint == "ask for int8"
    small.repository(tmp_path, suffix="_fp16")
    small.repository(tmp_path, suffix="_q4")
    assert [find(one)[0] for one in (None, "fp16", "int8", "q4")] == ["fp16", "fp16", "int8", "q4"]
    small.repository(tmp_path)
    assert find() == ("fp32", "encoder_model.onnx", 1)


def test_what_a_bundle_says(repository):
    place = onnx_seq2seq.convert(
        repository, repository / "bundle", name="opus-mt-en-fr", source={"repo": "x/opus-mt-en-fr"}
    )
    bundle = Bundle.open(place, verify="hashes")
    assert (bundle.name, bundle.task, bundle.engine, bundle.precision) == (
        "opus-mt-en-fr",
        "translation",
        "onnx-seq2seq",
        "fp32",
    )
    assert bundle.defaults["max_length"] == small.POSITIONS
    assert (bundle.defaults["src_lang"], bundle.defaults["tgt_lang"]) == ("en", "fr")
    assert bundle.source == {"repo": "x/opus-mt-en-fr"}
    assert bundle.parity["max_logprob_diff"] < 1e-4
    assert bundle.model["alike"] is True
    assert bundle.model["positions"] == small.POSITIONS
    assert set(bundle.files) == {"encoder.onnx", "first.onnx", "next.onnx", "model.weights", "tokenizer.json"}
    (answer,) = Model.load(place, verify="sizes")("w5 w9 w30 w17", {"num_beams": 2, "max_length": 8})
    assert set(answer["translation_text"].split()) <= set(small.WORDS)
    asked = onnx_seq2seq.convert(repository, place, task="summarization")
    assert Bundle.open(asked).task == "summarization"


def test_the_same_folder_gives_the_same_bytes(repository):
    one, two = (Bundle.open(onnx_seq2seq.convert(repository, repository / name, name="x")) for name in "ab")
    assert one.digest == two.digest


def test_weights_are_kept_once(repository):
    place = onnx_seq2seq.convert(repository, repository / "bundle")
    offsets = {}
    for graph in ("encoder", "first", "next"):
        for tensor in onnx.load(place / f"{graph}.onnx", load_external_data=False).graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "offset":
                    offsets.setdefault(tuple(tensor.dims), set()).add(entry.value)
    assert len(offsets[small.VOCABULARY, small.FEATURES]) == 1
    assert len(offsets[small.FEATURES, small.VOCABULARY]) == 1


def test_packed_weights_are_there(repository):
    place = onnx_seq2seq.convert(repository, repository / "bundle")
    graph = onnx.load(place / "next.onnx", load_external_data=False).graph
    content = (place / "model.weights").read_bytes()
    packed = [
        (tensor, entry.value)
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key.startswith("prepacked")
    ]
    assert packed
    for tensor, value in packed:
        offset, length, _ = map(int, value.partition("|")[2].split(";"))
        found = np.frombuffer(content[offset : offset + length], np.float32)
        place = {entry.key: entry.value for entry in tensor.external_data}
        start = int(place["offset"])
        plain = np.frombuffer(content[start : start + int(place["length"])], np.float32)
        assert set(plain) <= set(found)


def test_what_each_kind_of_cpu_packs_otherwise_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(small, "FEATURES", 64)
    monkeypatch.setattr(small, "WIDTH", 64 // small.HEADS)
    repository = tmp_path
    small.repository(repository)
    for file in sorted((repository / "onnx").glob("*.onnx")):
        settings = {"weight_type": QuantType.QInt8, "extra_options": {"EnableSubgraph": True}}
        quantize_dynamic(file, file.with_name(f"{file.stem}_quantized.onnx"), **settings)
    place = onnx_seq2seq.convert(repository, repository / "bundle", precision="int8")
    graph = onnx.load(place / "next.onnx", load_external_data=False).graph
    keys = {
        tensor.data_type: {entry.key.partition("_")[0] for entry in tensor.external_data}
        for tensor in graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
    }
    assert TensorProto.INT8 in keys
    assert "prepacked" not in keys[TensorProto.INT8]


def test_what_an_exporter_could_not_know_is_gone(repository):
    place = onnx_seq2seq.convert(repository, repository / "bundle")
    for graph, tokens in (("next", 0), ("encoder", 0), ("first", 1)):
        nodes = onnx.load(place / f"{graph}.onnx", load_external_data=False).graph.node
        kinds = [node.op_type for node in nodes]
        assert kinds.count("Trilu") == tokens  # the mask of tokens that are there already
        names = {value for node in nodes for value in node.input}
        assert not names & {"attention_mask", "encoder_attention_mask"}


def damaged(model, change):
    graph = model.graph
    change(graph)
    return model


def renamed(old, new):
    def change(graph):
        for node in graph.node:
            node.output[:] = [new if name == old else name for name in node.output]
        for value in graph.output:
            value.name = new if value.name == old else value.name

    return change


def wants_more(graph):
    graph.input.append(helper.make_tensor_value_info("head_mask", TensorProto.FLOAT, [1]))
    last = graph.node[-1]
    last.output[0] = "plain"
    graph.node.append(helper.make_node("Mul", ["plain", "head_mask"], ["logits"]))


def reads_states(graph, operator="Shape"):
    """The step with a cache looks at the states of the source, as those of old T5 exports do."""
    states = helper.make_tensor_value_info(
        "encoder_hidden_states", TensorProto.FLOAT, ["batch", "source", small.FEATURES]
    )
    graph.input.append(states)
    graph.node[-1].output[0] = "plain"
    if operator == "Shape":
        graph.node.append(helper.make_node("Shape", ["encoder_hidden_states"], ["sizes"]))
        graph.node.append(helper.make_node("Cast", ["sizes"], ["numbers"], to=TensorProto.FLOAT))
        graph.node.append(helper.make_node("ReduceSum", ["numbers"], ["sum"], keepdims=0))
        graph.node.append(helper.make_node("Mul", ["plain", "sum"], ["larger"]))
        graph.node.append(helper.make_node("Div", ["larger", "sum"], ["logits"]))
    else:
        graph.node.append(helper.make_node("ReduceMax", ["encoder_hidden_states"], ["sum"], keepdims=0))
        graph.node.append(helper.make_node("Add", ["plain", "sum"], ["logits"]))


def test_a_step_that_reads_the_shape_of_the_states(repository, expected):
    pair(small.decoder(W, False), damaged(small.decoder(W, True), reads_states))(repository)
    place = onnx_seq2seq.convert(repository, repository / "bundle")
    assert "encoder_hidden_states" not in OnnxSequence(Bundle.open(place)).next.inputs
    assert answers(place) == expected


def write(folder, name, model):
    onnx.save(model, folder / "onnx" / f"{name}.onnx")


W = small.weights()
FIRST, NEXT, MERGED, ENCODER = (
    "decoder_model",
    "decoder_with_past_model",
    "decoder_model_merged",
    "encoder_model",
)


def without(name):
    return lambda folder: (folder / "onnx" / f"{name}.onnx").unlink()


def odd_names(folder):
    for name in (ENCODER, MERGED):
        (folder / "onnx" / f"{name}.onnx").rename(folder / "onnx" / f"{name.split('_')[0]}.onnx")


def uncached(folder):
    without(MERGED)(folder)
    write(folder, FIRST, small.decoder(W, False))


def put(name, model):
    return lambda folder: write(folder, name, model)


def pair(first, after):
    def change(folder):
        without(MERGED)(folder)
        write(folder, FIRST, first)
        write(folder, NEXT, after)

    return change


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


def config(**changes):
    return text("config.json", json.dumps({**small.CONFIG, **changes}))


def other_tokenizer(folder):
    small.tokenizer([f"w{number}" for number in range(60)] + ["</s>", "<unk>"]).save(
        str(folder / "tokenizer.json")
    )


def pathless(folder):
    small.repository(folder, external=True)
    (folder / "onnx" / f"{ENCODER}.onnx_data").unlink()


def cut_short(folder):
    small.repository(folder, external=True)
    file = folder / "onnx" / f"{MERGED}.onnx_data"
    file.write_bytes(file.read_bytes()[:1000])


def outside(folder):
    small.repository(folder, external=True)
    model = onnx.load(folder / "onnx" / f"{ENCODER}.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../../elsewhere"
    write(folder, ENCODER, model)


STATELESS = damaged(small.encoder(W), renamed("last_hidden_state", "states"))
SCORES = damaged(small.decoder(W, False), renamed("logits", "scores"))
MASKED = damaged(small.decoder(W, True), wants_more)
STATES = damaged(small.decoder(W, True), lambda graph: reads_states(graph, "ReduceMax"))
OLD = helper.make_model(small.encoder(W).graph, opset_imports=[helper.make_opsetid("", 9)])
UNKNOWN = '{"renormalize_logits": true}'
BAD = {
    "no graphs": (lambda folder: shutil.rmtree(folder / "onnx"), "no ONNX graphs", "optimum-cli export"),
    "no decoder": (without(MERGED), "an encoder and no decoder", "download"),
    "no encoder": (without(ENCODER), r"no encoder_model\.onnx", "GGUF"),
    "odd names": (odd_names, r"other names: decoder\.onnx, encoder\.onnx", "decoder_with_past_model"),
    "no cache": (uncached, "without a cache", "text2text-generation-with-past"),
    "no cache inside": (pair(small.decoder(W, False), small.decoder(W, False)), "no cache among", "export it again"),
    "no switch": (put(MERGED, small.decoder(W, False)), "no use_cache_branch", "export it again"),
    "no logits": (put(ENCODER, STATELESS), "no last_hidden_state", "states"),
    "other names inside": (pair(SCORES, small.decoder(W, True)), "no logits", "scores"),
    "more inputs": (pair(small.decoder(W, False), MASKED), "head_mask", "export it again"),
    "states in every step": (pair(small.decoder(W, False), STATES), "encoder_hidden_states", "export it again"),
    "not a graph": (text(f"onnx/{ENCODER}.onnx", "<html>not found</html>"), "not an ONNX graph", "download"),
    "old": (put(ENCODER, OLD), "opset 9", "export it again"),
    "no config": (lambda folder: (folder / "config.json").unlink(), r"no config\.json", ""),
    "broken config": (text("config.json", "{"), "cannot be read", ""),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"source\.spm", ""),
    "tokenizer of another model": (other_tokenizer, "has 62 tokens, and the model 41", "different models"),
    "no first token": (config(decoder_start_token_id=None), "no decoder_start_token_id", ""),
    "tokens there are not": (config(eos_token_id=41), r"the token 41 \(end\)", "different models"),
    "bad words there are not": (config(bad_words_ids=[[3], [99]]), r"the token 99 \(bad\)", ""),
    "what the engine does not do": (text("generation_config.json", UNKNOWN), "renormalize_logits", "remove"),
    "missing weights": (pathless, "onnx_data", "download"),
    "short weights": (cut_short, "too short", "download"),
    "weights elsewhere": (outside, "outside the folder", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong(repository, what):
    change, message, hint = BAD[what]
    change(repository)
    with pytest.raises(ConversionError, match=message) as caught:
        onnx_seq2seq.convert(repository, repository / "bundle")
    assert hint in caught.value.hint
    assert not (repository / "bundle" / "bundle.json").exists()


def test_other_numbers_are_refused(repository, monkeypatch):
    monkeypatch.setattr(onnx_seq2seq_parity, "_log_softmax", lambda logits: np.zeros_like(logits[:, -1]))
    with pytest.raises(ConversionError, match="give other numbers"):
        onnx_seq2seq.convert(repository, repository / "bundle")


def test_bad_requests(repository):
    with pytest.raises(ConversionError, match="precision 'fp8' is not one of"):
        onnx_seq2seq.convert(repository, repository / "bundle", precision="fp8")
    with pytest.raises(ConversionError, match="the model folder itself"):
        onnx_seq2seq.convert(repository, repository)


def test_the_rules_of_a_model(repository):
    (repository / "generation_config.json").write_text(
        json.dumps(
            {
                "decoder_start_token_id": 4,
                "eos_token_id": [1, 2],
                "forced_bos_token_id": 7,
                "forced_eos_token_id": 1,
                "bad_words_ids": [[3], [5, 6]],
                "suppress_tokens": [8],
                "begin_suppress_tokens": [9],
                "encoder_no_repeat_ngram_size": 3,
                "num_beams": 5,
            }
        )
    )
    bundle = Bundle.open(onnx_seq2seq.convert(repository, repository / "bundle"))
    named = {
        name: bundle.model[name] for name in ("start", "end", "begin", "forced_end", "bad", "source_ngram")
    }
    assert named == {
        "start": 4,
        "end": [1, 2],
        "begin": [7],
        "forced_end": [1],
        "bad": [[3], [5, 6]],
        "source_ngram": 3,
    }
    assert (bundle.model["suppressed"], bundle.model["suppressed_first"]) == ([8], [9])
    assert bundle.defaults["generation"]["num_beams"] == 5
