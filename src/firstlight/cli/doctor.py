"""``firstlight doctor``: what is wrong on this machine, in this project, or would be on AWS Lambda."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from firstlight import doctor as doctors
from firstlight import project as projects
from firstlight.cli import given, output, progress, wiring
from firstlight.doctor import OK, PROBLEM, WARNING, Result, Subject
from firstlight.invoke.types import WorkerSpec
from firstlight.project import Endpoint, Project
from firstlight.runtime.errors import ProjectError

_COLOURS = {OK: "green", WARNING: "yellow", PROBLEM: "red", "fixed": "cyan"}
_TITLES = {
    "machine": "this machine",
    "hub": "the hub",
    "project": "the project",
    "lambda": "on AWS Lambda",
}


@click.command()
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT]...")
@click.option("--fix", is_flag=True, help="Repair what can be repaired safely, and say what was done.")
@click.option(
    "--lambda", "sandbox", is_flag=True, help="Try every ENDPOINT as AWS Lambda's sandbox would run it."
)
@click.option("--online", is_flag=True, help="Ask the hub whether it can be reached and knows HF_TOKEN.")
@click.option("-d", "--data", help="With --lambda, the event that scripts are called with: JSON, or @file.")
@click.option("--stage", help="Lay the tables of [stage.NAME] over the project.")
@output.json_option
def doctor(
    endpoints: tuple[str, ...],
    fix: bool,
    sandbox: bool,
    online: bool,
    data: str | None,
    stage: str | None,
    as_json: bool,
) -> None:
    """Look over this machine and the project here, and say of every problem why it matters and how to fix it.

    With --lambda every ENDPOINT (or all of them) is started and called once behind walls like those of AWS Lambda.
    """
    if data is not None and not sandbox:
        raise click.UsageError("--data is the event of --lambda")
    event = given.event(data, None, ()) if data is not None else None
    subject = _subject(endpoints, stage, event, as_json)
    groups = ("machine", *(["hub"] if online else []), "project", *(["lambda"] if sandbox else []))
    results = []
    for result in _examined(subject, groups, fix):
        results.append(result)
        if not as_json:
            _line(result, results)
    if as_json:
        output.json_line(_document(results))
    else:
        _advice(results)
    if _count(results)[PROBLEM]:
        raise click.exceptions.Exit(1)


def _subject(names: tuple[str, ...], stage: str | None, event: bytes | None, as_json: bool) -> Subject:
    """What is examined; a project file with mistakes is one of its findings, an unknown ENDPOINT an error."""
    here = Path.cwd()
    root = projects.find(here)
    file = root / projects.FILE if root is not None else None
    subject = Subject(here, os.environ, file=file, names=names, event=event)
    subject.progress = lambda: progress.shown(as_json)
    try:
        project = wiring.project_here(stage)
    except ProjectError as error:
        subject.mistake = error
        return subject
    for name in names:
        wiring.endpoint_of(project, name)
    subject.project = project
    subject.spec_of = lambda endpoint: _spec(project, endpoint)
    return subject


def _spec(project: Project, endpoint: Endpoint) -> WorkerSpec:
    from dataclasses import replace

    from firstlight.cli import preparing

    prepared = preparing.prepare(replace(project, endpoints={endpoint.name: endpoint}), output.note)
    if problem := prepared.problems.get(endpoint.name):
        raise problem
    return prepared.specs[endpoint.name]


def _examined(subject: Subject, groups: tuple[str, ...], fix: bool) -> Iterator[Result]:
    """The results as they come; what is repaired is so before the next check looks."""
    for result in doctors.examine(subject, groups):
        yield doctors.repaired(result) if fix else result


def _level(result: Result) -> str:
    return "fixed" if result.done else result.finding.level


def _count(results: list[Result]) -> Counter[str]:
    return Counter(_level(result) for result in results)


def _line(result: Result, so_far: list[Result]) -> None:
    """One line for a finding, below the title of its group or its endpoint where that begins."""
    title = _title(result)
    if len(so_far) < 2 or _title(so_far[-2]) != title:
        click.secho(output.printable(title), bold=True)
    level, finding = _level(result), result.finding
    where = f"{finding.where}: " if finding.where and level != OK else ""
    text = output.encodable(output.printable(f"{where}{finding.what}"))
    click.echo(f"  {click.style(level.ljust(7), fg=_COLOURS[level])}  {result.check.name.ljust(12)}  {text}")


def _title(result: Result) -> str:
    title = _TITLES[result.check.group]
    return f"{result.endpoint}, {title}" if result.endpoint else title


def _advice(results: list[Result]) -> None:
    """What to do, in the order of the lines above and once for endpoints that have it alike, and the sum of it all."""
    told = [result for result in results if result.finding.level != OK]
    alike: dict[tuple[str, ...], list[Result]] = {}
    for result in told:
        key = (result.check.title, result.finding.what, result.finding.where, result.done)
        alike.setdefault(key, []).append(result)
    click.echo("")
    for same in alike.values():
        _advise(same[0], [result.endpoint for result in same if result.endpoint])
    counted = _count(results)
    some = sum(1 for result in told if result.finding.repair is not None and not result.done)
    hint = f"; `firstlight doctor --fix` repairs {some}" if some else ""
    fixed = f", {counted['fixed']} fixed" if counted["fixed"] else ""
    between = "\n" if told else ""
    click.echo(
        f"{between}{_many(counted[PROBLEM], PROBLEM)}, {_many(counted[WARNING], WARNING)}{fixed}{hint}"
    )


def _advise(result: Result, endpoints: list[str]) -> None:
    finding, level = result.finding, _level(result)
    mark = click.style(f"{level}:", fg=_COLOURS[level], bold=True)
    name = f"{result.check.title} {', '.join(endpoints)}".rstrip()
    where = f"{finding.where}: " if finding.where else ""
    reason = f" ({finding.why})" if finding.why else ""
    click.echo(f"{mark} {name}: {output.encodable(output.printable(where + finding.what + reason))}")
    if result.done or finding.fix:
        word = "done" if result.done else "fix"
        click.echo(f"  {word}: {output.encodable(output.printable(result.done or finding.fix))}")


def _many(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _document(results: list[Result]) -> dict[str, Any]:
    counted = _count(results)
    return {
        "problems": counted[PROBLEM],
        "warnings": counted[WARNING],
        "fixed": counted["fixed"],
        "checks": [_entry(result) for result in results],
    }


def _entry(result: Result) -> dict[str, Any]:
    finding = result.finding
    return {
        "check": result.check.title,
        "endpoint": result.endpoint or None,
        "level": finding.level,
        "what": finding.what,
        "where": finding.where or None,
        "why": finding.why or None,
        "fix": finding.fix or None,
        "repairable": finding.repair is not None,
        "done": result.done or None,
    }
