"""Asking before anything is changed that others rely on."""

from __future__ import annotations

import sys

import click

from firstlight.runtime.errors import FirstlightError


class NotAgreed(FirstlightError):
    """Nobody said yes."""

    code = "not-agreed"


def agreed(question: str, yes: bool) -> None:
    """Go on only where somebody agrees.

    Args:
        question: ends with a question mark.
        yes: it was agreed to on the command line.

    Raises:
        NotAgreed: the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    if not is_terminal():
        raise NotAgreed("nothing was done: there is no terminal to ask at", "say yes beforehand with --yes")
    if not click.confirm(question, default=False, err=True):
        raise NotAgreed("nothing was done")


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
