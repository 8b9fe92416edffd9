"""A seeded language model of two layers, made with CTranslate2's own specification."""

import json
import subprocess
import sys
from time import monotonic

import ctranslate2
import numpy as np
import pytest
from ctranslate2.specs import common_spec, transformer_spec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from firstlight.build import bundle as bundles
from firstlight.runtime import engines, notes
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.generation.wishes import Sampling

WIDTH, LAYERS, HEADS, CONTEXT = 16, 2, 2, 64
WORDS = ["<unk>", "<s>", "</s>", *(chr(code) for code in range(ord("a"), ord("z") + 1)), "Ġ", "Ã", "©"]


def seeded(folder):
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        LAYERS, HEADS, pre_norm=True, activation=common_spec.Activation.GELU
    )
    rng = np.random.default_rng(7)

    def linear(layer, inside, outside):
        layer.weight = rng.normal(0, 0.4, (outside, inside)).astype("f4")
        layer.bias = np.zeros(outside, "f4")

    def norm(layer):
        layer.gamma, layer.beta = np.ones(WIDTH, "f4"), np.zeros(WIDTH, "f4")

    decoder = spec.decoder
    decoder.embeddings.weight = rng.normal(0, 1, (len(WORDS), WIDTH)).astype("f4")
    decoder.position_encodings.encodings = rng.normal(0, 1, (CONTEXT, WIDTH)).astype("f4")
    decoder.projection.weight = rng.normal(0, 1, (len(WORDS), WIDTH)).astype("f4")
    norm(decoder.layer_norm)
    for layer in decoder.layer:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], WIDTH, 3 * WIDTH)
        linear(layer.self_attention.linear[1], WIDTH, WIDTH)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, WIDTH, 4 * WIDTH)
        linear(layer.ffn.linear_1, 4 * WIDTH, WIDTH)
    spec.register_vocabulary(list(WORDS))
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.validate()
    spec.save(str(folder))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("decoder")
    seeded(made)
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(WORDS)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(WORDS[:3])
    tokenizer.save(str(made / "tokenizer.json"))
    meta = {"name": "tiny", "task": "text-generation", "engine": "ctranslate2", "precision": "fp32"}
    meta |= {"model": {"kind": "decoder", "context": CONTEXT}, "labels": [], "defaults": {}}
    bundles.write(made, {**meta, "source": {}, "parity": {}})
    return made


@pytest.fixture(scope="module")
def engine(folder):
    return engines.load(Bundle.open(folder))


def ids(engine, prompt="first light", sampling=None, deadline=NEVER):
    return [token.id for token in engine.generate(engine.encode(prompt), sampling or Sampling(), deadline)]


def test_greedy_tokens_are_the_librarys_own(engine, folder):
    bare = ctranslate2.Generator(str(folder), intra_threads=1)
    prompt = [WORDS[token] for token in engine.encode("first light")]
    [result] = bare.generate_batch(
        [prompt], max_length=20, include_prompt_in_result=False, return_end_token=True
    )
    assert ids(engine, sampling=Sampling(max_tokens=20)) == result.sequences_ids[0]


def test_text_and_tokens(engine):
    assert engine.encode("é a") == [WORDS.index(word) for word in ("Ã", "©", "Ġ", "a")]
    assert b"".join(map(engine.piece, engine.encode("é a"))).decode() == "é a"
    assert engine.encode("a</s>", special=False) == [WORDS.index("a"), 2]
    assert (engine.piece(2), engine.ends(2), engine.ends(3)) == (b"", True, False)


def test_a_cut_answer_goes_on(engine):
    whole = ids(engine, sampling=Sampling(max_tokens=12))
    first = ids(engine, sampling=Sampling(max_tokens=5))
    going_on = Sampling(max_tokens=12, generated=5)
    rest = [token.id for token in engine.generate([*engine.encode("first light"), *first], going_on, NEVER)]
    assert first + rest == whole


def test_log_probabilities(engine):
    found = list(engine.generate(engine.encode("first"), Sampling(max_tokens=3, logprobs=0), NEVER))
    assert all(token.logprob is not None and token.logprob < 0 for token in found)


def test_drawing_is_said_to_be_without_a_seed(engine):
    notes.clear()
    assert len(ids(engine, sampling=Sampling(max_tokens=4, temperature=1.0, top_k=5))) <= 4
    assert "without a seed" in notes.warnings[0]


def test_the_deadline_and_the_reader_end_it(engine):
    assert ids(engine, deadline=Deadline(monotonic())) == []
    tokens = engine.generate(engine.encode("first"), Sampling(), NEVER)
    next(tokens)
    tokens.close()
    assert len(ids(engine, sampling=Sampling(max_tokens=3))) == 3


@pytest.mark.parametrize(
    ("wish", "name"),
    [({"min_p": 0.1}, "min_p"), ({"grammar": "root ::= [a]"}, "grammar"), ({"logprobs": 3}, "top_n")],
)
def test_what_the_library_cannot_do_is_refused(engine, wish, name):
    with pytest.raises(InvalidInput, match=name):
        ids(engine, sampling=Sampling(**wish))


def test_prompts_that_do_not_fit(engine):
    with pytest.raises(InvalidInput, match="has 65 tokens, the model takes 64"):
        ids(engine, "x" * 65)
    with pytest.raises(InvalidInput, match="empty"):
        ids(engine, "")
    assert len(ids(engine, "x" * 60)) <= 4


def test_a_damaged_model_is_an_engine_error(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:-1000] + bytes(1000))
    (tmp_path / "config.json").write_text("{")
    content = json.loads((tmp_path / "bundle.json").read_text())
    content["files"]["config.json"]["size"] = 1
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(EngineError, match="ctranslate2 cannot load"):
        engines.load(Bundle.open(tmp_path))


def test_a_process_that_generated_ends_quietly(folder):
    code = (
        "import sys; from firstlight.runtime import engines; from firstlight.runtime.bundle import Bundle\n"
        "from firstlight.runtime.deadline import NEVER\n"
        "from firstlight.runtime.generation.wishes import Sampling\n"
        f"engine = engines.load(Bundle.open({str(folder)!r}))\n"
        "tokens = engine.generate(engine.encode('ab'), Sampling(), NEVER)\n"
        "print(next(tokens).id)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
