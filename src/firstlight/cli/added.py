"""What ``add`` says: the plan before, and what became of it after."""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING, Any

import click

from firstlight.cli import output

if TYPE_CHECKING:
    from firstlight.build.types import Made
    from firstlight.cli.planning import Plan

MOST_MB = 10_240
_STEP_MB = 64
_ROOM = 1.25
"""Of what a worker is expected to take, so that an estimate that is off ends no worker."""


def needed_mb(plan: Plan) -> int:
    """The memory an endpoint should have for what its workers are expected to take, MB."""
    return math.ceil(plan.memory_mb * _ROOM / _STEP_MB) * _STEP_MB


def show(plan: Plan, name: str, model: str) -> None:
    """The plan, on stdout; what to look out for on stderr."""
    at = f" at {plan.revision[:12]}" if plan.revision else ""
    rows = [("model", f"{model}{at}"), ("endpoint", name), ("task", plan.task), ("takes", plan.why)]
    rows += [("leaves", f"{what}: {why}") for what, why in plan.rejected]
    rows += [("download", _download(plan)), ("licence", plan.licence or "not stated")]
    rows += [("memory", f"about {plan.memory_mb:,} MB a worker, estimated from the size of the weights")]
    for key, value in rows:
        click.echo(output.encodable(output.printable(f"{key:9} {value}")))
    if plan.gated:
        output.note("its owner lets in who has asked; so must everybody be who builds this project")
    if plan.licence is None:
        output.warn(f"{model} states no licence: ask its owner what it may be used for")
    if needed_mb(plan) > MOST_MB:
        output.warn(f"workers have at most {MOST_MB:,} MB, on AWS Lambda too: take a smaller quantisation")


def _download(plan: Plan) -> str:
    if not plan.files:
        return "nothing"
    size = f"{plan.bytes / 1e6:,.1f} MB in {len(plan.files)} file{'s' if len(plan.files) > 1 else ''}"
    return f"{size}, of which {plan.here / 1e6:,.1f} MB are here already" if plan.here else size


def described(plan: Plan, name: str, model: str) -> dict[str, Any]:
    """The plan for programs."""
    return {
        "endpoint": name,
        "model": model,
        "revision": plan.revision,
        "task": plan.task,
        "why": plan.why,
        "rejected": [{"what": what, "why": why} for what, why in plan.rejected],
        "files": list(plan.files),
        "bytes": plan.bytes,
        "bytes_here": plan.here,
        "licence": plan.licence,
        "gated": plan.gated,
        "memory_mb": plan.memory_mb,
    }


def result(made: Made, name: str, task: str | None, written: list[str]) -> dict[str, Any]:
    """What became of it, for programs."""
    facts = {
        "engine": made.engine,
        "precision": made.precision,
        "bundle": made.digest,
        "path": str(made.place),
    }
    return facts | {"written": written, "next": _calls(made, name, task)}


def say(made: Made, name: str, task: str | None, written: list[str]) -> None:
    """What became of it, on stdout, and what to do next, on stderr."""
    done = f"wrote {' and '.join(written)}" if written else "is there already, as locked"
    click.echo(f"{name}: {made.task}, {made.engine}, {made.precision}; {done}")
    serve, call = _calls(made, name, task)
    output.note(f"\nNext: {serve}\n      {call}")


def _calls(made: Made, name: str, task: str | None) -> tuple[str, str]:
    """The commands that serve and call the endpoint, with the example of its task."""
    from firstlight.runtime import tasks

    example = json.dumps(tasks.schema(task or made.task)["example"], ensure_ascii=False)
    return "firstlight serve", f"firstlight invoke {name} -d {shlex.quote(example)}"
