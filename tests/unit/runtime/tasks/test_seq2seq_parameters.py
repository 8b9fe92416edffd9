import pytest

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.seq2seq_parameters import Wishes, read, schema

SCHEMA = schema("text", "a")["parameters"]


def wishes(own: dict[str, object] | None = None, forced: int = 0, **parameters: object) -> Wishes:
    return Wishes(read("translation", SCHEMA, parameters), own or {}, forced)


def test_what_is_not_said_is_as_in_transformers() -> None:
    asked = wishes()
    search = asked.search(asked.most, asked.least, 0)
    assert (search.num_beams, search.max_tokens, search.min_tokens, search.answers) == (4, 256, 0, 1)
    assert (search.temperature, search.length_penalty, search.early_stopping) == (0.0, 1.0, False)
    assert (asked.cap, asked.floor, asked.drawn, asked.clean) == (None, None, False, False)


def test_the_models_own_choices() -> None:
    own = {
        "num_beams": 2,
        "max_length": 142,
        "min_length": 56,
        "length_penalty": 2.0,
        "no_repeat_ngram_size": 3,
    }
    asked = wishes(own | {"forced_eos_token_id": 2}, forced=1, length_penalty=0.5)
    search = asked.search(asked.most, asked.least, 0)
    assert (asked.most, asked.least, asked.forced_end) == (140, 54, 1)
    assert (search.num_beams, search.no_repeat_ngram, search.length_penalty) == (2, 3, 0.5)


@pytest.mark.parametrize(
    ("parameters", "forced", "bounds"),
    [
        ({"max_length": 20}, 0, (19, None)),
        ({"max_length": 20, "min_length": 5}, 1, (18, 3)),
        ({"max_new_tokens": 20, "min_new_tokens": 5}, 0, (20, 5)),
        ({"max_length": 20, "max_new_tokens": 30}, 1, (29, None)),
    ],
)
def test_lengths_are_counted_as_transformers_does(
    parameters: dict[str, int], forced: int, bounds: tuple[int, int | None]
) -> None:
    asked = wishes(None, forced, **parameters)
    assert (asked.cap, asked.floor) == bounds


def test_a_wish_for_a_long_answer_raises_the_models_own_limit() -> None:
    assert wishes({"max_length": 50}, min_new_tokens=80).most == 80


@pytest.mark.parametrize(
    "parameters",
    [
        {"do_sample": True},
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.9},
        {"do_sample": True, "num_beams": 1},
    ],
)
def test_what_draws(parameters: dict[str, object]) -> None:
    search = wishes({"num_beams": 4}, **parameters, seed=7).search(10, 0, 2)
    assert (search.num_beams, search.seed) == (1, 9)
    assert search.temperature == parameters.get("temperature", 1.0)
    assert search.top_k == parameters.get("top_k", 50)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"temperature": 0}, {"do_sample": True, "temperature": 0.0}, {"num_beams": 2}, {"do_sample": False}],
)
def test_what_does_not(parameters: dict[str, object]) -> None:
    asked = wishes({"num_beams": 4}, **parameters)
    assert (asked.drawn, asked.search(10, 0, 0).temperature) == (False, 0.0)


def test_a_model_that_draws_by_itself() -> None:
    own = {"do_sample": True, "temperature": 0.3}
    assert wishes(own).search(10, 0, 0).temperature == 0.3
    assert not wishes(own, num_beams=2).drawn
    assert not wishes(own, do_sample=False).drawn


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_beams": 4, "do_sample": True}, "contradict"),
        ({"num_beams": 2, "temperature": 0.7}, "contradict"),
        ({"do_sample": False, "temperature": 0.7}, "'do_sample' and 'temperature' contradict"),
        ({"do_sample": False, "top_k": 3}, "'do_sample' and 'top_k' contradict"),
        ({"num_return_sequences": 2, "num_beams": 1}, "num_beams 1 has no more"),
        ({"num_return_sequences": 5}, "num_beams 4 has no more"),
        ({"max_length": 10, "min_length": 20}, "shortest length is above its longest"),
        ({"max_length": 1}, "no room for a token"),
        (
            {"max_length": 10, "generate_parameters": {"max_length": 12}},
            "'max_length' is given twice: 10 and 12",
        ),
        ({"generate_parameters": {"top_q": 1}}, "no parameter 'top_q'"),
        ({"generate_parameters": [1]}, "'generate_parameters' must be an object, got a list"),
        ({"generate_kwargs": {"generate_kwargs": {}}}, "'generate_kwargs'"),
        ({"num_beam_groups": 2}, "'num_beam_groups' must be 1: the search has no groups"),
        ({"truncation": "only_second"}, "'truncation' must be one of true, false, longest_first"),
        ({"early_stopping": "maybe"}, "'early_stopping' must be true, false or"),
        ({"num_beams": 0}, "from 1 to 16"),
        ({"temperature": float("nan")}, "'temperature' must be a number"),
        ({"seed": -1}, "'seed' must be"),
    ],
)
def test_what_is_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        wishes(None, **parameters)


def test_parameters_inside_another_one() -> None:
    asked = wishes(
        generate_parameters={"num_beams": 2, "use_cache": True},
        generate_kwargs={"max_length": 9},
        num_beams=2,
    )
    assert (asked.beams, asked.cap) == (2, 8)
    assert (
        read("translation", SCHEMA, {"num_beams": None, "generate_parameters": None})["truncation"] is False
    )
    with pytest.raises(InvalidInput, match="parameters must be an object"):
        read("translation", SCHEMA, [1])


@pytest.mark.parametrize(
    ("value", "cuts"),
    [(True, True), (False, False), ("only_first", True), ("longest_first", True), ("do_not_truncate", False)],
)
def test_truncation(value: object, cuts: bool) -> None:
    assert read("translation", SCHEMA, {"truncation": value})["truncation"] is cuts


def test_early_stopping_may_be_never() -> None:
    assert wishes(early_stopping="never").search(9, 0, 0).early_stopping == "never"
