"""The fake engine: no weights and no library, the same answer for the same input.

With the task ``echo`` a bundle needs no file but ``bundle.json`` and answers with its inputs. With any other task
the engine makes up numbers of the right shape from the token ids: noise, but always the same noise.
"""

from __future__ import annotations

from firstlight.runtime.tensor import Tensor, make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.bundle import Bundle

WIDTH = 8
"""Numbers in a made-up embedding."""


class EchoEngine:
    """Deterministic outputs for every encoder task, from the input ids alone.

    Attributes:
        inputs, outputs: the names an encoder's graph has.
    """

    inputs = ("input_ids", "attention_mask")
    outputs = ("scores", "logits", "start_logits", "end_logits", "sentence_embedding", "last_hidden_state")

    def __init__(self, bundle: Bundle) -> None:
        self._labels = max(1, len(bundle.labels))
        self._per_token = bundle.task == "token-classification"
        self.settled = False

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Made-up tensors of the shapes the named outputs have."""
        ids = feeds["input_ids"].data.tolist() if "input_ids" in feeds else []
        return [self._made_up(name, ids) for name in outputs]

    def settle(self) -> None:
        """Nothing to pack; remembers that it was asked."""
        self.settled = True

    def _made_up(self, name: str, ids: list[int]) -> Tensor:
        if name in ("start_logits", "end_logits"):
            return _noise(name, ids, (1, len(ids)))
        if name == "last_hidden_state":
            return _noise(name, ids, (1, len(ids), WIDTH))
        if name == "sentence_embedding":
            return _noise(name, ids, (1, WIDTH))
        shape = (1, len(ids), self._labels) if self._per_token else (1, self._labels)
        logits = _noise("logits", ids, shape)
        return _normalised(logits, self._labels) if name == "scores" else logits


def _noise(name: str, ids: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Numbers from -1 to 1 by a linear congruential generator (Numerical Recipes' constants) seeded by the ids."""
    state = len(name)
    for token in ids:
        state = (state * 31 + token) & 0xFFFFFFFF
    size = 1
    for length in shape:
        size *= length
    values = []
    for _ in range(size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values.append(state / 0x7FFFFFFF - 1.0)
    return make("f", values, shape)


def _normalised(logits: Tensor, width: int) -> Tensor:
    """Positive rows that sum to 1, in the order of the logits."""
    values = [value + 1.001 for value in logits.data]
    rows = [values[start : start + width] for start in range(0, len(values), width)]
    return make("f", [value / sum(row) for row in rows for value in row], logits.shape)
