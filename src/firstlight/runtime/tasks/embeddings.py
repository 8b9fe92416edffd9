"""feature-extraction and sentence-similarity: texts as vectors.

A bundle whose defaults name a ``pooling`` is a sentence encoder: its graph pools and normalises, and a text is one
vector. Any other encoder answers one vector for each token, as transformers' FeatureExtractionPipeline does.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import arithmetic, checks, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tensor, Tokenizer

SENTENCE, TOKENS = "sentence_embedding", "last_hidden_state"


class FeatureExtraction:
    """Vectors of a text."""

    name = "feature-extraction"
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "description": "a text or several",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "normalize": {
                    "type": "boolean",
                    "description": "give vectors the length 1; sentence encoders do unless this is false",
                },
                "truncate": windows.TRUNCATION,
                "truncation": {"type": "boolean", "description": "the name transformers has for truncate"},
                "truncation_direction": {
                    "type": "string",
                    "enum": ["right", "left", "Right", "Left"],
                    "default": "right",
                    "description": "the end of a long text that is left out",
                },
                "prompt_name": {
                    "type": "string",
                    "description": "name of a prompt of the model that is put before the text",
                },
            },
        },
        "output": {
            "type": "array",
            "description": "one vector for each text; [1, tokens, features] for a text where the model does not pool",
            "items": {"type": "array", "items": {"type": ["number", "array"]}},
        },
        "example": {"inputs": "A lamp was lit in the window.", "parameters": {}},
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._pooling: str | None = bundle.defaults.get("pooling")
        self._prompts: Mapping[str, str] = bundle.defaults.get("prompts") or {}
        self._tokenizer = tokenizer
        self.outputs: tuple[str, ...] = (SENTENCE if self._pooling else TOKENS,)

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        checked["single"] = single
        name = checked.get("prompt_name")
        if name is not None and name not in self._prompts:
            known = ", ".join(self._prompts) or "the model has none"
            raise InvalidInput(f"the model has no prompt {name!r}", f"prompts: {known}")
        return items, single, checked

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for the text."""
        text = self._prompts.get(parameters.get("prompt_name", ""), "") + item
        refuse = not parameters.get("truncation", parameters["truncate"])
        side = parameters["truncation_direction"].lower()
        encoding = windows.shortened(self._tokenizer.encode(text), self._limit, refuse, side)
        notes.count("prompt_tokens", len(encoding.ids))
        # The graph's pooled vector is normalised already: pool its hidden states where that is not wanted.
        raw = self._pooling is not None and parameters.get("normalize") is False
        return windows.Prepared([windows.feeds(encoding)], (TOKENS,) if raw else self.outputs, parameters)

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``[[...]]`` for one text, ``[...]`` for one of several; ``[[[...]]]`` from an encoder that does not pool."""
        tensor = outputs[0][0]
        parameters = prepared.state
        if self._pooling is None:
            vectors = arithmetic.rows(tensor)
            return [
                [arithmetic.unit(vector) for vector in vectors] if parameters.get("normalize") else vectors
            ]
        pooled = prepared.outputs == self.outputs
        vector = arithmetic.floats(tensor) if pooled else _POOLINGS[self._pooling](arithmetic.rows(tensor))
        return [vector] if parameters["single"] else vector


class SentenceSimilarity:
    """How near in meaning sentences are to another one: cosines between -1 and 1."""

    name = "sentence-similarity"
    outputs = (SENTENCE,)
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "type": "object",
            "properties": {
                "source_sentence": {"type": "string"},
                "sentences": {"type": "array", "minItems": 1, "items": {"type": "string"}},
            },
            "required": ["source_sentence", "sentences"],
            "additionalProperties": False,
            "description": "a sentence, and those to compare it with; or a list of such objects",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"truncate": windows.TRUNCATION},
        },
        "output": {"type": "array", "items": {"type": "number", "minimum": -1, "maximum": 1}},
        "example": {
            "inputs": {
                "source_sentence": "The ship came home at dawn.",
                "sentences": ["At first light the vessel returned.", "Bread is baked from flour."],
            },
            "parameters": {},
        },
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[JSON], bool, dict[str, JSON]]:
        """Objects with ``source_sentence`` and ``sentences``; see ``runtime.types.Task.check``."""
        items, single = checks.each(inputs, _comparison)
        return items, single, checks.parameters(self.name, self.schema["parameters"], parameters)

    def preprocess(self, item: list[str], parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for each sentence, the source first."""
        refuse = not parameters["truncate"]
        rows = [
            windows.feeds(windows.shortened(self._tokenizer.encode(text), self._limit, refuse))
            for text in item
        ]
        return windows.Prepared(rows, self.outputs)

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:  # noqa: ARG002
        """One cosine for each sentence."""
        source, *others = (arithmetic.floats(tensor) for (tensor,) in outputs)
        return [arithmetic.cosine(source, other) for other in others]


def _first(vectors: Sequence[list[float]]) -> list[float]:
    return vectors[0]


_POOLINGS: dict[str, Callable[[Sequence[list[float]]], list[float]]] = {
    "mean": arithmetic.mean,
    "max": arithmetic.highest,
    "cls": _first,
}


def _comparison(where: str, value: JSON) -> list[str]:
    checks.fields(where, value, ("source_sentence", "sentences"))
    sentences = checks.filled(f"{where}.sentences", value["sentences"])
    return [
        checks.text(f"{where}.source_sentence", value["source_sentence"]),
        *(checks.text(f"{where}.sentences[{i}]", entry) for i, entry in enumerate(sentences)),
    ]
