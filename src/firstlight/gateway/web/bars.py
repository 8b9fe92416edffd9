"""Figures drawn as bars: SVG, because the policy of the pages allows no inline style."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from firstlight.gateway.web.markup import Markup, tag


def bar(share: float, kind: str = "") -> Markup:
    """A bar filled to ``share`` (0 to 1, cut off there); the figure itself is written beside it by the caller."""
    width = min(max(share, 0.0), 1.0) * 100
    return tag(
        "svg",
        tag("rect", class_="track", width="100", height="6"),
        tag("rect", class_=f"fill {kind}".strip(), width=f"{width:.2f}", height="6"),
        class_="bar",
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def scored(
    rows: Iterable[tuple[object, float]], best: int | None = 0, figure: Callable[[float], str] | None = None
) -> Markup:
    """A list of names with a score and a bar each; row ``best`` stands out; ``figure`` writes a score, as percent."""
    write = figure or percent
    items = [
        tag(
            "li",
            tag("span", name, class_="name"),
            tag("span", write(score), class_="figure"),
            bar(score),
            class_="best" if index == best else None,
        )
        for index, (name, score) in enumerate(rows)
    ]
    return tag("ol", items, class_="scores")


def stacked(parts: Sequence[tuple[str, float]]) -> Markup:
    """One bar of several parts, in the order given; ``parts`` are (css class, amount)."""
    whole = sum(amount for _, amount in parts) or 1.0
    left, drawn = 0.0, []
    for kind, amount in parts:
        width = amount / whole * 100
        drawn.append(tag("rect", class_=kind, x=f"{left:.3f}", width=f"{width:.3f}", height="6"))
        left += width
    return tag(
        "svg",
        drawn,
        class_="bar stacked",
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def timeline(ticks: Sequence[float], total: float) -> Markup:
    """A line of time with a stroke at each moment; ``ticks`` and ``total`` in the same unit."""
    whole = max(total, ticks[-1]) or 1.0
    strokes = [
        tag("rect", class_="tick", x=f"{moment / whole * 1000:.2f}", width="1.5", height="12")
        for moment in ticks
    ]
    return tag(
        "svg",
        tag("rect", class_="track", y="5", width="1000", height="2"),
        strokes,
        class_="timeline",
        viewBox="0 0 1000 12",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"When each of {len(ticks)} pieces came",
    )


def vector(values: Sequence[float]) -> Markup:
    """The numbers of an embedding as a row of thin columns around a middle line."""
    top = max((abs(value) for value in values), default=0.0) or 1.0
    columns = [
        tag(
            "rect",
            class_="plus" if value >= 0 else "minus",
            x=index,
            y=f"{min(20.0, 20 - value / top * 20):.2f}",
            width="0.8",
            height=f"{abs(value) / top * 20:.2f}",
        )
        for index, value in enumerate(values)
    ]
    return tag(
        "svg",
        columns,
        class_="vector",
        viewBox=f"0 0 {max(len(values), 1)} 40",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def percent(score: float) -> str:
    """A score for people: one decimal, and never 0 or 100 for what is not quite."""
    value = score * 100
    if 0 < value < 0.1:
        return "< 0.1%"
    if 99.95 <= value < 100:
        return "> 99.9%"
    return f"{value:.1f}%"


def milliseconds(value: float) -> str:
    """A duration for people, in as few figures as say something."""
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    if value >= 100:
        return f"{value:.0f} ms"
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2f} ms"
