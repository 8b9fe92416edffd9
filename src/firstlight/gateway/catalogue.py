"""What the gateway knows of each endpoint: its task, where its model came from, and how to find it by either."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstlight.project import Endpoint, Project
from firstlight.runtime import tasks
from firstlight.runtime.bundle import MANIFEST, Bundle
from firstlight.runtime.errors import EndpointNotFound, FirstlightError


@dataclass(frozen=True, slots=True)
class Entry:
    """One endpoint as the wires and the pages see it.

    Args:
        name: the endpoint's name.
        endpoint: what the project says of it.
        task: Hugging Face pipeline tag; None for a script.
        tasks: all tags its weights serve, its own first.
        source: the hub's id of its model, ``owner/name``; empty when it has none.
        labels: what its model can say, for tasks with labels.
        licence: SPDX id of the model's licence, empty when unknown.
        precision: of the weights: ``fp32``, ``int8``, ``nb8``; empty when unknown.
        digest: of its bundle, hexadecimal; empty when it has none.
        created: when its bundle was written, whole seconds since the epoch; 0 when it has none.
        generation: how its model generates where a request does not say, as in its ``generation_config.json``.
        problem: why its bundle cannot be read; empty when all is well.
    """

    name: str
    endpoint: Endpoint
    task: str | None = None
    tasks: tuple[str, ...] = ()
    source: str = ""
    labels: tuple[str, ...] = ()
    licence: str = ""
    precision: str = ""
    digest: str = ""
    created: int = 0
    generation: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def script(self) -> bool:
        """Whether a user's script answers, rather than a task."""
        return self.endpoint.script is not None


class Catalogue:
    """The endpoints of a project by name, by hub id, by task and by route.

    Args:
        project: the project.
        bundles: folder of the bundle of each model endpoint, by endpoint name; those left out are known by what
            the project says of them alone.
        verify: as ``Bundle.open``; ``listed`` where the folders hold nothing but ``bundle.json``.
    """

    def __init__(self, project: Project, bundles: Mapping[str, Path], verify: str = "sizes") -> None:
        self.entries: dict[str, Entry] = {
            name: describe(endpoint, bundles.get(name), verify)
            for name, endpoint in project.endpoints.items()
        }
        self._by_source: dict[str, Entry] = {}
        for entry in self.entries.values():
            if entry.source:
                self._by_source.setdefault(entry.source.lower(), entry)
        self.routes: dict[str, Entry] = {
            entry.endpoint.route: entry for entry in self.entries.values() if entry.endpoint.route
        }

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, name: str) -> Entry:
        """The endpoint of a name, or the one whose model has this hub id (``owner/name``, any revision after ``@``).

        Raises:
            EndpointNotFound: with the nearest names that exist.
        """
        entry = self.entries.get(name)
        if entry is None:
            entry = self._by_source.get(name.partition("@")[0].lower())
        if entry is None:
            raise EndpointNotFound(f"there is no endpoint {name[:200]!r}", self._nearest(name))
        return entry

    def first(self) -> Entry:
        """The project's first endpoint, which answers where a protocol names none."""
        for entry in self:
            return entry
        raise EndpointNotFound(
            "this project has no endpoints", "add one: firstlight add, or a file in inference/"
        )

    def of_task(self, task: str) -> Entry:
        """The first endpoint that was made for this task, else the first whose weights serve it too."""
        serving = [entry for entry in self if task in entry.tasks]
        for entry in serving:
            if entry.task == task:
                return entry
        if serving:
            return serving[0]
        known = sorted({name for entry in self for name in entry.tasks})
        hint = f"tasks here: {', '.join(known)}" if known else "no endpoint here has a task"
        raise EndpointNotFound(f"there is no endpoint for the task {task[:100]!r}", hint)

    def _nearest(self, name: str) -> str:
        names = list(self.entries)
        close = difflib.get_close_matches(name[:200], names, n=1, cutoff=0.6)
        meant = f"did you mean {close[0]!r}? " if close else ""
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        return meant + (f"endpoints here: {shown}" if names else "this project has no endpoints")


def describe(endpoint: Endpoint, bundle: Path | None, verify: str = "sizes") -> Entry:
    """An endpoint with what its bundle says of it; a bundle that cannot be read leaves a note instead."""
    known = Entry(
        endpoint.name,
        endpoint,
        task=tasks.canonical(endpoint.task) if endpoint.task else None,
        tasks=(tasks.canonical(endpoint.task),) if endpoint.task else (),
        source=_hub_id(endpoint.model),
    )
    if bundle is None:
        return known
    try:
        opened = Bundle.open(str(bundle), verify)
        task = tasks.choose(endpoint.task, opened)
        generation = opened.defaults.get("generation")
    except FirstlightError as error:
        return replace(known, problem=error.message)
    others = (tag for tag in tasks.served(opened) if tag != task)
    return replace(
        known,
        task=task,
        tasks=(task, *others),
        source=str(opened.source.get("repo") or "") or known.source,
        labels=tuple(str(label) for label in opened.labels),
        licence=str(opened.source.get("licence") or ""),
        precision=opened.precision,
        digest=opened.digest,
        created=int((bundle / MANIFEST).stat().st_mtime),
        generation=generation if isinstance(generation, dict) else {},
    )


def _hub_id(model: str | None) -> str:
    """The hub id in ``hf:owner/name@revision`` or ``owner/name``; empty for a folder, a file or a starter."""
    if not model:
        return ""
    name = model.removeprefix("hf:").partition("@")[0]
    plain = name.count("/") == 1 and not name.startswith((".", "/", "~")) and ":" not in name
    return name if plain else ""
