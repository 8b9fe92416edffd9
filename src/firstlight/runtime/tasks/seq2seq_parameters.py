"""What may be asked of an encoder-decoder model, and what a request wishes, in an engine's terms.

Names and meanings are those of ``transformers.GenerationConfig`` 4.57 and of the Inference API; where both a request
and a model say nothing, the defaults of transformers' pipelines hold (4 beams, 256 new tokens).
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.generation.wishes import Search
from firstlight.runtime.tasks import checks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from firstlight.runtime.types import JSON

_LONGEST = 4096
_SEEDS = 1 << 32
_BEAMS, _NEW_TOKENS, _TOP_K = 4, 256, 50


def _whole(least: int, most: int, description: str) -> dict[str, JSON]:
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def _number(least: float, most: float, description: str) -> dict[str, JSON]:
    return {"type": "number", "minimum": least, "maximum": most, "description": description}


PARAMETERS: dict[str, JSON] = {
    "max_length": _whole(
        1,
        _LONGEST,
        "tokens of the answer at most, the first token and the end token counted as transformers counts them; the "
        "model's own choice when not given, for each part of a long text",
    ),
    "max_new_tokens": _whole(1, _LONGEST, "the same without the first token; goes before max_length"),
    "min_length": _whole(0, _LONGEST, "tokens of the answer at least, counted as max_length counts them"),
    "min_new_tokens": _whole(0, _LONGEST, "the same without the first token; goes before min_length"),
    "num_beams": _whole(
        1, 16, "hypotheses kept while searching; 1 is greedy; the model's own choice when not given, 4 if it has none"
    ),
    "num_return_sequences": _whole(1, 16, "answers to give: the best ones of a search, or several drawn ones"),
    "length_penalty": _number(-10, 10, "above 0 prefers long answers; only with beams"),
    "early_stopping": {
        "type": ["boolean", "string"],
        "description": 'end the search when num_beams answers are complete; "never" searches on until none can be '
        "better; only with beams",
    },
    "no_repeat_ngram_size": _whole(0, 20, "no run of that many tokens comes twice; 0 allows all"),
    "repetition_penalty": _number(0.1, 10, "above 1 makes tokens of the answer less likely to come again"),
    "do_sample": {
        "type": "boolean",
        "description": "draw each token instead of taking the likeliest; true where one of the next three is given",
    },
    "temperature": _number(0, 100, "below 1 draws likely tokens more often, above 1 less often; 0 draws none"),
    "top_k": _whole(0, 1000, "draw among that many likeliest tokens; 0 among all; 50 when not given"),
    "top_p": _number(0, 1, "draw among the likeliest tokens that have this probability together"),
    "seed": _whole(0, (1 << 63) - 1, "of what is drawn: the same seed draws the same answer"),
    "truncation": {
        "type": ["boolean", "string"],
        "description": "leave out what does not fit the model, with a warning: true, longest_first or only_first; "
        "false and do_not_truncate leave out nothing",
    },
    "clean_up_tokenization_spaces": {
        "type": "boolean",
        "default": False,
        "description": "remove spaces before punctuation and English contractions",
    },
    "max_time": _number(0.01, 3600, "seconds after which the answer ends with what it has"),
    "continuation": {"type": "string", "description": "from the details of an answer that ended early: go on there"},
    "generate_parameters": {"type": "object", "description": "more of these, as the Inference API sends them"},
    "generate_kwargs": {"type": "object", "description": "another name of generate_parameters"},
}  # fmt: skip
WRAPPERS = ("generate_parameters", "generate_kwargs")

_WITHOUT_EFFECT: dict[str, tuple[tuple[JSON, ...], str]] = {
    "use_cache": ((True, False), ""),
    "num_beam_groups": ((1,), "the search has no groups"),
    "diversity_penalty": ((0,), "the search has no groups"),
    "penalty_alpha": ((0,), "there is no contrastive search"),
    "typical_p": ((1,), "tokens are drawn by top_k and top_p"),
    "epsilon_cutoff": ((0,), "tokens are drawn by top_k and top_p"),
    "eta_cutoff": ((0,), "tokens are drawn by top_k and top_p"),
    "return_dict_in_generate": ((False,), "the answer is text"),
    "output_scores": ((False,), "the answer is text"),
}
"""Options of ``generate`` that are accepted with the values that ask for nothing, and why not with others."""

_TRUNCATIONS = {
    True: True, False: False, "longest_first": True, "only_first": True, "do_not_truncate": False,
}  # fmt: skip


def schema(field: str, example: str, extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """The schema of a task that answers one text under the name ``field``."""
    entry = {"type": "object", "properties": {field: {"type": "string"}, "details": {"type": "object"}}}
    return {
        "inputs": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "description": "a text or several",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {**PARAMETERS, **(extra or {})},
        },
        "output": {"type": "array", "items": entry},
        "example": {"inputs": example, "parameters": {}},
    }


def read(task: str, schema: Mapping[str, JSON], given: JSON) -> dict[str, JSON]:
    """The parameters of a request, checked, with those that came in another object among them.

    Raises:
        InvalidInput: one is unknown or wrong, or two contradict each other.
    """
    checked = checks.parameters(task, schema, _flat(given) if isinstance(given, dict) else given)
    cut = checked.get("truncation", False)
    if cut not in _TRUNCATIONS:
        known = ", ".join(str(value).lower() for value in _TRUNCATIONS)
        raise InvalidInput(f"parameter 'truncation' must be one of {known}, got {cut!r}")
    checked["truncation"] = _TRUNCATIONS[cut]
    if checked.get("early_stopping", False) not in (True, False, "never"):
        raise InvalidInput("parameter 'early_stopping' must be true, false or \"never\"")
    if checked.get("do_sample") is False:
        for name in ("temperature", "top_k", "top_p"):
            if checked.get(name):
                raise InvalidInput(
                    f"parameters 'do_sample' and {name!r} contradict each other", "leave one of them out"
                )
    return checked


def _flat(given: Mapping[str, JSON]) -> dict[str, JSON]:
    flat: dict[str, JSON] = {}
    for source in (given, *(_wrapped(given, name) for name in WRAPPERS)):
        for name, value in source.items():
            if name in _WITHOUT_EFFECT:
                _without_effect(name, value)
            elif name in WRAPPERS:
                if source is not given:
                    raise InvalidInput(f"parameter {name!r} is inside another one of its kind")
            elif value is not None and flat.get(name) not in (None, value):
                raise InvalidInput(f"parameter {name!r} is given twice: {flat[name]!r} and {value!r}")
            elif value is not None or name not in flat:
                flat[name] = value
    return flat


def _wrapped(given: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    inner = given.get(name)
    if inner is not None and not isinstance(inner, dict):
        raise InvalidInput(f"parameter {name!r} must be an object, got {checks.kind(inner)}")
    return inner or {}


def _without_effect(name: str, value: JSON) -> None:
    values, why = _WITHOUT_EFFECT[name]
    if value is not None and value not in values:
        raise InvalidInput(f"parameter {name!r} must be {values[0]!r}: {why or 'it is a switch'}")


class Wishes:
    """What one request wishes of one model.

    Args:
        parameters: of the request, checked.
        own: the model's, by the names of ``generation_config.json``.
        forced: tokens every answer begins with.
        seed: where the request names none.

    Attributes:
        beams: hypotheses of the search; 1 also where tokens are drawn.
        drawn: whether tokens are drawn.
        answers: how many are wanted.
        clean: whether spaces are cleaned up.
        most, least: the model's own bounds of an answer's length, without the forced tokens.
        cap, floor: the request's; None where it names none.

    Raises:
        InvalidInput: two wishes contradict each other.
    """

    def __init__(
        self, parameters: Mapping[str, JSON], own: Mapping[str, Any], forced: int, seed: int = 0
    ) -> None:
        self._own = own
        self._parameters = parameters
        self.temperature: float = self._of("temperature", 1.0)
        beams = parameters.get("num_beams")
        self.drawn = self._draws(beams)
        self.beams: int = 1 if self.drawn else self._of("num_beams", _BEAMS)
        self.answers: int = parameters.get("num_return_sequences", 1)
        self.clean: bool = parameters.get("clean_up_tokenization_spaces", False)
        self.seed: int = parameters.get("seed", seed)
        self.cap = _length(parameters, "max", forced)
        self.floor = _length(parameters, "min", forced)
        most, least = _length(own, "max", forced), _length(own, "min", forced)
        self.most = max(1, _NEW_TOKENS - forced if most is None else most, self.floor or 0)
        self.least = max(0, least or 0)
        self.forced_end = 1 if own.get("forced_eos_token_id") is not None else 0
        self._check(beams)

    def search(self, most: int, least: int, part: int) -> Search:
        """The search of one part.

        Args:
            most, least: bounds of its length.
            part: its number; each part draws otherwise.
        """
        return Search(
            num_beams=self.beams,
            max_tokens=max(1, most),
            min_tokens=max(0, min(least, most)),
            length_penalty=self._of("length_penalty", 1.0),
            early_stopping=self._of("early_stopping", False),
            repetition_penalty=self._of("repetition_penalty", 1.0),
            no_repeat_ngram=self._of("no_repeat_ngram_size", 0),
            answers=self.answers,
            temperature=self.temperature if self.drawn else 0.0,
            top_k=self._of("top_k", _TOP_K),
            top_p=self._of("top_p", 1.0),
            seed=(self.seed + part) % _SEEDS,
        )

    def _of(self, name: str, absent: Any) -> Any:
        value = self._parameters.get(name)
        value = self._own.get(name) if value is None else value
        return absent if value is None else value

    def _draws(self, beams: int | None) -> bool:
        asked = self._parameters.get("do_sample")
        if asked is None:
            hinted = any(self._parameters.get(name) is not None for name in ("temperature", "top_k", "top_p"))
            asked = hinted or (bool(self._own.get("do_sample")) and beams is None)
        return bool(asked) and self.temperature > 0

    def _check(self, beams: int | None) -> None:
        if self.drawn and beams is not None and beams > 1:
            raise InvalidInput(
                f"num_beams {beams} searches and sampling draws: they contradict each other",
                "leave num_beams out, or do_sample, temperature, top_k and top_p",
            )
        if self.answers > self.beams and not self.drawn:
            message = f"num_return_sequences is {self.answers}, and a search with num_beams {self.beams} has no more"
            raise InvalidInput(message, "raise num_beams, or set do_sample")
        if self.cap is not None and self.cap < 1:
            raise InvalidInput("the answer's longest length leaves no room for a token", "raise max_length")
        if self.cap is not None and self.floor is not None and self.floor > self.cap:
            raise InvalidInput("the answer's shortest length is above its longest", "lower min_length")


def _length(of: Mapping[str, Any], word: str, forced: int) -> int | None:
    """A bound of an answer's length without the decoder's first token, which ``max_length`` counts, and forced ones."""
    new = of.get(f"{word}_new_tokens")
    if new is not None:
        return int(new) - forced
    length = of.get(f"{word}_length")
    return None if length is None else int(length) - 1 - forced
