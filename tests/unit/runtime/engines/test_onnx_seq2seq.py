"""The engine on graphs made of a tiny repository, against the same arithmetic in numpy without a cache."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import small_seq2seq as small
from hypothesis import given, settings
from hypothesis import strategies as st
from table_models import Countdown

from firstlight.build.convert import onnx_seq2seq
from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines import onnx_seq2seq as module
from firstlight.runtime.errors import BundleError, EngineError
from firstlight.runtime.generation.beam import BeamSearch, single
from firstlight.runtime.generation.chain import Chain
from firstlight.runtime.generation.wishes import Search
from trying import examples

SOURCE = [5, 9, 30, 17, 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("seq2seq")
    small.repository(root)
    return onnx_seq2seq.convert(root, root / "bundle")


@pytest.fixture(scope="module")
def engine(folder):
    return engines.load(Bundle.open(folder))


WEIGHTS = small.weights()


def numpy_step(source):
    """A step by numpy: every row is worked out anew."""

    def step(asked):
        found = []
        for place, (row, total) in enumerate(zip(asked.rows, asked.sums, strict=True)):
            scores = small.logits(WEIGHTS, source, row).astype(np.float64)
            if asked.normalise:
                scores = scores - scores.max()
                scores = scores - np.log(np.exp(scores).sum())
            if asked.penalty != 1:
                seen = list(set(row))
                below = scores[seen] < 0
                scores[seen] *= np.where(below, asked.penalty, 1 / asked.penalty)
            scores[[token for banned, token in asked.banned if banned == place]] = -np.inf
            found += [(single(float(score) + total), place, token) for token, score in enumerate(scores)]
        found.sort(key=lambda candidate: candidate[0], reverse=True)
        return found[: asked.count]

    return step


def same(found, expected):
    assert [list(one.units) for one in found] == [list(one.units) for one in expected]
    assert [one.whole for one in found] == [one.whole for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)


@settings(max_examples=examples(30), deadline=None)
@given(
    st.lists(st.integers(0, small.VOCABULARY - 1), min_size=1, max_size=12),
    st.lists(st.integers(2, small.VOCABULARY - 1), max_size=2),
    st.builds(
        Search,
        num_beams=st.integers(2, 5),
        max_tokens=st.integers(1, 14),
        min_tokens=st.integers(0, 6),
        length_penalty=st.sampled_from([0.0, 1.0, 2.0]),
        early_stopping=st.sampled_from([True, False, "never"]),
        repetition_penalty=st.sampled_from([1.0, 1.6]),
        no_repeat_ngram=st.integers(0, 3),
        answers=st.integers(1, 5),
    ),
)
def test_beams(engine, source, prefix, search):
    expected = BeamSearch(numpy_step(source), engine.rules, prefix, source, search).run(NEVER)
    same(engine.search(source, prefix, search, NEVER), expected)


@settings(max_examples=examples(30), deadline=None)
@given(
    st.lists(st.integers(0, small.VOCABULARY - 1), min_size=1, max_size=12),
    st.lists(st.integers(2, small.VOCABULARY - 1), max_size=2),
    st.builds(
        Search,
        max_tokens=st.integers(1, 14),
        min_tokens=st.integers(0, 6),
        repetition_penalty=st.sampled_from([1.0, 1.6, 0.8]),
        no_repeat_ngram=st.integers(0, 3),
        temperature=st.sampled_from([0.0, 0.7]),
        top_k=st.sampled_from([0, 3, 50]),
        top_p=st.sampled_from([1.0, 0.8]),
        seed=st.integers(0, 99),
    ),
)
def test_one_after_another(engine, source, prefix, search):
    chain = Chain(numpy_step(source), engine.rules, prefix, source, search)
    expected = list(chain.tokens(NEVER))
    (found,) = engine.search(source, prefix, search, NEVER)
    assert (list(found.units), found.whole) == (expected, chain.whole)
    assert list(engine.stream(source, prefix, search, NEVER)) == expected


def test_more_beams_than_tokens(engine):
    search = Search(num_beams=45, max_tokens=3, answers=3)
    expected = BeamSearch(numpy_step(SOURCE), engine.rules, [], SOURCE, search).run(NEVER)
    same(engine.search(SOURCE, [], search, NEVER), expected)


def test_several_drawn_answers(engine):
    search = Search(max_tokens=6, temperature=1.5, answers=3, seed=4)
    found = engine.search(SOURCE, [], search, NEVER)
    assert len({tuple(one.units) for one in found}) == 3
    assert (
        found[0].units
        == engine.search(SOURCE, [], Search(max_tokens=6, temperature=1.5, seed=4), NEVER)[0].units
    )


def test_answers_begin_as_the_model_has_it(folder, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(folder, place)
    described(place, begin=[7])
    engine = engines.load(Bundle.open(place))
    search = Search(num_beams=2, max_tokens=5)
    plain = engines.load(Bundle.open(folder))
    assert (
        engine.search(SOURCE, [], search, NEVER)[0].units == plain.search(SOURCE, [7], search, NEVER)[0].units
    )
    assert (
        engine.search(SOURCE, [9], search, NEVER)[0].units
        == plain.search(SOURCE, [9], search, NEVER)[0].units
    )


def test_a_row_of_the_cache_for_each_hypothesis(folder, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(folder, place)
    described(place, alike=False)
    engine = engines.load(Bundle.open(place))
    search = Search(num_beams=4, max_tokens=8, answers=4)
    same(
        engine.search(SOURCE, [], search, NEVER),
        engines.load(Bundle.open(folder)).search(SOURCE, [], search, NEVER),
    )


def test_with_packed_weights_the_answers_are_the_same(folder, monkeypatch):
    engine = engines.load(Bundle.open(folder))
    search = Search(num_beams=3, max_tokens=9, answers=3)
    before = engine.search(SOURCE, [], search, NEVER)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1")
    engine.settle()
    assert not engine.packed
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    engine.settle()
    engine.settle()
    assert engine.packed
    same(engine.search(SOURCE, [], search, NEVER), before)


def test_a_long_search_packs_in_its_midst(folder, monkeypatch):
    monkeypatch.setattr(module, "_ENOUGH", 3)
    engine = engines.load(Bundle.open(folder))
    search = Search(num_beams=3, max_tokens=9, min_tokens=9)
    expected = BeamSearch(numpy_step(SOURCE), engine.rules, [], SOURCE, search).run(NEVER)
    engine.search(SOURCE, [], Search(max_tokens=9, min_tokens=9), NEVER)
    assert not engine.packed
    same(engine.search(SOURCE, [], search, NEVER), expected)
    assert engine.packed


def test_weights_that_cannot_be_packed_stay_as_they_are(folder, monkeypatch):
    engine = engines.load(Bundle.open(folder))

    def refusing(name, settings):
        raise EngineError("no memory")

    monkeypatch.setattr(engine, "_opened", refusing)
    engine.settle()
    assert not engine.packed
    assert engine.search(SOURCE, [], Search(num_beams=2, max_tokens=4), NEVER)


def test_weights_that_give_other_numbers_are_packed_at_once(folder, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(folder, place)
    described(place, prepack=True)
    engine = engines.load(Bundle.open(place))
    assert engine.packed
    before = engine.next
    engine.settle()
    assert engine.next is before


def test_a_search_with_little_time_does_not_pack(folder, monkeypatch):
    monkeypatch.setattr(module, "_ENOUGH", 3)
    engine = engines.load(Bundle.open(folder))
    (found,) = engine.search(SOURCE, [], Search(num_beams=3, max_tokens=15, min_tokens=15), Countdown(25))
    assert not engine.packed
    assert not found.whole


def test_it_stops_in_time(engine):
    search = Search(max_tokens=15, min_tokens=15)
    whole = engine.search(SOURCE, [], search, NEVER)[0].units
    (found,) = engine.search(SOURCE, [], search, Countdown(4))
    assert 0 < len(found.units) < 4
    assert found.units == whole[: len(found.units)]
    assert not found.whole
    stream = engine.stream(SOURCE, [], search, NEVER)
    assert next(stream) == whole[0]
    stream.close()


def test_what_the_graphs_do_not_take(engine):
    for source, prefix in (([small.VOCABULARY], []), (SOURCE, [small.VOCABULARY])):
        with pytest.raises(EngineError, match="onnxruntime"):
            engine.search(source, prefix, Search(num_beams=2, max_tokens=4), NEVER)
    assert engine.search(SOURCE, [], Search(max_tokens=2), NEVER)


def described(place, **model):
    """Change settings under ``model`` in a copy of a bundle."""
    file = place / "bundle.json"
    content = json.loads(file.read_text())
    content["model"] |= model
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("model", [{"first": 3}, {"next": "other.onnx"}, {"start": None}])
def test_settings_that_are_wrong(folder, tmp_path, model):
    place = tmp_path / "bundle"
    shutil.copytree(folder, place)
    described(place, **model)
    with pytest.raises(BundleError):
        engines.load(Bundle.open(place))


def test_graphs_in_each_others_place(folder, tmp_path):
    place = tmp_path / "bundle"
    shutil.copytree(folder, place)
    described(place, next="first.onnx")
    with pytest.raises(EngineError, match="needs the input"):
        engines.load(Bundle.open(place)).search(SOURCE, [], Search(max_tokens=3, min_tokens=3), NEVER)
