"""What the verbs of the lock file share: the project here, what it wants, and the layers of its scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.runtime.errors import FirstlightError, ProjectError

if TYPE_CHECKING:
    from firstlight.build.lock import Caches, Lock
    from firstlight.build.lock.checking import Checked
    from firstlight.build.lock.wanted import Wanted


def root_here() -> Path:
    """The folder of the project here.

    Raises:
        ProjectError: there is no project file here or above.
    """
    from firstlight import project as projects

    root = projects.find(Path.cwd())
    if root is None:
        hint = "run it in a project's folder; `firstlight init` begins a project"
        raise ProjectError(f"there is no {projects.FILE} here or above", hint)
    return root


def wanted_here(root: Path, stage: str | None = None) -> list[Wanted]:
    """The model endpoints of a project, of its stages too."""
    from firstlight.build.lock.wanted import wanted

    return wanted(root, os.environ, stage)


def laid_over(root: Path, change: Callable[[Lock], Lock]) -> bool:
    """Change the lock file as it is now, while `firstlight add` does not.

    Returns:
        Whether it is another one now; a project that nothing is written to may be read-only.

    Raises:
        ProjectError: it cannot be read or written.
    """
    from firstlight.build import lock
    from firstlight.cli import entering

    now = lock.read(root)
    if lock.text(change(now)) == lock.text(now):
        return False
    with entering.alone(root):
        return lock.write(root, change(lock.read(root)))


def strangers(said: Lock, root: Path) -> list[str]:
    """Names of the lock's caches that belong to no script of the project."""
    from firstlight import project as projects

    scripts = {
        name for name, endpoint in projects.load(root).endpoints.items() if endpoint.script is not None
    }
    return sorted(set(said.caches) - scripts)


def layer(name: str, caches: Caches, root: Path) -> Checked:
    """Whether a traced script is still the one that was traced, and its layer what the lock says."""
    from firstlight import project as projects
    from firstlight.build.lock.checking import Checked, sha256
    from firstlight.trace import layers

    endpoint = projects.load(root).endpoints.get(name)
    if endpoint is None or endpoint.script is None:
        return Checked("layer", 0, ("in firstlight.lock, and no script of the project",))
    problems = []
    if sha256(endpoint.script) != caches.script:
        problems.append(
            f"{endpoint.script.name} was changed after it was traced: run `firstlight trace {name}`"
        )
    packed = layers.folder(root) / f"{caches.layer}.tar"
    if not packed.is_file():
        return Checked("layer", 0, tuple(problems), f"the layer {caches.layer[:12]} is not on this machine")
    if sha256(packed) != caches.layer:
        problems.append(f"{packed} is not what its name says")
    else:
        try:
            layers.check(caches, root)
        except FirstlightError as error:
            problems.append(f"{error.message}: {error.hint}")
    return Checked("layer", 2, tuple(problems))
