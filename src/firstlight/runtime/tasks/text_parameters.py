"""The parameters of text-generation: their schema, what contradicts what, and how tokens are drawn by them."""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.wishes import Sampling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.runtime.types import JSON

_MOST_STOPS, _LONGEST_STOP = 64, 500
_STOP: dict[str, JSON] = {
    "type": ["array", "string"],
    "items": {"type": "string", "minLength": 1},
    "minLength": 1,
}


def _number(low: float, high: float, description: str, **more: JSON) -> dict[str, JSON]:
    return {"type": "number", "minimum": low, "maximum": high, "description": description, **more}


def _flag(description: str, default: bool) -> dict[str, JSON]:
    return {"type": "boolean", "description": description, "default": default}


PARAMETERS: dict[str, JSON] = {
    "max_new_tokens": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 1_000_000,
        "default": 256,
        "description": "tokens to generate at most; null is as many as the context holds",
    },
    "min_new_tokens": {
        "type": "integer",
        "minimum": 0,
        "maximum": 1_000_000,
        "default": 0,
        "description": "the answer does not end by itself before that many",
    },
    "do_sample": {
        "type": ["boolean", "null"],
        "description": "draw tokens, or take the likeliest; when not given, draw if one of the next five is given",
    },
    "temperature": _number(0, 100, "below 1 favours likely tokens; 0 takes the likeliest"),
    "top_k": {
        "type": "integer",
        "minimum": 0,
        "description": "draw from that many likeliest tokens; 0 is all",
    },
    "top_p": _number(0, 1, "draw from the likeliest tokens that together have this probability"),
    "min_p": _number(0, 1, "draw from tokens at least so likely, measured against the likeliest"),
    "typical_p": _number(0, 1, "1 alone, which draws from all: no engine here samples by typicality"),
    "repetition_penalty": _number(
        0.01, 100, "above 1 makes tokens of prompt and answer less likely to come again; 1 is none"
    ),
    "frequency_penalty": _number(
        -2,
        2,
        "above 0 makes tokens of the answer less likely, the more the more often they came",
        default=0.0,
    ),
    "presence_penalty": _number(
        -2, 2, "above 0 makes tokens of the answer less likely, however often they came", default=0.0
    ),
    "seed": {
        "type": "integer",
        "minimum": 0,
        "maximum": 2**63 - 1,
        "description": "equal seeds draw equal answers; a random one, told in the details, when not given",
    },
    "stop": {**_STOP, "description": "a text or several that end the answer and are left out of it"},
    "stop_sequences": {**_STOP, "description": "another name of stop"},
    "return_full_text": _flag("begin the answer with the prompt, or with the messages", True),
    "details": _flag("tell the tokens, why the answer ended, and the seed", False),
    "top_n_tokens": {
        "type": "integer",
        "minimum": 0,
        "maximum": 20,
        "default": 0,
        "description": "with each token, that many likeliest ones in its place",
    },
    "decoder_input_details": _flag("with details: the tokens of the prompt", False),
    "truncate": {
        "type": "integer",
        "minimum": 1,
        "description": "keep that many tokens of the prompt's end, which is reported",
    },
    "grammar": {
        "type": "object",
        "description": "what the answer has to follow: {type, value} with type json, json_object, regex or gbnf",
    },
    "chat_template_kwargs": {
        "type": "object",
        "description": "for messages: what the model's chat template may read besides, such as tools",
    },
    "max_time": {"type": "number", "minimum": 0.01, "description": "seconds after which the answer ends"},
    "continuation": {
        "type": "string",
        "minLength": 1,
        "description": "from the details of an answer that the time has ended: go on with it",
    },
    "watermark": _flag("false alone: no engine here writes watermarks", False),
}
_DRAWING: dict[str, float] = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
"""Parameters that draw, and the value at which they do not."""

SHAPING = (
    "max_new_tokens",
    "min_new_tokens",
    "do_sample",
    *_DRAWING,
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "gbnf",
)
"""Parameters another value of which would make another answer; the rest of them shape the prompt, or what is told."""


def complete(parameters: dict[str, JSON]) -> None:
    """Look for contradictions among checked parameters, and make ``stop`` the one list of stop strings.

    Raises:
        InvalidInput: names the parameters.
    """
    if parameters.get("typical_p", 1) != 1:
        raise InvalidInput("parameter 'typical_p' must be 1: no engine here samples so", "use top_p or min_p")
    if parameters["watermark"]:
        raise InvalidInput("parameter 'watermark' must be false: no engine here writes watermarks")
    if parameters["decoder_input_details"] and not parameters["details"]:
        raise _contradiction("decoder_input_details", "details", "details is false")
    most = parameters["max_new_tokens"]
    if most is not None and parameters["min_new_tokens"] > most:
        low = parameters["min_new_tokens"]
        raise _contradiction("min_new_tokens", "max_new_tokens", f"{low} is more than {most}")
    sampling = parameters.get("do_sample")
    for name, none in _DRAWING.items():
        if sampling is False and parameters.get(name, none) != none:
            raise _contradiction("do_sample", name, "do_sample is false")
    if sampling and parameters.get("temperature") == 0:
        raise _contradiction("do_sample", "temperature", "a temperature of 0 draws nothing")
    parameters["stop"] = _stops(parameters)


def _stops(parameters: dict[str, JSON]) -> list[str]:
    both = [parameters.get("stop"), parameters.pop("stop_sequences", None)]
    lists = [[given] if isinstance(given, str) else given for given in both if given is not None]
    if len(lists) == 2 and lists[0] != lists[1]:
        raise _contradiction("stop", "stop_sequences", "they are two names of one thing")
    found = list(dict.fromkeys(lists[0])) if lists else []
    if len(found) > _MOST_STOPS or any(len(stop) > _LONGEST_STOP for stop in found):
        raise InvalidInput(
            f"parameter 'stop' may hold {_MOST_STOPS} texts of {_LONGEST_STOP} characters each at most"
        )
    return found


def _contradiction(one: str, other: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"parameters {one!r} and {other!r} contradict each other: {why}", "leave one of them out"
    )


def sampling(
    parameters: Mapping[str, JSON], own: Mapping[str, JSON], seed: int | None, generated: int
) -> Sampling:
    """How an engine draws the tokens of an answer.

    Args:
        own: the model's own choices (``generation`` of the bundle's defaults), for what the request leaves open.
        seed: of an answer that is gone on with, None for a new one.
        generated: tokens of it that are there.
    """
    given = [name for name in (*_DRAWING, "typical_p") if name in parameters]
    draws = parameters.get("do_sample")
    if draws is None:
        draws = bool(given) or own.get("do_sample") is True
    own = {name: value for name, value in own.items() if value is not None}
    wishes = {name: parameters.get(name, own.get(name, none)) for name, none in _DRAWING.items()}
    if "temperature" not in parameters and not wishes["temperature"]:
        wishes["temperature"] = 1.0
    if not draws or not wishes["temperature"]:
        wishes = dict(_DRAWING)
        seed = 0
    logprobs = parameters["top_n_tokens"] or (0 if parameters["details"] else None)
    return Sampling(
        max_tokens=parameters["max_new_tokens"],
        min_tokens=parameters["min_new_tokens"],
        repetition_penalty=parameters.get("repetition_penalty", own.get("repetition_penalty", 1.0)),
        frequency_penalty=parameters["frequency_penalty"],
        presence_penalty=parameters["presence_penalty"],
        seed=parameters.get("seed", _random_seed() if seed is None else seed),
        generated=generated,
        logprobs=logprobs,
        grammar=parameters.get("gbnf", ""),
        **wishes,
    )


def _random_seed() -> int:
    from os import urandom

    return int.from_bytes(urandom(4), "big")
