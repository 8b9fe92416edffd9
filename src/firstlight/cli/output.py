"""What the verbs print: answers and lists on stdout, everything else on stderr; JSON where ``--json`` asks for it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click

from firstlight.runtime.errors import FirstlightError

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option(function: Function) -> Function:
    """The ``--json`` option, the same for every verb."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")(function)


def json_line(value: Any) -> None:
    """One JSON value on one line of stdout, at once; letters of every script stay readable where the terminal can."""
    click.echo(encodable(json.dumps(value, ensure_ascii=False, default=str)))


def json_pretty(value: Any) -> None:
    """JSON for people when stdout is a terminal, on one line when it is not."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(encodable(json.dumps(value, ensure_ascii=False, indent=indent, default=str)))


def encodable(text: str) -> str:
    """Text that stdout can carry: what its encoding lacks (and half surrogate pairs) is escaped as JSON would."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # In ASCII, JSON escapes are what they stand for; a character beyond 16 bits takes two.
        return "".join(
            character if character.isascii() else json.dumps(character)[1:-1] for character in text
        )
    return text


def note(text: str) -> None:
    """A line for people on stderr."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    """A ``warning:`` line on stderr."""
    click.echo(f"{click.style('warning:', fg='yellow', bold=True)} {printable(text)}", err=True)


def explain(error: FirstlightError) -> None:
    """``error:`` and ``help:`` lines on stderr."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable(error.message)}", err=True)
    if error.hint:
        click.echo(f"{click.style('help:', fg='cyan', bold=True)} {printable(error.hint)}", err=True)


def explain_function_error(payload: Any) -> None:
    """``error:`` and ``help:`` lines for what a function raised, with the trace of the user's own code."""
    if not isinstance(payload, dict):
        payload = {"errorMessage": str(payload)}
    kind, message = payload.get("errorType") or "Error", payload.get("errorMessage") or ""
    for line in payload.get("stackTrace") or []:
        note(printable(str(line)).rstrip())
    explain(FirstlightError(f"{kind}: {message}", str(payload.get("hint") or "")))


def fail(error: FirstlightError, as_json: bool) -> None:
    """An error on stderr: lines for people, or one JSON document."""
    if as_json:
        document = {"error": error.message, "code": error.code, "hint": error.hint}
        click.echo(json.dumps(document), err=True)
    else:
        explain(error)


def fail_usage(error: click.UsageError, as_json: bool) -> None:
    """A wrong call on stderr, with the verb whose help says more."""
    asked = f"{error.ctx.command_path} --help" if error.ctx else "firstlight --help"
    message = error.format_message()
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help
        if not as_json:
            click.echo(message, err=True)
            return
        message = "a verb is missing"
    usage = FirstlightError(message[:1].lower() + message[1:].removesuffix("."), f"see `{asked}`")
    usage.code = "usage"
    fail(usage, as_json)


def printable(text: str) -> str:
    """Text without control characters, which could rewrite what a terminal shows."""
    if text.isprintable():  # at the speed of C: there may be megabytes of log
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def near(word: str, known: Iterable[str]) -> str:
    """A question with the known word nearest to ``word``; empty when none is near."""
    found = get_close_matches(word, sorted(known), n=1)
    return f"Did you mean {found[0]!r}?" if found else ""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns on stdout, as wide as their widest cell; the last one is cut at the edge of a terminal."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for row in (heads, *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        shown = encodable(printable(line[:edge]))
        click.echo(click.style(shown, bold=True) if row is heads else shown)


def shown(path: Path | str | None) -> str:
    """A path as the user would type it."""
    if path is None:
        return "the project"
    here = Path.cwd()
    return str(Path(path).relative_to(here) if Path(path).is_relative_to(here) else path)
