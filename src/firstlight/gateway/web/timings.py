"""How long an answer took and what the time went into."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.gateway.web.bars import milliseconds, stacked, timeline
from firstlight.gateway.web.markup import Markup, tag
from firstlight.invoke.types import Report

_PARTS = (
    ("init", "Waking the worker"),
    ("queue", "Waiting"),
    ("preprocess", "Preparing"),
    ("engine", "Model"),
    ("postprocess", "Reading the answer"),
    ("other", "Carrying"),
)


def split(report: Report, total_ms: float) -> list[tuple[str, str, float]]:
    """The parts of an invocation that took time, as (key, what it is, milliseconds); they sum to ``total_ms``."""
    init = report.init_ms or 0.0
    amounts = {"init": init, "queue": max(report.queue_ms - init, 0.0)}
    for name in ("preprocess", "engine", "postprocess"):
        amounts[name] = report.timings.get(name, 0.0)
    amounts["other"] = max(total_ms - sum(amounts.values()), 0.0)
    return [(key, what, amounts[key]) for key, what in _PARTS if amounts[key] >= 0.005]


def timing(report: Report, total_ms: float, ticks: Sequence[float] = ()) -> Markup:
    """The line below an answer: the whole, cold or warm, and the parts; of a streamed one when each piece came."""
    parts = split(report, total_ms)
    legend = [
        tag("li", tag("span", class_=f"dot {key}"), what, tag("b", milliseconds(amount)))
        for key, what, amount in parts
    ]
    state = "cold start" if report.cold else "warm"
    memory = f" · {report.max_memory_mb} MB" if report.max_memory_mb else ""
    return tag(
        "div",
        tag(
            "p",
            tag("b", milliseconds(total_ms), class_="total"),
            " ",
            tag("span", state, class_="badge cold" if report.cold else "badge warm"),
            tag("span", memory, class_="hint"),
        ),
        stacked([(key, amount) for key, _, amount in parts]),
        tag("ul", legend, class_="legend"),
        ticks and _pieces(ticks, total_ms),
        class_="timing",
    )


def _pieces(ticks: Sequence[float], total_ms: float) -> Markup:
    said = [tag("li", "First piece after", tag("b", milliseconds(ticks[0])))]
    if len(ticks) > 1 and ticks[-1] > ticks[0]:
        rate = (len(ticks) - 1) / (ticks[-1] - ticks[0]) * 1000
        said.append(tag("li", f"then {len(ticks) - 1} more at", tag("b", f"{rate:.0f} a second")))
    return timeline(ticks, total_ms) + tag("ul", said, class_="legend")
