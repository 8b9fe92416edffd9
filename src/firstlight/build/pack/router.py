"""All the files of the router: the gateway, starlette, and what the pages say of the models; no weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight.build.pack import components, contents, pinning, slices
from firstlight.build.pack.slices import absolute
from firstlight.build.pack.types import OURS, Contents, File, Piece, Target
from firstlight.build.types import Progress
from firstlight.project import Project, description
from firstlight.project.names import ROUTER
from firstlight.runtime.bundle import MANIFEST

if TYPE_CHECKING:
    from firstlight.build.lock.types import Lock

HANDLER = "firstlight.gateway.aws.handler"
JOBS_HANDLER = "firstlight.gateway.aws.jobs"
"""The handler of the function that works off the queue, which has the same code."""
FOLDER = f"{OURS}/router"
"""Where the description of the project is, and ``bundles/NAME/bundle.json``."""
_NOT_SERVED = f"{slices.SOURCE}/firstlight/gateway/edge/"
"""The gateway's own HTTP server, which has no part where AWS is one."""


def of_router(
    project: Project, bundles: Mapping[str, Path], lock: Lock, target: Target, shown: Progress
) -> Contents:
    """The router of a project.

    Args:
        bundles: folder of the bundle of each model endpoint, by endpoint name.
        lock: which wheels; those it lacks are resolved.
        shown: is told what takes long.

    Raises:
        ProjectError: wheels cannot be had.
    """
    lock = pinning.with_own(lock, target, pinning.ROUTER, shown)
    some = pinning.set_of(lock, target, pinning.ROUTER)
    files, places = contents.unpacked(some, target, slices.LIBRARIES, shown)
    start = contents.start_program(scripted=False)
    code = [*slices.runtime(), *_gateway(), File(contents.START, start, len(start), executable=True)]
    pieces = (
        Piece("wheels", files),
        Piece("gateway", tuple(sorted(code, key=lambda file: file.path))),
        Piece("project", tuple(sorted(_about(project, bundles), key=lambda file: file.path))),
    )
    named = {places[wheel.file]: wheel for wheel in some}
    return Contents(
        ROUTER,
        target,
        pieces,
        {
            "FIRSTLIGHT_PATH": ":".join(
                (absolute(slices.SOURCE), absolute(slices.LIBRARIES), "/var/runtime")
            ),
            "FIRSTLIGHT_ROUTER": absolute(FOLDER),
            "HOME": "/tmp",  # noqa: S108 - the only folder that can be written on Lambda
        },
        HANDLER,
        (f"{slices.SOURCE}/firstlight/runtime/start.py",),
        (components.firstlight(), *components.libraries(named)),
    )


def _gateway() -> Iterator[File]:
    for file in slices.server():
        if not file.path.startswith(_NOT_SERVED):
            yield file


def _about(project: Project, bundles: Mapping[str, Path]) -> Iterator[File]:
    told = description.written(project)
    yield File(f"{FOLDER}/project.json", told, len(told))
    for name, folder in bundles.items():
        said = contents.manifest(folder)
        yield File(f"{FOLDER}/bundles/{name}/{MANIFEST}", said, len(said))
