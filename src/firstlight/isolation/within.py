"""Runs a command within walls: ``python -I -S within.py WALLS COMMAND...`` becomes the command.

WALLS is the JSON object that ``wrapping.described`` makes. Without a command it prints which walls could not be put
up, and why, as a JSON object.
"""

from __future__ import annotations

import json
import os
import resource
import sys

_ROOT = __file__.rsplit(os.sep, 3)[0]
sys.path.insert(0, _ROOT)

from firstlight.isolation import cutting, landlocked  # noqa: E402

_OPEN_FILES = 1024
"""File descriptors of a Lambda function (AWS Lambda quotas)."""


def main() -> None:
    """Put up the walls, then become the command."""
    walls = json.loads(sys.argv[1])
    words = sys.argv[2:]
    here = os.getcwd()  # noqa: PTH109 - pathlib costs 5 ms of a start
    missing: dict[str, str] = {}
    if walls["how"] == "namespaces":
        missing = cutting.cut(walls)
    elif walls["how"] == "landlock":
        missing = landlocked.cut(walls)
    if not words:
        print(json.dumps(missing))  # noqa: T201
        return
    if "read-only" in missing:  # the trial said otherwise: better not at all than without walls
        sys.exit(_said(f"the walls could not be put up: {missing['read-only']}", 126))
    try:
        os.chdir(here)  # what is there now, not what was there before a new /tmp was put over it
    except OSError:
        os.chdir("/")
    if walls["home"] is not None:
        os.environ["HOME"] = walls["home"]
    if walls["tmp_mb"] is not None:
        for name in ("TMPDIR", "TEMP", "TMP"):
            os.environ.pop(name, None)
    most = min(_OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        os.execvp(words[0], words)  # noqa: S606
    except OSError as error:
        sys.exit(_said(f"{words[0]} cannot be started within walls: {error.strerror}", 127))


def _said(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(_said(f"the walls could not be put up: {error}", 126))
