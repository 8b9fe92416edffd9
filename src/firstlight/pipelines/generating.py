"""Calls of the generating tasks in the words of transformers 4.57, and their answers in its shapes.

Each function takes the pipeline, the inputs, the parameters of the call, and all parameters.
"""

from __future__ import annotations

import warnings

from firstlight.runtime.errors import InvalidInput, NotSupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.pipelines import Pipeline
    from firstlight.runtime.types import JSON

_NOT_HERE = {
    "assistant_model": "no model drafts for another here",
    "generation_config": "give its fields as parameters",
    "logits_processor": "give repetition_penalty, temperature and the like as parameters",
    "prefix_allowed_tokens_fn": "give a grammar to text-generation instead",
    "return_type": "the answer is text",
    "stopping_criteria": "give stop strings or max_new_tokens instead",
    "streamer": "Model.stream, or a request with stream: true, gives an answer piece by piece",
}
"""Objects that change what ``generate`` does, and what there is in their place."""

_UNDONE = {"return_tensors": False, "return_text": True, "skip_special_tokens": True, "output_scores": False}
"""Arguments with the value that asks for what is done; there are no tensors and no special tokens to return."""

_NEUTRAL = {
    "use_cache": (True, False),
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "return_dict_in_generate": (False,),
}
_DRAWING = ("temperature", "top_k", "top_p", "min_p", "typical_p")
_TEMPERATURE, _TOP_K = 0.7, 50


def written(pipe: Pipeline, given: JSON, _: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """translation, summarization and text2text-generation."""
    _only_text(merged)
    return pipe.model(given, merged)


def generated(pipe: Pipeline, given: JSON, _: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """text-generation: tokens are drawn unless the call or the model says otherwise; a list of answers an input."""
    merged = merged | dict(merged.pop("generate_kwargs", None) or {})
    _only_text(merged)
    for name, values in _NEUTRAL.items():
        if merged.pop(name, values[0]) not in values:
            raise NotSupported(f"text-generation cannot have another {name} than {values[0]}", "leave it out")
    _ends(pipe, merged)
    _draws(pipe, merged)
    answers = merged.pop("num_return_sequences", None) or 1
    if merged.pop("clean_up_tokenization_spaces", None):
        warnings.warn("clean_up_tokenization_spaces is ignored: text stays as it is written", stacklevel=4)
    chats = isinstance(given, list) and bool(given) and isinstance(given[0], dict)
    several = isinstance(given, list) and not chats
    inputs = given if several else [given]
    found = [_answers(pipe, one, merged, answers) for one in inputs]
    return found if several else found[0]


def _answers(pipe: Pipeline, one: JSON, merged: dict[str, Any], answers: int) -> list[JSON]:
    parameters = dict(merged)
    longest = parameters.pop("max_length", None)
    if longest is not None and "max_new_tokens" not in parameters:
        parameters["max_new_tokens"] = _room(pipe, one, longest)
    if answers == 1:
        return list(pipe.model(one, parameters))
    if not parameters["do_sample"]:
        raise InvalidInput(
            f"num_return_sequences is {answers}, and without sampling all answers are one", "set do_sample"
        )
    seed = parameters.pop("seed", None)
    seed = _random() if seed is None else seed
    return [pipe.model(one, parameters | {"seed": seed + number})[0] for number in range(answers)]


def _only_text(merged: dict[str, Any]) -> None:
    """Take out what asks for what is done anyway.

    Raises:
        NotSupported: for what would make another answer.
    """
    for name, instead in _NOT_HERE.items():
        if merged.pop(name, None) is not None:
            raise NotSupported(f"pipeline cannot take a {name}", instead)
    for name, done in _UNDONE.items():
        value = merged.pop(name, None)
        if value is not None and bool(value) is not done:
            raise NotSupported(f"pipeline cannot have {name}={value!r}", "the answer is the text alone")
    merged.pop("pad_token_id", None)  # rows run one at a time


def _ends(pipe: Pipeline, merged: dict[str, Any]) -> None:
    """What ends an answer, in our words."""
    for name in ("stop_sequence", "stop_strings"):
        value = merged.pop(name, None)
        if value is not None and merged.setdefault("stop", value) != value:
            raise InvalidInput(
                f"parameters 'stop' and {name!r} contradict each other", "leave one of them out"
            )
    ends = merged.pop("eos_token_id", None)
    for token in ends if isinstance(ends, list) else [ends]:
        if token is not None and not pipe.model.engine.ends(token):
            raise NotSupported(
                f"eos_token_id {token} is no token that ends this model's answers", "give stop strings"
            )
    goes_on = merged.pop("continue_final_message", None)
    if goes_on is not None:
        values = merged.get("chat_template_kwargs") or {}
        merged["chat_template_kwargs"] = {**values, "continue_final_message": goes_on}


def _draws(pipe: Pipeline, merged: dict[str, Any]) -> None:
    """The defaults of transformers' pipeline: draw, at a temperature of 0.7, from the 50 likeliest tokens."""
    own = pipe.model.bundle.defaults.get("generation") or {}
    if merged.get("do_sample") is None:
        told = own.get("do_sample")
        merged["do_sample"] = merged.get("temperature") != 0 and (told is not False or _hinted(merged))
    if not merged["do_sample"]:
        if merged.get("temperature") == 0:
            del merged["temperature"]
        return
    if merged.get("temperature") is None:
        merged["temperature"] = own.get("temperature") or _TEMPERATURE
    if merged.get("top_k") is None:
        merged["top_k"] = own.get("top_k") or _TOP_K


def _hinted(merged: dict[str, Any]) -> bool:
    return any(merged.get(name) is not None for name in _DRAWING)


def _room(pipe: Pipeline, one: JSON, longest: int) -> int:
    """How many new tokens ``max_length``, which counts the prompt, leaves."""
    if not isinstance(one, str):
        raise NotSupported("max_length counts the prompt, and a chat has none yet", "give max_new_tokens")
    size = len(pipe.model.engine.encode(one))
    if longest <= size:
        raise InvalidInput(
            f"the prompt has {size} tokens, and max_length is {longest}", "give max_new_tokens"
        )
    return longest - size


def _random() -> int:
    from os import urandom

    return int.from_bytes(urandom(4), "little")
