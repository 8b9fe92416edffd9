"""text-classification: one or several labels for a text or a pair of texts.

As transformers' TextClassificationPipeline: without ``top_k`` the best label; with it a sorted list; scores by the
function the model's configuration names, unless another one is asked for.
"""

from __future__ import annotations

from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks import arithmetic, checks, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tensor, Tokenizer


FUNCTIONS: dict[str, Callable[[list[float]], list[float]]] = {
    "softmax": arithmetic.softmax,
    "sigmoid": arithmetic.sigmoid,
    "none": list,
}


class TextClassification:
    """Labels and scores of a text."""

    name = "text-classification"
    outputs = ("scores", "logits")
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "oneOf": [
                {"type": "string", "description": "a text"},
                {
                    "type": "object",
                    "description": "a pair of texts",
                    "properties": {"text": {"type": "string"}, "text_pair": {"type": "string"}},
                    "required": ["text"],
                    "additionalProperties": False,
                },
                {"type": "array", "minItems": 1, "items": {"type": ["string", "object"]}},
            ]
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "top_k": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "description": "how many labels to answer, best first; null is all of them",
                },
                "function_to_apply": {
                    "type": "string",
                    "enum": ["softmax", "sigmoid", "none"],
                    "description": "what makes scores of the model's numbers; the model's own choice when not given",
                },
                "truncation": windows.TRUNCATION,
                "max_length": {
                    "type": "integer",
                    "minimum": 3,
                    "description": "tokens to read at most, special ones included; the model's limit when not given",
                },
            },
        },
        "output": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"label": {"type": "string"}, "score": {"type": "number"}},
            },
        },
        "example": {"inputs": "The light came in and the whole room sang.", "parameters": {"top_k": 2}},
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._labels = list(bundle.labels)
        self._own = bundle.defaults.get("function_to_apply")
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[JSON], bool, dict[str, JSON]]:
        """Texts, or objects with ``text`` and ``text_pair``; see ``runtime.types.Task.check``."""
        items, single = checks.each(inputs, _pair)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        if "top_k" not in checked:
            # transformers: a list with the best label for a string, the bare label for everything else.
            checked["best"] = "listed" if single and isinstance(inputs, str) else "bare"
        return items, single, checked

    def preprocess(self, item: tuple[str, str | None], parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for the text."""
        limit = windows.limit(self._limit, parameters.get("max_length"))
        encoding = windows.shortened(self._tokenizer.encode(*item), limit, not parameters["truncation"])
        return windows.Prepared([windows.feeds(encoding)], self.outputs, parameters)

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``[{"label", "score"}]``, best first."""
        parameters = prepared.state
        function = parameters.get("function_to_apply")
        scores, logits = map(arithmetic.floats, outputs[0])
        if function is not None and function != self._own:
            scores = FUNCTIONS[function](logits)
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        if "best" in parameters:
            best = self._entry(order[0], scores)
            return [best] if parameters["best"] == "listed" else best
        return [self._entry(index, scores) for index in order[: parameters["top_k"]]]

    def _entry(self, index: int, scores: list[float]) -> dict[str, JSON]:
        label = self._labels[index] if index < len(self._labels) else f"LABEL_{index}"
        return {"label": label, "score": scores[index]}


def _pair(where: str, value: JSON) -> tuple[str, str | None]:
    if not isinstance(value, dict):
        expected = "a string, or an object with text and text_pair"
        if not isinstance(value, str):
            raise InvalidInput(f"{where} must be {expected}, got {checks.kind(value)}")
        return checks.text(where, value), None
    checks.fields(where, value, ("text",), ("text_pair",))
    second = value.get("text_pair")
    pair = None if second is None else checks.text(f"{where}.text_pair", second)
    return checks.text(f"{where}.text", value["text"]), pair
