"""What ``firstlight trace`` shows people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstlight.cli import output

if TYPE_CHECKING:
    from firstlight.project import Project
    from firstlight.trace.types import Dropped, Proof, Seen, Traced

_MOST = 12
"""Lines of a list that may be long."""


def show(traced: Traced, path: Path, project: Project, locked: Path | None, *, dry_run: bool) -> None:
    """The table of what was dropped, then what came of it."""
    if traced.dropped:
        output.table(
            ("OWNER", "PATH", "PACKED", "LEFT OUT", "VARIABLE"), [_row(its) for its in traced.dropped]
        )
        for its in traced.dropped:
            _explain(its)
    else:
        click.echo(f"{path.name} leaves nothing in HOME, the XDG folders or the temporary folder")
    _list("also written", [_who(seen) for seen in traced.outside])
    _list("read on this machine", traced.reads)
    _list("called", traced.hosts)
    for text in traced.notes:
        output.warn(text)
    if traced.proof is not None:
        _show_layer(traced, project)
        _show_proof(traced.proof)
        _show_lock(traced, path, locked)
    elif dry_run:
        click.echo("a dry run: nothing is packed or proven")


def size(count: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _row(its: Dropped) -> tuple[str, ...]:
    packed = f"{size(its.size)}, {its.files} file{'s' * (its.files != 1)}" if its.packed else "-"
    return (its.name, its.path, packed, size(its.left) if its.why_left else "-", its.variable or "-")


def _explain(its: Dropped) -> None:
    """Why something is not packed, and what is worth knowing."""
    reasons = [why for why in its.why_left if why != its.note]
    if reasons:
        click.echo(_shown(f"  {its.path}: left out: {'; '.join(reasons)}"))
    if its.note:
        click.echo(_shown(f"  {its.name}: {its.note}"))
    if its.by and its.name.startswith("unknown: "):
        click.echo(_shown(f"  {its.path}: written by {its.by}"))


def _list(head: str, lines: Sequence[str]) -> None:
    for line in lines[:_MOST]:
        click.echo(_shown(f"{head}: {line}"))
    if len(lines) > _MOST:
        click.echo(f"{head}: {len(lines) - _MOST} more (--json has all)")


def _who(seen: Seen) -> str:
    by = f" (by {seen.by})" if seen.by else ""
    return f"{output.shown(seen.what)}{by}"


def _show_layer(traced: Traced, project: Project) -> None:
    from firstlight.trace import layers

    if traced.caches is None:
        return
    place = layers.folder(project.root)
    shown = output.shown(place / f"{traced.caches.layer}.tar")
    click.echo(_shown(f"layer: {size(traced.caches.size)} in {shown}"))
    for name, value in sorted(layers.filled(traced.caches.variables, place / traced.caches.layer).items()):
        click.echo(_shown(f"  {name}={value}"))


def _show_proof(proof: Proof) -> None:
    network = "the network allowed" if proof.network else "no network"
    click.echo(f"proven: the same answer with no HOME, {network}, and only /tmp to write to")
    if proof.unstable:
        click.echo(_shown(f"  but for what differs from run to run: {', '.join(proof.unstable[:_MOST])}"))
    for text in proof.missing:
        output.warn(f"not enforced on this machine: {text}")


def _show_lock(traced: Traced, path: Path, locked: Path | None) -> None:
    if traced.caches is None:
        click.echo("there is nothing to pack and nothing to set")
    elif locked is not None:
        click.echo(f"written to {output.shown(locked)}: `firstlight serve` sets the variables")
    else:
        hint = f'add [endpoints.NAME] with script = "{path.name}" to firstlight.toml and trace it again'
        click.echo(
            _shown(f"{path.name} is no endpoint, so nothing is locked: set the variables yourself, or {hint}")
        )


def _shown(text: str) -> str:
    return output.encodable(output.printable(text))
