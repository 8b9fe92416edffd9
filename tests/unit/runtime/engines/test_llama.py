"""The engine as a task sees it: tokens in, tokens out."""

import numpy as np
import pytest
from gguf_files import (
    F16,
    F32,
    FLOAT32,
    Q8_0,
    TEMPLATE,
    TURN,
    UINT32,
    bundle,
    content,
    metadata,
    tiny,
    weights,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.generation.wishes import Sampling
from trying import examples

PROMPT = "The cat sat on the other one, and "


def load(folder, raw, **model):
    return engines.load(Bundle.open(bundle(folder, raw, **model)))


def answer(engine, prompt, deadline=NEVER, **wishes):
    tokens = engine.encode(prompt) if isinstance(prompt, str) else prompt
    return [token.id for token in engine.generate(tokens, Sampling(**wishes), deadline)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return load(tmp_path_factory.mktemp("llama"), tiny())


@pytest.fixture
def fresh(tmp_path):
    """Makes engines that have read nothing yet."""
    return lambda: load(tmp_path / "fresh", tiny())


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return load(tmp_path_factory.mktemp("pieces"), tiny(vocabulary="sentence-pieces"))


class TestVocabulary:
    @given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
    @settings(max_examples=examples(200))
    def test_pieces_make_up_the_text(self, engine, text):
        tokens = engine.encode(text)
        assert b"".join(map(engine.piece, tokens)) == text.encode()

    @given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="▁"), max_size=40))
    def test_pieces_of_a_vocabulary_with_bytes_to_fall_back_on(self, pieces, text):
        tokens = pieces.encode(text, special=False)
        assert b"".join(map(pieces.piece, tokens)) in (text.encode(), b" " + text.encode())

    def test_words_are_merged(self, engine):
        assert [engine.piece(token) for token in engine.encode("the cat")] == [b"th", b"e", b" cat"]

    def test_a_prompt_begins_as_the_model_expects_it(self, engine, pieces):
        assert pieces.encode("a")[0] == 1
        assert pieces.encode("a", special=False)[0] != 1
        assert engine.encode("a") == engine.encode("a", special=False)

    def test_special_tokens_in_a_text_are_read_as_such_where_a_template_wrote_it(self, engine):
        assert engine.encode(f"{TURN}a", special=False)[0] == 1
        assert 1 not in engine.encode(f"{TURN}a")
        assert engine.piece(1) == b""

    def test_tokens_that_do_not_exist_have_no_piece(self, engine):
        assert [engine.piece(token) for token in (-1, 10_000, 1 << 40)] == [b"", b"", b""]
        assert not engine.ends(-1)
        assert not engine.ends(10_000)

    def test_ends(self, engine, pieces):
        assert engine.ends(0)
        assert not engine.ends(5)
        assert pieces.ends(2)

    def test_what_json_can_carry_and_utf8_cannot(self, engine):
        assert b"".join(map(engine.piece, engine.encode("a\ud800b"))) == "a\ufffdb".encode()
        assert b"".join(map(engine.piece, engine.encode("a\0b"))) == b"a\0b"

    def test_a_piece_can_be_long(self, tmp_path):
        values = metadata()
        values["tokenizer.ggml.tokens"].append("x" * 5000)
        values["tokenizer.ggml.token_type"].append(4)
        raw = content(values, weights("llama", len(values["tokenizer.ggml.tokens"])))
        engine = load(tmp_path, raw)
        assert engine.piece(len(values["tokenizer.ggml.tokens"]) - 1) == b"x" * 5000

    def test_words_of_any_length(self, tmp_path):
        """This vocabulary is split by std::regex, which recurses: 12,600 letters overrun a stack of 8 MB."""
        engine = load(tmp_path, tiny(changes={"tokenizer.ggml.pre": "deepseek-llm"}))
        for text in ("aB" * 20_000, " " * 30_000, "!?" * 16_000, "中" * 20_000):
            assert b"".join(map(engine.piece, engine.encode(text))) == text.encode()

    def test_texts_no_context_holds(self, engine):
        with pytest.raises(InvalidInput, match="more than this model's context can hold"):
            engine.encode("a" * 70_000)

    def test_what_a_chat_template_needs(self, engine, pieces):
        assert engine.template == TEMPLATE
        assert pieces.template == ""
        assert dict(pieces.special) == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


class TestSettings:
    def test_the_context_is_the_models_own(self, engine):
        assert engine.context == 1024

    def test_the_context_has_a_limit_where_nobody_says(self, tmp_path):
        assert load(tmp_path, tiny(context=100_000)).context == 4096

    def test_the_context_is_the_bundles(self, tmp_path):
        assert load(tmp_path, tiny(), context=2000).context == 2000

    @pytest.mark.parametrize("model", [{"context": 0}, {"context": "7"}, {"context": True}, {"file": 7}])
    def test_settings_that_are_none(self, tmp_path, model):
        with pytest.raises(BundleError):
            load(tmp_path, tiny(), **model)

    def test_a_file_the_bundle_does_not_list(self, tmp_path):
        with pytest.raises(BundleError, match=r"other\.gguf"):
            load(tmp_path, tiny(), file="other.gguf")

    def test_weights_can_be_rearranged(self, tmp_path):
        assert answer(load(tmp_path, tiny(kind=Q8_0), repack=True), PROMPT, max_tokens=5)

    @pytest.mark.parametrize("architecture", ["llama", "gptneox"])
    @pytest.mark.parametrize("vocabulary", ["byte-level", "sentence-pieces"])
    @pytest.mark.parametrize("kind", [F32, F16, Q8_0])
    def test_models(self, tmp_path, architecture, vocabulary, kind):
        engine = load(tmp_path, tiny(architecture, vocabulary, kind=kind))
        assert len(answer(engine, PROMPT, max_tokens=5)) == 5

    def test_rotations_that_depend_on_the_size_of_the_context(self, tmp_path):
        key = "llama.rope.scaling.original_context_length"
        engine = load(tmp_path, tiny(changes={key: (UINT32, 256), "llama.rope.scaling.type": "yarn"}))
        assert len(answer(engine, PROMPT, max_tokens=5)) == 5

    def test_settling_changes_nothing(self, engine):
        before = answer(engine, PROMPT, max_tokens=5)
        engine.settle()
        assert answer(engine, PROMPT, max_tokens=5) == before


class TestGeneration:
    def test_it_is_the_same_each_time(self, engine, fresh):
        assert answer(engine, PROMPT, max_tokens=40) == answer(fresh(), PROMPT, max_tokens=40)

    def test_the_limit(self, engine):
        assert [len(answer(engine, PROMPT, max_tokens=most)) for most in (0, 1, 7)] == [0, 1, 7]

    def test_the_limit_counts_from_the_beginning_of_the_answer(self, engine):
        tokens = engine.encode(PROMPT)
        first = answer(engine, tokens, max_tokens=4)
        assert len(answer(engine, tokens + first, max_tokens=9, generated=4)) == 5
        assert answer(engine, tokens + first, max_tokens=3, generated=4) == []

    def test_the_context_is_a_limit(self, tmp_path):
        engine = load(tmp_path, tiny(), context=50)
        tokens = engine.encode(PROMPT)
        assert len(answer(engine, tokens)) == 50 - len(tokens)
        assert answer(engine, (tokens * 9)[:50]) == []
        with pytest.raises(InvalidInput, match="has 51 tokens, and this model's context holds 50"):
            engine.generate((tokens * 9)[:51], Sampling(), NEVER)

    def test_an_answer_ends_with_the_end_token(self, engine):
        tokens = answer(engine, PROMPT, grammar='root ::= "a cat"')
        assert b"".join(map(engine.piece, tokens)) == b"a cat"
        assert engine.ends(tokens[-1])
        assert not any(map(engine.ends, tokens[:-1]))

    def test_nothing_to_begin_with(self, engine, tmp_path):
        assert answer(engine, [], max_tokens=3) == answer(engine, [0], max_tokens=3)
        for nothing in (None, (UINT32, 4_000_000_000)):
            without = load(tmp_path, tiny(changes={"tokenizer.ggml.bos_token_id": nothing}))
            assert "bos_token" not in without.special
            with pytest.raises(InvalidInput, match="empty"):
                without.generate([], Sampling(), NEVER)

    @pytest.mark.parametrize("token", [-1, 10_000, 1 << 31, 1 << 70])
    def test_tokens_that_do_not_exist(self, engine, token):
        with pytest.raises(InvalidInput, match="not one of the model's"):
            engine.generate([5, token], Sampling(), NEVER)

    def test_the_prompt_stays_as_it_is(self, engine):
        tokens = engine.encode(PROMPT)
        before = list(tokens)
        answer(engine, tokens, max_tokens=5)
        assert tokens == before

    def test_closing_ends_it(self, engine, fresh):
        tokens = engine.generate(engine.encode(PROMPT), Sampling(), NEVER)
        next(tokens)
        tokens.close()
        assert list(tokens) == []
        assert answer(engine, PROMPT, max_tokens=9) == answer(fresh(), PROMPT, max_tokens=9)

    def test_answers_that_take_turns(self, engine, fresh):
        prompts = [engine.encode(text) for text in (PROMPT, "On the cat ", PROMPT + "th")]
        alone = [answer(fresh(), prompt, max_tokens=12) for prompt in prompts]
        going = [engine.generate(prompt, Sampling(max_tokens=12), NEVER) for prompt in prompts]
        together = [[token.id for token in turn] for turn in zip(*going, strict=True)]
        assert [list(tokens) for tokens in zip(*together, strict=True)] == alone

    def test_numbers_that_are_none(self, tmp_path):
        """Weights that overflow give logits that are no numbers; that is an answer like any other."""
        tensors = weights("llama", len(metadata()["tokenizer.ggml.tokens"]))
        tensors["output.weight"][:] = np.nan
        engine = load(tmp_path, content(metadata(), tensors))
        found = list(engine.generate([5], Sampling(max_tokens=3, logprobs=2), NEVER))
        assert [token.logprob for token in found] == [None] * len(found)
        assert found
        assert answer(engine, [5], max_tokens=3, temperature=1.0)

    def test_a_model_without_limits(self, tmp_path):
        changes = {"llama.rope.freq_base": (FLOAT32, 500000.0)}
        assert len(answer(load(tmp_path, tiny(changes=changes)), PROMPT, max_tokens=600)) == 600


class Counted(Deadline):
    """Passes when it was looked at often enough."""

    __slots__ = ("looks",)

    def __init__(self, looks):
        super().__init__(1e12)
        self.looks = looks

    @property
    def passed(self):
        self.looks -= 1
        return self.looks < 0


class TestDeadline:
    def test_one_that_has_passed(self, engine):
        assert answer(engine, PROMPT, Deadline(0.0)) == []

    @pytest.mark.parametrize("looks", [1, 2, 5, 20, 60])
    def test_while_the_prompt_is_read(self, fresh, looks):
        """In the midst of a batch too: at the first graph, hundreds of operations are asked about."""
        engine = fresh()
        tokens = engine.encode(PROMPT) * 60
        assert answer(engine, tokens[:900], Counted(looks)) == []
        assert answer(engine, tokens[:900], max_tokens=5) == answer(fresh(), tokens[:900], max_tokens=5)

    def test_between_tokens(self, engine):
        whole = answer(engine, PROMPT, max_tokens=100)
        deadline = Deadline(1e12)
        tokens = []
        for token in engine.generate(engine.encode(PROMPT), Sampling(), deadline):
            tokens.append(token.id)
            if len(tokens) == 7:
                deadline.at = 0.0
        assert tokens == whole[:7]
