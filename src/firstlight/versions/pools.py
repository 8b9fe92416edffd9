"""What a pool of workers is to serve: every endpoint as it is now, and every version of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from firstlight.invoke.types import LATEST, WorkerSpec, pool_name
from firstlight.versions.state import Function, State


def pools_of(specs: Mapping[str, WorkerSpec], state: State) -> dict[str, WorkerSpec]:
    """Specs by the name of their pool. Concurrency is the function's: that of the project, or what was reserved.

    A version runs within walls where its endpoint does. Endpoints that the project has no longer have no pool, and
    neither have their versions.
    """
    pools: dict[str, WorkerSpec] = {}
    for endpoint, spec in specs.items():
        function = state.get(endpoint)
        if function is None:
            pools[endpoint] = replace(spec, snap_start=False) if spec.snap_start else spec
            continue
        kept = {**kept_ready(function), LATEST: spec.provisioned}
        limit = _limit(spec.concurrency, sum(kept.values()), function.reserved)
        pools[endpoint] = replace(_limited(spec, kept[LATEST], limit), snap_start=False)
        for number, version in function.versions.items():
            own = _limited(version.spec, kept.get(number, 0), limit)
            pools[pool_name(endpoint, number)] = own if spec.walls is None else _walled(own, spec)
    return pools


def kept_ready(function: Function) -> dict[str, int]:
    """Workers to keep ready by version: what was asked for the version, and its share of what an alias was given."""
    kept: dict[str, int] = {}
    for qualifier, count in function.provisioned.items():
        alias = function.aliases.get(qualifier)
        shares = {qualifier: 1.0} if alias is None else function.weights(alias)
        for version, share in shares.items():
            if version != LATEST:
                kept[version] = kept.get(version, 0) + math.ceil(round(count * share, 9))
    return kept


def _limit(concurrency: int, kept: int, reserved: int | None) -> int:
    """How many invocations of a function may run: where there may be some, as many as are kept ready at least."""
    if reserved is not None:
        return reserved
    return max(concurrency, kept) if concurrency else 0


def _limited(spec: WorkerSpec, provisioned: int, limit: int) -> WorkerSpec:
    return replace(spec, concurrency=limit, provisioned=min(provisioned, limit))


def _walled(spec: WorkerSpec, live: WorkerSpec) -> WorkerSpec:
    """The version's spec within walls, through which it sees what its endpoint sees."""
    from firstlight.invoke.walled import walled

    own = walled(spec)
    if own.walls is None or live.walls is None:
        return own
    through = tuple(dict.fromkeys((*own.walls.through, *live.walls.through)))
    return replace(own, walls=replace(own.walls, through=through))
