"""Packs what a run left and proves that the script needs nothing else: a run without HOME, network and disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol

from firstlight import isolation
from firstlight.runtime import links
from firstlight.trace import answers, failing, found, layers, runs
from firstlight.trace.runs import Script
from firstlight.trace.types import LAYER, Caches, Dropped, Entry, Proof, Run, TraceError
from firstlight.trace.watching import Rules


class Stages(Protocol):
    """Is told what goes on."""

    def stage(self, name: str, total: int | None = None) -> None: ...


def proven(
    script: Script,
    place: Path,
    stages: Stages,
    left: tuple[Sequence[Entry], Sequence[Dropped], Run, Path],
    *,
    network: bool,
) -> tuple[Caches | None, Proof]:
    """Pack what a run left and run again with that; a new layer that does not do is taken away."""
    entries, dropped, first, base = left
    variables: Mapping[str, str] = found.variables(dropped, network=network)
    if not variables:
        return None, _proof(script, None, {}, stages, first, base, network=network)
    kept = found.packed(entries)
    stages.stage(f"packing {len(kept)} files, {sum(entry.size for entry in kept) / 1e6:.1f} MB")
    digest, size, new = layers.pack(kept, place)

    def proven_with(variables: Mapping[str, str]) -> Proof:
        filled = layers.filled(variables, place / digest)
        return _proof(script, place / digest, filled, stages, first, base, network=network)

    try:
        proof, variables = _first_proven(proven_with, variables, found.places(dropped), bool(kept))
    except BaseException:
        if new:
            layers.remove(digest, place)
        raise
    return Caches(digest, size, script_digest(script.path), variables, _tools(dropped)), proof


def _first_proven(
    proven_with: Callable[[Mapping[str, str]], Proof],
    variables: Mapping[str, str],
    places: Mapping[str, str],
    linked: bool,
) -> tuple[Proof, Mapping[str, str]]:
    """The proof with the fewest changes that holds: libraries may not obey their variable, or write beside their data.

    Args:
        places: the variables of the clean folders, which a path written into the code obeys.
        linked: whether there is a layer to which links can be made.

    Raises:
        TraceError: none holds; the error is that of the first.
    """
    try:
        return proven_with(variables), variables
    except TraceError as error:
        wide, beside = {**places, **variables}, {**variables, links.VARIABLE: LAYER}
        others = [wide] if wide != variables else []
        others += [beside] if linked else []
        for other in reversed(others) if error.beside else others:
            try:
                return proven_with(other), other
            except TraceError:
                continue
        raise


def _proof(
    script: Script,
    layer: Path | None,
    variables: Mapping[str, str],
    stages: Stages,
    first: Run,
    base: Path,
    *,
    network: bool,
) -> Proof:
    stages.stage(
        "running again: HOME is not there, only /tmp can be written" + ("" if network else ", no network")
    )
    on = isolation.support()
    seen = [script.root, script.path.parent, *([layer] if layer else [])]
    rules = runs.rules(
        script, seen, seen, walled="read-only" in on.missing, cut=not network and "network" in on.missing
    )
    run = _walled_run(script, seen, variables, on, rules, network=network)
    if run.error is not None:
        raise _marked(failing.proof(run, script.path.name, rules), run, layer)
    differing, unstable = answers.differences(first.answer, run.answer), []
    if differing:
        stages.stage("running once more, to see what differs from run to run")
        again = runs.clean_run(script, base)
        unstable = answers.differences(first.answer, again.answer) if again.error is None else []
        differing = answers.stable(differing, unstable)
    if differing:
        raise _marked(_another_answer(script, (first, run), differing, rules), run, layer)
    return Proof(
        same=True,
        unstable=tuple(path.replace("$.json", "$", 1) for path in unstable),
        walls=on.how,
        missing=_missing(on, network=network),
        network=network,
        seconds=run.seconds,
    )


def _marked(error: TraceError, run: Run, layer: Path | None) -> TraceError:
    error.beside = any(layer and Path(seen.what).is_relative_to(layer) for seen in run.of("write"))
    return error


def _walled_run(
    script: Script,
    seen: Sequence[Path],
    variables: Mapping[str, str],
    on: isolation.Support,
    rules: Rules,
    *,
    network: bool,
) -> Run:
    env = {**runs.environment(script), **variables, **script.env}
    walls = isolation.Walls(
        home=env.get("HOME", isolation.LAMBDA.home),
        network=network,
        shm=True,  # what a script needs of the machine is what `firstlight doctor` looks at
        hidden=(),
        through=tuple(path.resolve() for path in seen),
    )
    return runs.run(script, isolation.command(runs.command(), walls, on), env, rules)


def _missing(on: isolation.Support, *, network: bool) -> tuple[str, ...]:
    """The walls that the system did not put up, of those that matter here."""
    matter = {"read-only": "files outside /tmp were read-only to Python code only"}
    matter |= {"tmp": "/tmp was not a new one"}  # noqa: S108
    matter |= {} if network else {"network": "the network was cut for Python code only"}
    return tuple(f"{text} ({on.missing[wall]})" for wall, text in matter.items() if wall in on.missing)


def _another_answer(
    script: Script, both: tuple[Run, Run], differing: Sequence[str], rules: Rules
) -> TraceError:
    path, run = differing[0], both[1]
    one, other = (answers.shown(its.answer, path) for its in both)
    more = f", and at {len(differing) - 1} more places" if len(differing) > 1 else ""
    message = (
        f"{script.path.name} has another answer with the layer alone: at {path.replace('$.json', '$', 1)} "
        f"{other} instead of {one}{more}"
    )
    called = sorted({seen.what for seen in run.of("host")})
    refused = failing.written(run, rules)
    if called:
        return TraceError(message, f"it calls {', '.join(called)} when it answers: see --keep-network")
    if refused:
        return TraceError(message, f"it could not write to {refused[0]}: have it write to /tmp")
    return TraceError(message, "it depends on something that is not in the layer")


def _tools(dropped: Sequence[Dropped]) -> dict[str, str]:
    """Name -> version of the libraries whose data is packed."""
    names = metadata.packages_distributions()
    wrote = {group.by for group in dropped if group.packed and group.by}
    distributions = {names[package][0] for package in wrote if package in names}
    return {name: metadata.version(name) for name in sorted(distributions)}


def script_digest(path: Path) -> str:
    """SHA-256 of a script, hex: a trace is of what it was then."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
