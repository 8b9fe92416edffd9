"""Do the starters answer alike on another CPU? Write the raw outputs on both, then compare.

    python starters/portable.py write here.json
    qemu-x86_64 -cpu Haswell .venv/bin/python starters/portable.py write haswell.json
    python starters/portable.py compare here.json haswell.json

Haswell has AVX2 and nothing newer, as the oldest machines of Lambda's x86 fleet do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from firstlight import starters
from firstlight.build.convert.sentences import PAIRS, SENTENCES
from firstlight.runtime.model import Model

NAMES = ("embeddings", "lyrics", "qa", "sentiment")
OUTPUTS = {"embeddings": ["sentence_embedding"], "qa": ["start_logits", "end_logits"]}
TEXTS = 8


def outputs(name: str) -> list[list[float]]:
    """The numbers a starter's graph gives for a few texts, one row a text."""
    model = Model.load(starters.path(name))
    rows = []
    for number in range(TEXTS):
        question, context = PAIRS[number]
        asked = {"question": question, "context": context} if name == "qa" else SENTENCES[number]
        (item,), _, parameters = model.task.check(asked, {})
        feeds = model.task.preprocess(item, parameters).feeds[0]
        taken = {key: value for key, value in feeds.items() if key in model.engine.inputs}
        found = model.engine.run(taken, OUTPUTS.get(name, ["logits"]))
        rows.append([value for tensor in found for value in tensor.data])
    return rows


def compare(one: Path, other: Path) -> None:
    """Print the largest difference and the smallest cosine of each starter."""
    left, right = (json.loads(file.read_text(encoding="utf-8")) for file in (one, other))
    for name in NAMES:
        pairs = list(zip(left[name], right[name], strict=True))
        worst = max(abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True))
        print(
            f"{name}: largest difference {worst:.6f}, smallest cosine {min(cosine(*pair) for pair in pairs):.6f}"
        )


def cosine(x: list[float], y: list[float]) -> float:
    """The cosine of the angle between two vectors."""
    dot, left, right = (sum(a * b for a, b in zip(p, q, strict=True)) for p, q in ((x, y), (x, x), (y, y)))
    return dot / (left * right) ** 0.5


def main() -> None:
    """``write FILE`` or ``compare FILE FILE``."""
    if sys.argv[1] == "write":
        found = {name: outputs(name) for name in NAMES}
        Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
    else:
        compare(Path(sys.argv[2]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
