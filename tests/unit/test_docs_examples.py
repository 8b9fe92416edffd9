"""The examples of the task pages, asked of the starters: the answers printed there are the ones that come."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from firstlight import starters
from firstlight.runtime import tasks
from firstlight.runtime.model import Model

PAGES = Path(__file__).resolve().parents[2] / "docs/tasks"
EXAMPLE = re.compile(r"```json\n(.*?)```\s*Answer, rounded:\s*```json\n(.*?)```", re.S)
LEADING = 3
"""Of a vector, the page shows its first numbers."""


def served() -> dict[str, str]:
    """Task -> the first starter that serves it."""
    found: dict[str, str] = {}
    for name in starters.names():
        for task in tasks.served(Model.load(starters.path(name), verify="sizes").bundle):
            found.setdefault(task, name)
    return found


SERVED = served()


def shown(answer: Any) -> Any:
    """An answer as a page shows it."""
    if isinstance(answer, float):
        return pytest.approx(answer, abs=0.006)
    if isinstance(answer, dict):
        return {key: shown(value) for key, value in answer.items()}
    if isinstance(answer, list):
        vector = len(answer) > 20 and isinstance(answer[0], float)
        return [shown(value) for value in (answer[:LEADING] if vector else answer)]
    return answer


@pytest.mark.parametrize("task", sorted(SERVED))
def test_a_starter_answers_as_the_page_says(task: str) -> None:
    found = EXAMPLE.search((PAGES / f"{task}.md").read_text(encoding="utf-8"))
    assert found, f"docs/tasks/{task}.md shows no example with its answer"
    request, printed = json.loads(found[1]), json.loads(found[2])
    model = Model.load(starters.path(SERVED[task]), verify="sizes", task=task)
    assert printed == shown(model(request["inputs"], request["parameters"]))
