"""fill-mask: the words that fit best in the place of a mask.

As transformers' FillMaskPipeline; the graph answers the probabilities of the whole vocabulary at each mask.
"""

from __future__ import annotations

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import BundleError, InvalidInput
from firstlight.runtime.tasks import arithmetic, checks, windows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Tensor, Tokenizer


class FillMask:
    """Tokens for a mask, most probable first."""

    name = "fill-mask"
    outputs = ("scores",)
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "description": "a text with at least one mask ([MASK] or <mask>, as the model has it), or several texts",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "top_k": {"type": "integer", "minimum": 1, "default": 5, "description": "how many tokens"},
                "targets": {
                    "type": ["array", "string"],
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "minLength": 1,
                    "description": "the words to choose from; the whole vocabulary when not given",
                },
            },
        },
        "output": {
            "type": "array",
            "description": "a list of such lists when the text has several masks",
            "items": {
                "type": "object",
                "properties": {
                    "score": {"type": "number"},
                    "token": {"type": "integer"},
                    "token_str": {"type": "string"},
                    "sequence": {"type": "string"},
                },
            },
        },
        "example": {"inputs": "The sun rises in the [MASK].", "parameters": {"top_k": 3}},
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer
        marks = [bundle.defaults.get("mask_token"), "[MASK]", "<mask>"]
        self._mark = next((mark for mark in marks if mark and tokenizer.id(mark) is not None), "")
        if not self._mark:
            raise BundleError(f"the tokenizer of {bundle.name} has no mask token", "fill-mask needs one")
        self._mask = tokenizer.id(self._mark)
        self._pad = next((i for i in map(tokenizer.id, ("[PAD]", "<pad>")) if i is not None), None)

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        checked = checks.parameters(self.name, self.schema["parameters"], parameters)
        targets = checked.get("targets")
        if targets is not None:
            checked["target_ids"] = self._targets([targets] if isinstance(targets, str) else targets)
        return items, single, checked

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for the text."""
        whole = self._tokenizer.encode(item)
        encoding = windows.shortened(whole, self._limit)
        ids = encoding.ids
        masks = [index for index, token in enumerate(ids) if token == self._mask]
        if not masks:
            place = "among the tokens the model can take" if self._mask in whole.ids else "in the text"
            raise InvalidInput(
                f"there is no {self._mark} {place}", f"put {self._mark} where a word is missing"
            )
        row = windows.feeds(encoding) | {"mask_positions": tensor.make("q", masks, (len(masks),))}
        return windows.Prepared([row], self.outputs, (ids, masks, parameters))

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """``[{"score", "token", "token_str", "sequence"}]``; a list of such lists for several masks."""
        ids, masks, parameters = prepared.state
        scores, targets = outputs[0][0], parameters.get("target_ids")
        rows = arithmetic.rows(scores)
        found = []
        for number, place in enumerate(masks):
            row = rows[number]
            best = _best(row, parameters["top_k"], targets)
            found.append([self._entry(row[token], token, ids, place, len(masks) == 1) for token in best])
        return found[0] if len(masks) == 1 else found

    def _entry(self, score: float, token: int, ids: list[int], place: int, alone: bool) -> dict[str, JSON]:
        filled = [*ids[:place], token, *ids[place + 1 :]]
        # The other masks of a text are special tokens and stay visible; a padding token never is.
        sequence = self._tokenizer.decode([i for i in filled if i != self._pad], skip_special=alone)
        token_str = self._tokenizer.decode([token], skip_special=False)
        return {"score": score, "token": token, "token_str": token_str, "sequence": sequence}

    def _targets(self, targets: Sequence[str]) -> list[int]:
        """The ids of words; a word outside the vocabulary stands for its first token."""
        found = set()
        for target in targets:
            token = self._tokenizer.id(target)
            if token is None:
                encoding = self._tokenizer.encode(target)
                own = [
                    i
                    for i, owner in zip(encoding.ids, encoding.sequence_ids, strict=True)
                    if owner is not None
                ]
                if not own:
                    notes.warn(f"the target {target!r} has no tokens and was left out")
                    continue
                token = own[0]
                notes.warn(
                    f"the target {target!r} is no token: {self._tokenizer.token(token)!r} stands for it"
                )
            found.add(token)
        if not found:
            raise InvalidInput("parameter 'targets' names no token of the model")
        return sorted(found)


def _best(row: list[float], count: int, targets: Sequence[int] | None) -> list[int]:
    """The places of the ``count`` largest numbers, largest first, of ``targets`` or of all."""
    if targets is not None:
        return sorted(targets, key=row.__getitem__, reverse=True)[:count]
    from heapq import nlargest

    # Without a key nlargest compares floats only; the few places at or above the last of them are found after.
    least = nlargest(count, row)[-1]
    places = [place for place, number in enumerate(row) if number >= least]
    return sorted(places, key=row.__getitem__, reverse=True)[:count]
