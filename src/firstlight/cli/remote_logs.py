"""``firstlight logs --remote``: what functions wrote to CloudWatch, as people read it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from firstlight.cli import account, output
from firstlight.deploy import looking
from firstlight.deploy.aws.session import Session
from firstlight.deploy.tailing import Line, Logs, groups_of
from firstlight.project import Project
from firstlight.project.names import Names
from firstlight.runtime.errors import EndpointNotFound

DEFAULT_SINCE_S = 3600.0
_LOOK_EVERY_S = 1.5
"""CloudWatch answers ten such questions a second for a whole account; each log group is one."""
_PLATFORM = ("START RequestId:", "END RequestId:", "INIT_START ", "INIT_REPORT ", "RESTORE_", "EXTENSION\t")
_EMULATOR = re.compile(r"\d\d [A-Z][a-z]{2} \d{4} [\d:,]+ \[(INFO|WARNING)\] \(rapid\)")
"""AWS's emulator of Lambda, on what it does itself."""
_COLOURS = {"ERROR": "red", "CRITICAL": "red", "FATAL": "red", "WARNING": "yellow", "WARN": "yellow"}
_LEVEL = re.compile(r"\[(?P<level>[A-Z]+)\]\t[\d:.TZ-]+\t[\w-]*\t(?P<text>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for.

    Attributes:
        endpoint: only this one's; None for all, the router's too.
        since: seconds since the epoch; None for the last hour.
        limit: at most so many of those that are there, the newest.
        follow: go on with those that come.
    """

    endpoint: str | None
    since: float | None
    limit: int
    follow: bool
    as_json: bool


def show(project: Project, session: Session, wanted: Wanted) -> None:
    """Print the newest lines of all functions of the project, and those that come.

    Raises:
        EndpointNotFound: the stack has no such endpoint.
        NotDeployed: there is no stack.
    """
    groups = _groups(session, account.names(project), wanted.endpoint)
    logs = Logs(session, groups)
    start = time.time() - DEFAULT_SINCE_S if wanted.since is None else wanted.since
    newest = _print(logs.newest(start, wanted.limit), wanted.as_json, start)
    while wanted.follow:
        time.sleep(max(_LOOK_EVERY_S, len(groups) * 0.2))
        newest = _print(logs.after(newest), wanted.as_json, newest)


def _groups(session: Session, names: Names, endpoint: str | None) -> dict[str, str]:
    stack = looking.stack(session, names)
    groups = groups_of(stack.resources, stack.sources)
    if endpoint is None:
        return groups
    chosen = {group: source for group, source in groups.items() if source == endpoint}
    if not chosen:
        known = ", ".join(sorted(stack.sources.values()))
        raise EndpointNotFound(f"{names.stack} has no endpoint {endpoint!r}", f"it has {known}")
    return chosen


def _print(lines: list[Line], as_json: bool, newest: float) -> float:
    """Print lines; the time of the newest, or what it was before."""
    for line in lines:
        record = parsed(line.text)
        if as_json:
            facts = {"time": line.time, "endpoint": line.source, "stream": line.stream, "text": line.text}
            output.json_line(facts if record is None else {**facts, "record": record})
        elif (said := worded(line.text, record)) is not None:
            click.echo(_line(line, *said))
        newest = max(newest, line.time)
    return newest


def _line(line: Line, level: str, text: str) -> str:
    when = datetime.fromtimestamp(line.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    shown = output.encodable(output.printable(text))
    colour = _COLOURS.get(level)
    return f"{when}  {line.source:<16}  {click.style(shown, fg=colour) if colour else shown}"


def parsed(text: str) -> dict[str, Any] | None:
    """A line that is a JSON object, as Lambda writes them where the log's format is JSON."""
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def worded(text: str, record: dict[str, Any] | None) -> tuple[str, str] | None:
    """Level and words of a line; None for what only programs read: the platform's own lines, and metrics.

    Args:
        record: what ``parsed`` made of the text.
    """
    if record is None:
        return _plain(text)
    if "_aws" in record:
        return None
    if str(record.get("type", "")).startswith("platform."):
        return _platform(str(record["type"]), record.get("record") or {})
    if "message" in record or "errorMessage" in record:
        return _said(record)
    return "", text


def _plain(text: str) -> tuple[str, str] | None:
    if text.startswith("REPORT RequestId:"):
        facts = dict(part.split(": ", 1) for part in text.split("\t") if ": " in part)
        status = f", {facts['Status']}" if "Status" in facts else ""
        init = f" (init {facts['Init Duration']})" if "Init Duration" in facts else ""
        memory = f"{facts.get('Max Memory Used', '?')} of {facts.get('Memory Size', '?')}"
        return "ERROR" if status else "", f"took {facts.get('Duration', '?')}{init}, {memory}{status}"
    if text.startswith(_PLATFORM) or not text or _EMULATOR.match(text):
        return None
    if said := _LEVEL.fullmatch(text):
        return said["level"], f"{said['level']} {said['text']}"
    return ("ERROR" if text.startswith("[ERROR]") else ""), text


def _platform(kind: str, record: dict[str, Any]) -> tuple[str, str] | None:
    metrics = record.get("metrics") or {}
    if kind == "platform.report":
        status = str(record.get("status") or "success")
        init = f" (init {metrics['initDurationMs']:.0f} ms)" if "initDurationMs" in metrics else ""
        restored = (
            f" (restored in {metrics['restoreDurationMs']:.0f} ms)" if "restoreDurationMs" in metrics else ""
        )
        took = f"took {metrics.get('durationMs', 0.0):.1f} ms{init}{restored}"
        memory = f"{metrics.get('maxMemoryUsedMB', '?')} of {metrics.get('memorySizeMB', '?')} MB"
        wrong = "" if status == "success" else f", {status} {record.get('errorType') or ''}".rstrip()
        return "ERROR" if wrong else "", f"{took}, {memory}{wrong}"
    if record.get("status") in ("error", "failure", "timeout") and kind != "platform.runtimeDone":
        return (
            "ERROR",
            f"{kind.removeprefix('platform.')}: {record['status']} {record.get('errorType') or ''}".rstrip(),
        )
    return ("ERROR", str(record)) if kind == "platform.fault" else None


def _said(record: dict[str, Any]) -> tuple[str, str]:
    level = str(record.get("level") or record.get("log_level") or "")
    words = record.get("message") if "message" in record else record.get("errorMessage")
    text = words if isinstance(words, str) else json.dumps(words, ensure_ascii=False, default=str)
    if record.get("errorType"):
        text = f"{record['errorType']}: {record.get('errorMessage', text)}"
    trace = record.get("stackTrace")
    lines = [str(one).rstrip() for one in trace] if isinstance(trace, list) else []
    head = f"{level} {text}" if level not in ("", "INFO") else text
    return level or ("ERROR" if record.get("errorType") else ""), "\n".join([head, *lines])
