"""zero-shot-classification: labels the model was never trained on, named in the request.

With a model trained on natural language inference this is transformers' ZeroShotClassificationPipeline: each label
becomes a hypothesis, and the logit of *entailment* speaks for it. With a sentence encoder the cosines of text and
hypotheses are used instead; that is much weaker, and every answer carries a warning that says so.
"""

from __future__ import annotations

from firstlight.runtime import notes
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.tasks import arithmetic, checks, windows
from firstlight.runtime.tasks.embeddings import SENTENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tensor, Tokenizer

_TEMPLATE = "This example is {}."
_TEMPERATURE = 0.07
"""Cosines are divided by this before the softmax: of 0.02 to 0.5 the lowest log loss on verse and on opinions."""

_WEAK = (
    "the scores come from the similarity of sentence embeddings, not from a model trained on inference: "
    "take them as a hint"
)


class ZeroShotClassification:
    """Scores for the labels of the request."""

    name = "zero-shot-classification"
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "description": "a text or several",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "required": ["candidate_labels"],
            "properties": {
                "candidate_labels": {
                    "type": ["array", "string"],
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "minLength": 1,
                    "description": "the labels, as a list or separated by commas",
                },
                "hypothesis_template": {
                    "type": "string",
                    "default": _TEMPLATE,
                    "description": "a sentence that says a label is true; {} stands for the label",
                },
                "multi_label": {
                    "type": "boolean",
                    "default": False,
                    "description": "judge each label on its own; otherwise the scores sum to 1",
                },
            },
        },
        "output": {
            "type": "object",
            "properties": {
                "sequence": {"type": "string"},
                "labels": {"type": "array", "items": {"type": "string"}},
                "scores": {"type": "array", "items": {"type": "number"}},
            },
        },
        "example": {
            "inputs": "The goalkeeper saved the last shot of the match.",
            "parameters": {"candidate_labels": ["sport", "cooking", "travel"]},
        },
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._temperature: float = bundle.defaults.get("temperature", _TEMPERATURE)
        self._tokenizer = tokenizer
        self._embeds = bool(bundle.defaults.get("pooling"))
        entailing = [i for i, label in enumerate(bundle.labels) if label.lower().startswith("entail")]
        if not self._embeds and not entailing:
            labels = ", ".join(bundle.labels) or "none"
            message = f"the bundle {bundle.name} is not a model of inference: its labels are {labels}"
            raise BundleError(
                message, "zero-shot-classification needs an entailment label, or a sentence encoder"
            )
        self._entailment = entailing[0] if entailing else 0
        self.outputs: tuple[str, ...] = (SENTENCE,) if self._embeds else ("logits",)

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts, with ``candidate_labels`` in the parameters; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        labels, template = checked["candidate_labels"], checked["hypothesis_template"]
        if isinstance(labels, str):
            labels = [label.strip() for label in labels.split(",") if label.strip()]
            checked["candidate_labels"] = checks.filled("parameter 'candidate_labels'", labels)
        if "{}" not in template:
            message = f"parameter 'hypothesis_template' has no {{}} for the label: {template[:80]!r}"
            raise InvalidInput(message, f"for example {_TEMPLATE!r}")
        return items, single, checked

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for each label; a sentence encoder has one more for the text."""
        template = parameters["hypothesis_template"]
        # str.format would let a template reach into attributes or ask for a gigabyte of padding.
        hypotheses = [template.replace("{}", label) for label in parameters["candidate_labels"]]
        if self._embeds:
            neutral = [template.replace("{}", "something")] if _alone(parameters) else []
            rows = [self._row(text, None) for text in (item, *hypotheses, *neutral)]
        else:
            rows = [self._row(item, hypothesis) for hypothesis in hypotheses]
        return windows.Prepared(rows, self.outputs, (item, parameters))

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``{"sequence", "labels", "scores"}``, best label first."""
        text, parameters = prepared.state
        rows = [arithmetic.floats(tensor) for (tensor,) in outputs]
        scores = self._similar(rows, parameters) if self._embeds else self._entailed(rows, parameters)
        labels = parameters["candidate_labels"]
        # transformers reverses an ascending sort: of equal scores the later label comes first.
        order = sorted(range(len(labels)), key=scores.__getitem__)[::-1]
        return {"sequence": text, "labels": [labels[i] for i in order], "scores": [scores[i] for i in order]}

    def _row(self, text: str, pair: str | None) -> dict[str, Tensor]:
        encoding = self._tokenizer.encode(text, pair)
        strategy = "longest_first" if pair is None else "only_first"
        return windows.feeds(windows.shortened(encoding, self._limit, strategy=strategy))

    def _entailed(self, rows: list[list[float]], parameters: Mapping[str, JSON]) -> list[float]:
        entailment = self._entailment
        if not _alone(parameters):
            return arithmetic.softmax([row[entailment] for row in rows])
        against = -1 if entailment == 0 else 0
        return [arithmetic.softmax([row[against], row[entailment]])[1] for row in rows]

    def _similar(self, rows: list[list[float]], parameters: Mapping[str, JSON]) -> list[float]:
        notes.warn(_WEAK)
        text, *others = rows
        near = [arithmetic.cosine(text, other) / self._temperature for other in others]
        if not _alone(parameters):
            return arithmetic.softmax(near)
        *labels, neutral = near
        return [arithmetic.softmax([neutral, label])[1] for label in labels]


def _alone(parameters: Mapping[str, JSON]) -> bool:
    """Whether each label is judged on its own: asked for, or there is only one."""
    return bool(parameters["multi_label"]) or len(parameters["candidate_labels"]) == 1
