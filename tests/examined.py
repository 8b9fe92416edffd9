"""A project that the doctor looks at, and invocations that were never made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstlight.doctor.trials import Trial
from firstlight.doctor.types import Finding, Subject
from firstlight.invoke.types import WorkerSpec
from firstlight.project import Endpoint

Making = Callable[..., Subject]
"""Makes a subject of a project as it is now, with another firstlight.toml where one is given."""


def write(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    """A file in a folder that others can read."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def spec_of(root: Path) -> Callable[[Endpoint], WorkerSpec]:
    """Endpoints whose model is a bundle already."""

    def make(endpoint: Endpoint) -> WorkerSpec:
        bundle = root / endpoint.model if endpoint.model else None
        return WorkerSpec(
            endpoint.name,
            bundle=bundle,
            script=endpoint.script,
            memory_mb=endpoint.memory,
            cwd=root if not bundle else None,
        )

    return make


def trial(**changes: Any) -> Trial:
    """An invocation that went well."""
    well = {
        "payload": {"ok": True},
        "bytes": 11,
        "failed": False,
        "outcome": "ok",
        "init_s": 0.2,
        "memory_mb": 60,
        "tmp_mb": 0.0,
        "offline": True,
    }
    return Trial(**{**well, **changes})


def only(findings: Any) -> Finding:
    """The one finding."""
    (found,) = findings
    return found
