"""The whole of a trace: run and watch, sort, pack, run again with nothing but what was packed, compare."""

from __future__ import annotations

import os
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from firstlight.runtime import links
from firstlight.trace import failing, found, runs
from firstlight.trace.owners import FALLBACK
from firstlight.trace.proving import Stages, proven
from firstlight.trace.runs import Script
from firstlight.trace.types import Caches, Dropped, Proof, Run, Seen, Traced

LAMBDA_LIMIT = 262_144_000
"""Bytes of a function and its layers, unzipped (AWS Lambda quotas: 250 MB)."""

_LOOKING = frozenset({"uname", "ldconfig", "fc-list", "lscpu", "lsb_release"})
"""Programs that libraries ask about the machine, and that write nothing."""


def trace(
    script: Script, place: Path, stages: Stages, *, network: bool = False, dry_run: bool = False
) -> Traced:
    """Find out what a script's libraries drop, pack it, and prove that the script needs nothing else.

    Args:
        script: what to run.
        place: the folder of the layers; nothing is written there in a dry run.
        network: whether the script may call out when it answers.
        dry_run: only find out.

    Raises:
        ScriptFailed: the script raised, in the first run or in the one that proves.
        TraceError: it has no answer in time, or another one with the layer alone.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="firstlight-trace-", ignore_cleanup_errors=True) as folder:
        base = Path(folder).resolve()
        stages.stage(f"running {script.path.name} in clean folders")
        installed = _installed()
        first = runs.clean_run(script, base)
        if first.error is not None:
            raise failing.first(first, script.path.name)
        entries = found.entries(base)
        dropped = found.dropped(entries, base, first.of("write"))
        traced = _described(dropped, first, base, _installed() - installed)
        if dry_run:
            return _timed(traced, started)
        caches, proof = proven(script, place, stages, (entries, dropped, first, base), network=network)
    return _timed(_with_notes(traced, caches), started, caches, proof)


def _with_notes(traced: Traced, caches: Caches | None) -> Traced:
    """Notes where it took more than the libraries' own variables."""
    known = {row.variable for row in traced.dropped}
    variables = set(caches.variables) if caches else set()
    notes = list(traced.notes)
    if wide := sorted(variables & set(FALLBACK.values()) - known):
        notes.append(f"something does not obey its library's variable, so {', '.join(wide)} had to be moved")
    if links.VARIABLE in variables:
        notes.append(
            "something writes beside its data, so every worker is given links to it in the temporary folder"
        )
    return replace(traced, notes=tuple(notes))


def _described(dropped: Sequence[Dropped], first: Run, base: Path, installed: set[tuple[str, int]]) -> Traced:
    elsewhere = [seen for seen in first.of("write") if not f"{seen.what}/".startswith(f"{base}/")]
    outside = [
        seen for seen in elsewhere if os.path.lexists(seen.what)
    ]  # what is gone again leaves nothing to pack
    outside += [Seen("write", path, "another program") for path, _ in sorted(installed)]
    notes = []
    size = sum(group.size for group in dropped)
    if size > LAMBDA_LIMIT:
        notes.append(
            f"{size / 1e6:.0f} MB are more than the 250 MB that Lambda takes as zip files, layers included: "
            "deploy it as a container image, which may have 10 GB"
        )
    programs = ", ".join(sorted({Path(seen.what).name for seen in first.of("program")} - _LOOKING)[:5])
    if programs:
        notes.append(f"it starts {programs}: what other programs write outside the clean folders goes unseen")
    reads = sorted({str(Path(seen.what).parent) for seen in first.of("read")})
    if reads:
        notes.append(
            "it reads files of this machine that are not packed: put those it needs beside the script"
        )
    return Traced(
        dropped=tuple(dropped),
        outside=tuple(outside),
        reads=tuple(reads),
        programs=tuple(sorted({seen.what for seen in first.of("program")})),
        hosts=tuple(sorted({seen.what for seen in first.of("host")})),
        notes=tuple(notes),
    )


def _timed(
    traced: Traced, started: float, caches: Caches | None = None, proof: Proof | None = None
) -> Traced:
    return replace(traced, caches=caches, proof=proof, seconds=time.monotonic() - started)


def _installed() -> set[tuple[str, int]]:
    """What lies in the folders of packages, and when it changed: a script may have something installed."""
    found_there = set()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        with os.scandir(folder) as scanned:
            found_there |= {
                (item.path, item.stat(follow_symlinks=False).st_mtime_ns)
                for item in scanned
                if item.name != "__pycache__"
            }
    return found_there
