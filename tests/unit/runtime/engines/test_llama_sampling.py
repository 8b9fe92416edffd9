"""Tokens are drawn from the distribution that transformers' rules give, and grammars are followed."""

import json
import re

import numpy as np
import pytest
from gguf_files import bundle, content, metadata, tiny, weights

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.llama import candidates
from firstlight.runtime.engines.llama.sampling import Sampler, mixed
from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.generation.wishes import Sampling

PROMPT = "The cat sat on the other one, and "


def load(folder, raw):
    return engines.load(Bundle.open(bundle(folder, raw)))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load(tmp_path_factory.mktemp("llama"), tiny())


@pytest.fixture(scope="module")
def ender(tmp_path_factory):
    """A model that would rather end than go on: the row of its end token is the likeliest's, and a little more."""
    tensors = weights("llama", len(metadata()["tokenizer.ggml.tokens"]))
    tensors["output.weight"][5:] *= 0.05
    tensors["output.weight"][0] = tensors["output.weight"][5:40].sum(axis=0) * 3
    return load(tmp_path_factory.mktemp("ender"), content(metadata(), tensors))


def generated(engine, prompt=PROMPT, **wishes):
    tokens = engine.encode(prompt) if isinstance(prompt, str) else prompt
    return list(engine.generate(tokens, Sampling(**wishes), NEVER))


def ids(engine, prompt=PROMPT, **wishes):
    return [token.id for token in generated(engine, prompt, **wishes)]


def text(engine, tokens):
    return b"".join(map(engine.piece, tokens)).decode("utf-8", "replace")


def logits(engine, tokens):
    """What follows some tokens, unchanged."""
    engine._memory._keep(0)
    engine._memory.read(list(tokens), len(tokens), NEVER)
    return np.array(candidates.logits(engine._library, engine._memory.context, engine._weights.count))


def softmax(numbers):
    powers = np.exp(numbers.astype(np.float64) - numbers.max())
    return powers / powers.sum()


def warped(numbers, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """Probabilities after transformers' TemperatureLogitsWarper, TopK, TopP and MinP, in this order."""
    numbers = numbers.astype(np.float64) / temperature
    if top_k:
        numbers[numbers < np.sort(numbers)[-top_k]] = -np.inf
    if top_p < 1:
        order = np.argsort(numbers)
        numbers[order[np.cumsum(softmax(numbers)[order]) <= 1 - top_p]] = -np.inf
    if min_p:
        found = softmax(numbers)
        numbers[found < min_p * found.max()] = -np.inf
    return softmax(numbers)


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"temperature": 0.6},
        {"top_k": 5},
        {"top_p": 0.6},
        {"min_p": 0.2},
        {"temperature": 1.4, "top_k": 30, "top_p": 0.8, "min_p": 0.05},
        {"temperature": 0.5, "top_p": 0.5, "min_p": 0.4},
    ],
    ids=str,
)
def test_tokens_are_drawn_as_transformers_would(engine, wishes):
    draws = 4000
    tokens = engine.encode(PROMPT)
    expected = warped(logits(engine, tokens), **wishes)
    sampling = Sampling(seed=3, **{"temperature": 1.0, **wishes})
    sampler = Sampler(engine._library, engine._weights, None, sampling, tokens)
    drawn = [sampler.draw(engine._memory.context, position).id for position in range(draws)]
    found = np.bincount(drawn, minlength=len(expected))
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(expected))
    # Chi-square over the tokens that are expected often enough; 4 sigma above its mean.
    often = expected * draws > 8
    statistic = ((found - expected * draws)[often] ** 2 / (expected * draws)[often]).sum()
    freedom = max(int(often.sum()) - 1, 1)
    assert statistic < freedom + 4 * np.sqrt(2 * freedom)


def test_a_place_is_drawn_alike_whatever_came_before(engine):
    tokens = engine.encode(PROMPT)
    logits(engine, tokens)
    sampling = Sampling(temperature=1.0, seed=9)

    def drawn(positions):
        sampler = Sampler(engine._library, engine._weights, None, sampling, tokens)
        return {position: sampler.draw(engine._memory.context, position).id for position in positions}

    forwards, backwards = drawn(range(40)), drawn(reversed(range(40)))
    assert forwards == backwards
    assert len(set(forwards.values())) > 10


def test_seeds_and_places_give_seeds_of_their_own():
    seeds = {mixed(seed, place, again) for seed in range(50) for place in range(50) for again in (0, 1)}
    assert len(seeds) > 4990
    assert max(seeds | {mixed(1 << 64, 1 << 40, 1), mixed(-5, 0, 0)}) < 0xFFFFFFFF


@pytest.mark.parametrize(
    "wishes", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-9}, {"temperature": 1e-40}]
)
def test_limits_that_leave_one_token_are_greedy(engine, wishes):
    assert ids(engine, max_tokens=12, **{"temperature": 1.0, "seed": 5, **wishes}) == ids(
        engine, max_tokens=12
    )


def test_limits_larger_than_the_vocabulary_are_none(engine):
    free = ids(engine, max_tokens=12, temperature=1.0, seed=5)
    assert ids(engine, max_tokens=12, temperature=1.0, seed=5, top_k=1 << 40) == free


@pytest.mark.parametrize("repetition", [1.0, 1.3, 0.8])
@pytest.mark.parametrize(("frequency", "presence"), [(0.0, 0.0), (0.7, 0.0), (0.0, 1.1), (-0.4, 0.9)])
def test_penalties(engine, repetition, frequency, presence):
    """Repetition counts prompt and answer, once each token; frequency and presence count the answer alone."""
    tokens = engine.encode(PROMPT)
    wishes = {"repetition_penalty": repetition, "frequency_penalty": frequency, "presence_penalty": presence}
    answer = ids(engine, tokens, max_tokens=25, **wishes)
    for place, token in enumerate(answer):
        numbers = logits(engine, tokens + answer[:place])
        for seen in {*tokens, *answer[:place]}:
            numbers[seen] = numbers[seen] / repetition if numbers[seen] > 0 else numbers[seen] * repetition
        for seen in set(answer[:place]):
            numbers[seen] -= answer[:place].count(seen) * frequency + presence
        assert token == numbers.argmax()


class TestEnd:
    def test_it_would_end(self, ender):
        assert len(ids(ender, max_tokens=30)) < 8

    @pytest.mark.parametrize("wishes", [{}, {"temperature": 0.9, "seed": 2}, {"logprobs": 1}])
    def test_not_before_that_many(self, ender, wishes):
        found = ids(ender, max_tokens=30, min_tokens=12, **wishes)
        assert len(found) >= 12
        assert not any(map(ender.ends, found[:12]))

    def test_counted_from_the_beginning_of_the_answer(self, ender):
        tokens = ender.encode(PROMPT)
        first = ids(ender, tokens, max_tokens=6, min_tokens=12)
        rest = ids(ender, tokens + first, max_tokens=30, min_tokens=12, generated=6)
        assert first + rest == ids(ender, tokens, max_tokens=30, min_tokens=12)

    def test_a_grammar_that_is_at_its_end_ends(self, ender):
        found = ids(ender, max_tokens=30, min_tokens=12, grammar='root ::= "a" "c"', logprobs=0)
        assert text(ender, found) == "ac"
        assert ender.ends(found[-1])


class TestLogprobs:
    def test_they_are_of_the_unchanged_logits(self, engine):
        tokens = engine.encode(PROMPT)
        wishes = {"temperature": 0.7, "top_k": 9, "repetition_penalty": 1.3, "seed": 4, "max_tokens": 12}
        found = generated(engine, tokens, logprobs=5, **wishes)
        assert [token.id for token in found] == ids(engine, tokens, **wishes)
        for token in found:
            expected = np.log(softmax(logits(engine, tokens)))
            best = np.argsort(-expected)[:5]
            assert token.logprob == pytest.approx(expected[token.id], abs=1e-5)
            assert [other for other, _ in token.top] == best.tolist()
            assert [logprob for _, logprob in token.top] == pytest.approx(expected[best].tolist(), abs=1e-5)
            tokens = [*tokens, token.id]

    def test_only_where_they_are_asked_for(self, engine):
        assert {(token.logprob, token.top) for token in generated(engine, max_tokens=3)} == {(None, ())}
        [token] = generated(engine, max_tokens=1, logprobs=0)
        assert token.logprob < 0
        assert token.top == []

    def test_of_the_end_that_comes_too_early(self, ender):
        tokens = ender.encode(PROMPT)
        found = generated(ender, tokens, max_tokens=8, min_tokens=20, logprobs=3)
        first = np.log(softmax(logits(ender, tokens)))
        assert found[0].logprob == pytest.approx(first[found[0].id], abs=1e-5)
        assert any(other == 0 for token in found for other, _ in token.top)


JSON = r"""
root ::= "{" pair ("," pair){0,2} "}"
pair ::= "\"" [a-c]{1,3} "\":" number
number ::= [1-9] [0-9]{0,2}
"""


class TestGrammar:
    @pytest.mark.parametrize("seed", range(12))
    def test_it_is_followed(self, engine, seed):
        found = ids(engine, max_tokens=200, temperature=1.5, seed=seed, grammar=JSON)
        assert engine.ends(found[-1])
        assert all(re.fullmatch("[abc]{1,3}", key) for key in json.loads(text(engine, found)))

    def test_greedily_it_takes_the_likeliest_that_is_allowed(self, engine):
        tokens = engine.encode(PROMPT)
        [first] = ids(engine, tokens, max_tokens=1, grammar="root ::= [a-z]+")
        numbers = logits(engine, tokens)
        allowed = [token for token in range(2, len(numbers)) if re.fullmatch(b"[a-z]+", engine.piece(token))]
        assert first == max(allowed, key=lambda token: numbers[token])

    def test_it_draws_from_what_is_allowed(self, engine):
        """Drawing freely and again where that is not allowed is drawing from what is allowed."""
        tokens, draws = engine.encode(PROMPT), 3000
        expected = softmax(logits(engine, tokens))
        allowed = [engine.encode(letter)[0] for letter in "abc"]
        drawn = []
        for seed in range(draws):
            sampling = Sampling(temperature=1.0, seed=seed, grammar="root ::= [abc]")
            engine._room_to_choose(sampling)
            sampler = Sampler(engine._library, engine._weights, engine._table, sampling, tokens)
            drawn.append(sampler.draw(engine._memory.context, 0).id)
        shares = expected[allowed] / expected[allowed].sum()
        found = np.array([drawn.count(token) for token in allowed])
        assert found.sum() == draws
        assert np.abs(found - shares * draws).max() < 4 * np.sqrt(draws / 4)

    @pytest.mark.parametrize(
        "grammar",
        [
            "nonsense",
            "root ::= other",
            'root ::= root "a"',
            'other ::= "a"',
            'root ::= "a',
            "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000,
            'root ::= "a"{5,2}',
            'root ::= "a"{1,99999999}',
            'root ::= "a"{1000000}',
            'root ::= "\0"',
            "root ::= " + '"a" ' * 60_000,
            'root ::= "\ud800',
        ],
        ids=lambda grammar: grammar[:20],
    )
    def test_what_is_no_grammar(self, engine, grammar):
        with pytest.raises(InvalidInput, match="grammar"):
            engine.generate([5], Sampling(grammar=grammar), NEVER)

    def test_an_answer_that_did_not_follow_it(self, engine):
        tokens = engine.encode("abc")
        with pytest.raises(InvalidInput, match="does not follow"):
            engine.generate(tokens, Sampling(grammar='root ::= "xyz"', generated=3), NEVER)

    def test_what_the_vocabulary_cannot_write(self, engine):
        with pytest.raises(EngineError, match="no token"):
            ids(engine, max_tokens=5, grammar="root ::= [z-a]")
        assert ids(engine, max_tokens=5)

    def test_letters_of_several_tokens(self, engine):
        assert text(engine, ids(engine, max_tokens=20, grammar='root ::= "✓é中"')) == "✓é中"
