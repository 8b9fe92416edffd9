"""When a script counts as changed: its own content, and what lies beside it."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from firstlight.project import Project
from firstlight.versions import beside


def of_script(script: Path, project: Project) -> str:
    """Identity of a script: its content, and size and time of what lies beside it and may be imported or read.

    Scripts of other endpoints are left out, so that changing one does not restart the others. A file that is gone
    or cannot be read counts as none: whoever needs it will say so.
    """
    found = hashlib.sha256()
    others = {endpoint.script for endpoint in project.endpoints.values()}
    with contextlib.suppress(OSError):
        found.update(script.read_bytes())
    for file in beside.files(script.parent):
        if Path(file.path) not in others:
            with contextlib.suppress(OSError):
                state = file.stat()
                line = f"{file.path} {state.st_size} {state.st_mtime_ns}\n"
                found.update(line.encode("utf-8", "surrogateescape"))
    return found.hexdigest()
