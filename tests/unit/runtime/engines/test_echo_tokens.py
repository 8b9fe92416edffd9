import json
from time import monotonic

import pytest

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.errors import EngineError, InvalidInput
from firstlight.runtime.generation.wishes import Sampling


@pytest.fixture
def engine(tmp_path):
    content = {"schema": 1, "name": "fake", "task": "text-generation", "engine": "echo", "files": {}}
    (tmp_path / "bundle.json").write_text(json.dumps({**content, "model": {"context": 32}}))
    return engines.load(Bundle.open(tmp_path))


def said(engine, prompt, sampling=None, deadline=NEVER):
    tokens = list(engine.generate(prompt, sampling or Sampling(), deadline))
    return b"".join(engine.piece(token.id) for token in tokens), tokens


def test_it_says_the_prompt_and_ends(engine):
    text, tokens = said(engine, engine.encode("déjà vu"))
    assert text.decode() == "déjà vu"
    assert [engine.ends(token.id) for token in tokens] == [False] * 9 + [True]
    assert tokens[0].logprob is None
    assert said(engine, engine.encode("a"), Sampling(logprobs=0))[1][0].logprob == 0.0


def test_an_answer_goes_on_where_it_was_cut(engine):
    prompt = engine.encode("first light")
    first = said(engine, prompt, Sampling(max_tokens=5))
    rest = said(engine, [*prompt, *(token.id for token in first[1])], Sampling(generated=5))
    assert (first[0], rest[0]) == (b"first", b" light")


def test_the_context_is_the_limit(engine):
    text, _ = said(engine, engine.encode("x" * 20))
    assert text == b"x" * 11
    with pytest.raises(InvalidInput, match="the prompt has 33 tokens, the model takes 32"):
        said(engine, engine.encode("x" * 32))


def test_a_passed_deadline_ends_it(engine):
    assert said(engine, engine.encode("abc"), deadline=Deadline(monotonic()))[1] == []


def test_it_fails_where_it_is_told_to(engine):
    tokens = engine.generate(engine.encode("ab\x15c"), Sampling(), NEVER)
    assert [engine.piece(next(tokens).id) for _ in "ab"] == [b"a", b"b"]
    with pytest.raises(EngineError):
        next(tokens)


def test_closing_it_is_noticed(engine):
    tokens = engine.generate(engine.encode("abc"), Sampling(), NEVER)
    next(tokens)
    tokens.close()
    assert (engine.closed, engine.generated) == (1, 1)
