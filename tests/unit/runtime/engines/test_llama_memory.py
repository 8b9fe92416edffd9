"""What is kept from one request to the next, and never makes an answer another one."""

from time import monotonic

import pytest
from gguf_files import Q8_0, bundle, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER, Deadline
from firstlight.runtime.engines.llama.crew import Crew
from firstlight.runtime.engines.llama.memory import Memory
from firstlight.runtime.generation.wishes import Sampling
from trying import examples

KINDS = ["gptneox", "llama"]


def load(folder, architecture):
    return engines.load(Bundle.open(bundle(folder, tiny(architecture, kind=Q8_0, scale=0.5))))


@pytest.fixture(scope="module", params=KINDS)
def engine(request, tmp_path_factory):
    return load(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def cold(engine, monkeypatch):
    """Answers of an engine that forgets all before each of them."""

    def answered(tokens, **wishes):
        engine._memory.close()
        engine._memory = Memory(engine._library, engine._weights, engine.context, Crew(1))
        return answer(engine, tokens, **wishes)

    return answered


def answer(engine, tokens, **wishes):
    return [token.id for token in engine.generate(tokens, Sampling(**wishes), NEVER)]


def read(engine):
    return engine._memory._read


def test_the_next_turn_of_a_chat(engine, cold):
    first = engine.encode("The cat sat on the mat. ")
    said = answer(engine, first, max_tokens=20)
    turn = first + said + engine.encode(" And then the other cat sat ")
    before = read(engine)
    warm = answer(engine, turn, max_tokens=30)
    assert before == len(first) + 19
    assert warm == cold(turn, max_tokens=30)


@given(data=st.data())
@settings(max_examples=examples(25))
def test_any_request_after_any_other(engine, data):
    """Whatever was read before, an answer is the one that an engine gives that has read nothing."""
    letters = st.lists(st.integers(2, 8), min_size=1, max_size=40)
    prompts = data.draw(st.lists(letters, min_size=2, max_size=5))
    answers = [answer(engine, prompt, max_tokens=4) for prompt in prompts]
    for prompt, found in zip(prompts, answers, strict=True):
        engine._memory._keep(0)
        assert answer(engine, prompt, max_tokens=4) == found


def test_the_same_prompt_again(engine, cold):
    tokens = engine.encode("The cat sat on the mat")
    assert (
        answer(engine, tokens, max_tokens=9)
        == answer(engine, tokens, max_tokens=9)
        == cold(tokens, max_tokens=9)
    )
    assert answer(engine, tokens[:5], max_tokens=9) == cold(tokens[:5], max_tokens=9)


class Steps:
    """How many tokens are read at a time."""

    def __init__(self, engine, monkeypatch):
        self.taken = []
        memory, decoded = engine._memory, engine._memory._decoded
        monkeypatch.setattr(
            memory, "_decoded", lambda batch: self.taken.append(batch.count) or decoded(batch)
        )

    def __call__(self):
        taken, self.taken = self.taken, []
        return taken


@pytest.fixture
def steps(engine, monkeypatch):
    engine._memory._keep(0)
    return Steps(engine, monkeypatch)


def test_a_prompt_that_is_repeated_is_not_read_again(engine, steps):
    tokens = engine.encode("The cat sat on the mat")
    first = answer(engine, tokens, max_tokens=5)
    assert steps() == [len(tokens), 1, 1, 1, 1]
    assert answer(engine, tokens, max_tokens=5) == first
    assert steps() == [1, 1, 1, 1]
    answer(engine, tokens, max_tokens=1, min_tokens=1, logprobs=3)
    assert answer(engine, tokens, max_tokens=5) == first
    assert answer(engine, tokens[:-1], max_tokens=1)
    assert answer(engine, tokens, max_tokens=5) == first
    answer(engine, [5, 6, 7], max_tokens=1)
    assert answer(engine, tokens, max_tokens=5) == first
    assert answer(
        engine, tokens * 60, max_tokens=1
    )  # makes room, in which nothing is remembered of what follows
    assert answer(engine, tokens, max_tokens=5) == first


def test_what_was_written_token_by_token_is_read_so(engine, steps):
    tokens = engine.encode("The cat sat on the mat")
    first = answer(engine, tokens, max_tokens=9)
    steps()
    engine._memory._keep(0)
    answer(engine, tokens + first, max_tokens=11, generated=9)
    assert steps() == [len(tokens), *[1] * 10]
    engine._memory._keep(0)
    list(engine.generate(tokens + first, Sampling(max_tokens=11, generated=9), Deadline(monotonic() + 1000)))
    assert steps() == [len(tokens), *[1] * 10]


def test_unless_there_is_no_time_for_it(engine, steps):
    tokens = engine.encode("The cat sat on the mat")
    engine._memory._pace = 10.0  # seconds for a token: 80 for the rest of the answer
    deadline = Deadline(monotonic() + 100)
    assert list(engine.generate(tokens + [5] * 9, Sampling(max_tokens=10, generated=9), deadline))
    assert steps() == [len(tokens), 9]


@pytest.mark.parametrize(
    "wishes", [{}, {"temperature": 1.0, "seed": 4, "top_p": 0.9, "repetition_penalty": 1.2}]
)
def test_answers_that_outgrow_the_room_there_is(engine, cold, wishes):
    tokens = engine.encode("The cat")
    roomy = Memory(engine._library, engine._weights, engine.context, Crew(1), whole=True)
    step_by_step = cold(tokens, max_tokens=700, min_tokens=700, **wishes)
    assert engine._memory._room == 1024
    engine._memory.close()
    engine._memory = roomy
    assert answer(engine, tokens, max_tokens=700, min_tokens=700, **wishes) == step_by_step


def test_room_is_made_as_it_is_needed(engine, cold):
    cold(engine.encode("The cat"), max_tokens=3)
    assert engine._memory._room == 256
    answer(engine, [5] * 300, max_tokens=3)
    assert engine._memory._room == 512


@pytest.mark.parametrize(
    "wishes",
    [
        {"temperature": 0.9, "seed": 11},
        {"temperature": 1.3, "seed": 5, "top_k": 20, "top_p": 0.8, "min_p": 0.02},
        {
            "temperature": 0.7,
            "seed": 1,
            "repetition_penalty": 1.3,
            "frequency_penalty": 0.4,
            "presence_penalty": 0.2,
        },
        {"temperature": 1.0, "seed": 8, "grammar": 'root ::= ("the " | "cat " | "on "){30}'},
        {"repetition_penalty": 1.5},
        {},
    ],
    ids=lambda wishes: "-".join(wishes) or "greedy",
)
def test_an_answer_in_two_calls_is_the_answer_in_one(engine, cold, wishes):
    tokens = engine.encode("The cat sat on ")
    whole = answer(engine, tokens, max_tokens=40, min_tokens=20, **wishes)
    assert len(whole) >= 20
    for known in (1, 7, 13, 19):
        rest = {"max_tokens": 40, "min_tokens": 20, "generated": known, **wishes}
        assert answer(engine, tokens + whole[:known], **rest) == whole[known:]
        assert cold(tokens + whole[:known], **rest) == whole[known:]


class TestCrew:
    def file(self, folder, running):
        path = folder / "loadavg"
        path.write_text(f"0.50 0.40 0.30 {running}/400 12345\n")
        return str(path)

    def crew(self, folder, monkeypatch, most=4, running=1, cpus=4):
        monkeypatch.setattr("os.cpu_count", lambda: cpus)
        return Crew(most, self.file(folder, running))

    def test_all_where_nothing_else_runs(self, tmp_path, monkeypatch):
        assert self.crew(tmp_path, monkeypatch).size() == 4

    def test_what_others_leave(self, tmp_path, monkeypatch):
        assert self.crew(tmp_path, monkeypatch, running=3).size() == 2
        assert self.crew(tmp_path, monkeypatch, running=40).size() == 1
        assert self.crew(tmp_path, monkeypatch, running=40, cpus=64).size() == 4

    def test_one_is_one(self, tmp_path):
        crew = Crew(1, str(tmp_path / "none"))
        assert crew.size() == 1
        crew.done()

    def test_where_the_system_does_not_tell(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.cpu_count", lambda: 4)
        assert Crew(3, str(tmp_path / "none")).size() == 3
        (tmp_path / "odd").write_text("nothing")
        assert Crew(3, str(tmp_path / "odd")).size() == 3

    def test_alone_for_a_while_after_being_held_up(self, tmp_path, monkeypatch):
        clock = {"wall": 100.0, "ran": 10.0}
        monkeypatch.setattr("firstlight.runtime.engines.llama.crew.monotonic", lambda: clock["wall"])
        monkeypatch.setattr("firstlight.runtime.engines.llama.crew.process_time", lambda: clock["ran"])
        crew = self.crew(tmp_path, monkeypatch)

        def computed(wall, ran):
            size = crew.size()
            clock["wall"] += wall
            clock["ran"] += ran
            crew.done()
            return size

        assert computed(1.0, 3.9) == 4  # all four ran all the time
        assert computed(1.0, 1.5) == 4  # most of the time one of them did not
        assert computed(0.3, 0.3) == 1
        assert computed(0.3, 0.3) == 1
        assert computed(1.0, 1.5) == 4  # tried again, and held up again: twice as long alone
        assert [computed(0.3, 0.3) for _ in range(4)] == [1, 1, 1, 1]
        assert computed(1.0, 4.0) == 4
        assert computed(1.0, 1.5) == 4
        assert [computed(0.3, 0.3) for _ in range(2)] == [1, 1]  # the pause is short again
        assert computed(1.0, 4.0) == 4
