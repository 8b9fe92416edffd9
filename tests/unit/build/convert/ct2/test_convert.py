"""Folders of the hub become bundles that say what numpy says, and damaged ones are refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy_models as small
import pytest

from firstlight.build.convert import ct2
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.ctranslate2 import Translator
from firstlight.runtime.errors import ConversionError
from firstlight.runtime.generation.wishes import Search

SOURCES = ([3, 9, 27, 0], [40, 5, 5, 11, 18, 0], [7, 0])
MODELS = {
    **{kind: (lambda kind=kind, **more: small.like_bart(kind, **more)) for kind in
       ("bart", "mbart", "marian", "pegasus", "m2m_100")},
    "t5": lambda **more: small.t5(gated=False, **more),
    "t5-1.1": lambda **more: small.t5(gated=True, **more),
}  # fmt: skip


def converted(folder: Path, model: small.Model, **options: Any) -> Bundle:
    small.words(folder)
    shards = options.pop("shards", 1)
    model.save(folder, shards)
    return Bundle.open(ct2.convert(folder, folder / "out", **options))


def tokens(ids: list[int]) -> list[str]:
    return [small.WORDS[one] for one in ids]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_numpy_says(tmp_path: Path, name: str) -> None:
    model = MODELS[name](seed=len(name))
    engine = Translator(converted(tmp_path, model, shards=1 + len(name) % 2))
    longest = 0
    for source in SOURCES:
        answer = small.greedy(model, source, 10)
        found = engine.search(tokens(source), [], Search(num_beams=1, max_tokens=10), NEVER)
        assert found[0].units == tokens(answer)
        expected = small.log_probabilities(model, source, answer)[np.arange(len(answer)), answer]
        (scored,) = engine._translator.score_batch([tokens(source)], [tokens(answer)])
        never = small.log_probabilities(model, source, answer)[:-1, -1] if name == "marian" else -np.inf
        # Where a token was taken off the vocabulary, the others share what it had.
        expected = expected - np.log1p(-np.exp(never))
        assert np.abs(np.array(scored.log_probs[: len(answer)]) - expected).max(initial=0) < 1e-4
        longest = max(longest, len(answer))
    assert longest > 5


def test_sixteen_bits_are_read_as_float32(tmp_path: Path) -> None:
    model = small.like_bart("bart", seed=3)
    half = small.Model(
        model.config, {name: value.astype(np.float16) for name, value in model.weights.items()}
    )
    engine = Translator(converted(tmp_path, half))
    exact = small.Model(
        model.config, {name: value.astype(np.float32) for name, value in half.weights.items()}
    )
    found = engine.search(tokens(SOURCES[0]), [], Search(num_beams=1, max_tokens=10), NEVER)
    assert found[0].units == tokens(small.greedy(exact, SOURCES[0], 10))


@pytest.mark.parametrize("name", ["marian", "t5-1.1"])
def test_eight_bits_are_near(tmp_path: Path, name: str) -> None:
    model = MODELS[name](seed=2)
    bundle = converted(tmp_path, model, precision="int8")
    assert bundle.precision == "int8"
    engine = Translator(bundle)
    differences = []
    for source in SOURCES:
        answer = small.greedy(model, source, 8)
        expected = small.log_probabilities(model, source, answer)[np.arange(len(answer)), answer]
        (scored,) = engine._translator.score_batch([tokens(source)], [tokens(answer)])
        differences += list(np.abs(np.array(scored.log_probs[: len(answer)]) - expected))
    assert 0 < np.mean(differences) < 0.3


def test_a_first_embedding_that_is_not_zero_is_kept(tmp_path: Path) -> None:
    model = small.like_bart("marian", seed=5)
    model.weights["model.shared.weight"][-1] = 0.5
    bundle = converted(tmp_path, model)
    assert bundle.model["never"] == [["<pad>"]]
    engine = Translator(bundle)
    for source in SOURCES:
        found = engine.search(tokens(source), [], Search(num_beams=1, max_tokens=10), NEVER)
        assert found[0].units == tokens(small.greedy(model, source, 10))


def test_heads_of_another_width(tmp_path: Path) -> None:
    """T5's heads need not make up the width of the model."""
    model = small.t5(gated=False, seed=4, inner=8)
    engine = Translator(converted(tmp_path, model))
    found = engine.search(tokens(SOURCES[1]), [], Search(num_beams=1, max_tokens=10), NEVER)
    assert found[0].units == tokens(small.greedy(model, SOURCES[1], 10))


def test_rows_without_a_token_have_a_name(tmp_path: Path) -> None:
    bundle = converted(tmp_path, small.like_bart("bart", rows=len(small.WORDS) + 3, pad_token_id=50))
    written = json.loads(Path(bundle.path, "shared_vocabulary.json").read_text())
    assert written == [*small.WORDS, "<extra_id_0>", "<extra_id_1>", "<extra_id_2>"]


def test_large_tensors_lie_where_memory_has_them(tmp_path: Path) -> None:
    from firstlight.build.convert.ct2.writing import LARGE, PAGE, PLACE
    from firstlight.runtime.engines.ctranslate2_sharing import _tensors

    small.words(tmp_path)
    model = small.like_bart("bart", seed=1)
    wide = dict(model.weights)
    wide["model.encoder.layers.0.fc1.weight"] = np.zeros((900, small.WIDTH), np.float32)
    wide["model.encoder.layers.0.fc1.bias"] = np.zeros(900, np.float32)
    wide["model.encoder.layers.0.fc2.weight"] = np.ones((small.WIDTH, 900), np.float32)
    small.Model(model.config, wide).save(tmp_path)
    out = ct2.convert(tmp_path, tmp_path / "out")
    places = [start % PAGE for start, size in _tensors((out / "model.bin").read_bytes()) if size >= LARGE]
    assert places == [PLACE, PLACE]


def test_what_a_bundle_says(tmp_path: Path) -> None:
    model = small.like_bart("marian")
    (tmp_path / "generation_config.json").write_text(
        json.dumps(
            {"num_beams": 6, "max_length": 512, "forced_eos_token_id": 0, "bad_words_ids": [[50]], "x": 1}
        )
    )
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"source_lang": "eng", "target_lang": "fra"}))
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    bundle = converted(tmp_path, model, name="translate")
    assert (bundle.name, bundle.task, bundle.engine, bundle.precision) == (
        "translate",
        "translation",
        "ctranslate2",
        "fp32",
    )
    assert bundle.model == {"file": "model.bin", "kind": "encoder-decoder"}
    assert bundle.defaults == {
        "generation": {"num_beams": 6, "max_length": 512, "forced_eos_token_id": 0, "bad_words_ids": [[50]]},
        "max_length": small.POSITIONS,
        "src_lang": "eng",
        "tgt_lang": "fra",
    }
    assert bundle.source == {"licence": "cc-by-4.0"}


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    first = converted(tmp_path, small.t5(gated=True), precision="int8").digest
    assert Bundle.open(ct2.convert(tmp_path, tmp_path / "out", precision="int8")).digest == first


def refused(folder: Path, **options: Any) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        ct2.convert(folder, folder / "out", **options)
    assert caught.value.hint
    return caught.value


def test_an_unknown_architecture(tmp_path: Path) -> None:
    model = small.like_bart("bart")
    model.config["model_type"] = "prophetnet"
    model.save(tmp_path)
    assert "prophetnet" in refused(tmp_path).message


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    small.like_bart("bart", rows=40).save(tmp_path)
    small.words(tmp_path)
    assert "51 tokens, and the model 40 embeddings" in refused(tmp_path).message
    small.like_bart("bart", rows=5000).save(tmp_path)
    assert "51 tokens, and the model 5000 embeddings" in refused(tmp_path).message


def test_no_tokenizer(tmp_path: Path) -> None:
    small.like_bart("marian").save(tmp_path)
    assert "source.spm" in refused(tmp_path).message


def test_a_missing_tensor(tmp_path: Path) -> None:
    model = small.like_bart("bart")
    del model.weights["model.decoder.layers.1.fc2.weight"]
    model.save(tmp_path)
    small.words(tmp_path)
    assert "model.decoder.layers.1.fc2.weight" in refused(tmp_path).message


@pytest.mark.parametrize("kept", [4, 400, 20_000])
def test_a_cut_file_of_weights(tmp_path: Path, kept: int) -> None:
    small.like_bart("bart").save(tmp_path)
    small.words(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    assert "safetensors" in refused(tmp_path).message


@pytest.mark.parametrize(
    ("field", "value"),
    [("encoder_layers", "two"), ("d_model", 0), ("encoder_attention_heads", None), ("activation_function", "sine"),
     ("decoder_start_token_id", 4000), ("decoder_start_token_id", None)],
)  # fmt: skip
def test_a_config_that_is_none(tmp_path: Path, field: str, value: Any) -> None:
    model = small.like_bart("bart")
    model.config[field] = value
    model.save(tmp_path)
    small.words(tmp_path)
    assert "config.json" in refused(tmp_path).message


def test_a_table_of_another_width(tmp_path: Path) -> None:
    """The official converter would write it, and CTranslate2 read over its end."""
    model = small.like_bart("bart")
    model.weights["model.encoder.layers.0.fc1.weight"] = np.zeros((small.INNER, 7), np.float32)
    model.save(tmp_path)
    small.words(tmp_path)
    assert "layer 0, feed-forward (fc1) has 7 features where 24 meet it" in refused(tmp_path).message


def test_heads_that_do_not_share_the_width(tmp_path: Path) -> None:
    model = small.like_bart("bart", encoder_attention_heads=5)
    model.save(tmp_path)
    small.words(tmp_path)
    assert "5 heads" in refused(tmp_path).message


def test_the_folder_itself_is_no_place_for_the_bundle(tmp_path: Path) -> None:
    small.like_bart("bart").save(tmp_path)
    with pytest.raises(ConversionError, match="is the model folder itself"):
        ct2.convert(tmp_path, tmp_path)
    with pytest.raises(ConversionError, match="precision 'q4'"):
        ct2.convert(tmp_path, tmp_path / "out", precision="q4")
