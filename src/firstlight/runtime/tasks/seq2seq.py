"""translation and text2text-generation: text from text, by an encoder-decoder model.

Answers have the shape of transformers 4's pipelines of those names; transformers 5 no longer has them.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import checks
from firstlight.runtime.tasks.windows import Prepared, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tokenizer

PARAMETERS: dict[str, JSON] = {
    "max_length": {
        "type": "integer",
        "minimum": 1,
        "maximum": 4096,
        "description": "tokens to generate at most; the model's own choice when not given",
    },
    "max_new_tokens": {
        "type": "integer",
        "minimum": 1,
        "maximum": 4096,
        "description": "another name of max_length, which here never counts the input",
    },
    "min_length": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4096,
        "description": "tokens to generate at least",
    },
    "num_beams": {
        "type": "integer",
        "minimum": 1,
        "maximum": 16,
        "description": "hypotheses kept while searching; 1 is greedy; the model's own choice when not given",
    },
    "length_penalty": {
        "type": "number",
        "minimum": -10,
        "maximum": 10,
        "description": "above 0 prefers long answers",
    },
    "no_repeat_ngram_size": {
        "type": "integer",
        "minimum": 0,
        "maximum": 20,
        "description": "no run twice of this length",
    },
    "do_sample": {
        "type": "boolean",
        "description": "not supported: the search is deterministic",
        "default": False,
    },
    "clean_up_tokenization_spaces": {"type": "boolean", "description": "accepted for transformers' sake"},
    "truncation": {
        "type": ["boolean", "string"],
        "default": True,
        "description": "leave out what does not fit the model, which is reported; false refuses a longer text",
    },
}
_TEXTS: dict[str, JSON] = {
    "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
    "description": "a text or several",
}


def schema(field: str, example: str, extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """The schema of a task that answers one text under the name ``field``."""
    entry = {"type": "object", "properties": {field: {"type": "string"}}}
    return {
        "inputs": _TEXTS,
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {**PARAMETERS, **(extra or {})},
        },
        "output": {"type": "array", "items": entry},
        "example": {"inputs": example, "parameters": {}},
    }


class Text2TextGeneration:
    """A text made from a text."""

    name = "text2text-generation"
    field = "generated_text"
    outputs = ("hypotheses",)
    schema: dict[str, JSON] = schema("generated_text", "summarize: The river rises in the hills.")

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._defaults = bundle.defaults
        self._tokenizer = tokenizer

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        if checked["do_sample"]:
            raise InvalidInput("parameter 'do_sample' must be false", "the search here is deterministic")
        checked["listed"] = single
        return items, single, checked

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> Prepared:
        """The source's tokens, and the options of the search."""
        prefix = self._defaults.get("prefix", "")
        tokens = self.tokens(prefix + item, parameters["truncation"] is False)
        row: JSON = {"tokens": tokens, "options": self.options(parameters)}
        return Prepared([row], self.outputs, parameters)

    def postprocess(self, prepared: Prepared, outputs: Sequence[Sequence[JSON]]) -> JSON:
        """``[{field: text}]`` for a single text, ``{field: text}`` for one of several."""
        best = outputs[0][0][0]
        ids = [found for token in best if (found := self._tokenizer.id(token)) is not None]
        answer = {self.field: self._tokenizer.decode(ids).strip()}
        return [answer] if prepared.state["listed"] else answer

    def tokens(self, text: str, refuse: bool) -> list[str]:
        """A source's tokens, special ones included; what does not fit is reported, or refused.

        Raises:
            InvalidInput: the text does not fit and may not be cut.
        """
        encoding = shortened(self._tokenizer.encode(text), self._defaults.get("max_length"), refuse)
        return [self._tokenizer.token(token_id) for token_id in encoding.ids]

    def options(self, parameters: Mapping[str, JSON]) -> dict[str, JSON]:
        """The request's parameters, or the model's own, in CTranslate2's words."""
        own = self._defaults.get("generation", {})
        longest = (
            parameters.get("max_new_tokens") or parameters.get("max_length") or own.get("max_length", 256)
        )
        return {
            "beam_size": parameters.get("num_beams", own.get("num_beams", 1)),
            "max_decoding_length": longest,
            "min_decoding_length": min(parameters.get("min_length", own.get("min_length", 1)), longest),
            "length_penalty": parameters.get("length_penalty", own.get("length_penalty", 1)),
            "no_repeat_ngram_size": parameters.get(
                "no_repeat_ngram_size", own.get("no_repeat_ngram_size", 0)
            ),
        }


class Translation(Text2TextGeneration):
    """A text in another language."""

    name = "translation"
    field = "translation_text"
    schema: dict[str, JSON] = schema(
        "translation_text",
        "Where is the train station?",
        {
            "src_lang": {"type": "string", "description": "language of the text; must be the model's"},
            "tgt_lang": {"type": "string", "description": "language of the answer; must be the model's"},
        },
    )

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts, in the one pair of languages the model was made for.

        Raises:
            InvalidInput: another language is asked for.
        """
        items, single, checked = super().check(inputs, parameters)
        for name in ("src_lang", "tgt_lang"):
            own, asked = self._defaults.get(name), checked.get(name)
            if own and asked and asked.replace("-", "_").split("_")[0].lower() != own:
                raise InvalidInput(f"parameter {name!r} is {asked!r}, and this model's is {own!r}")
        return items, single, checked
