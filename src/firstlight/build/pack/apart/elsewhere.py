"""Runs pip for another machine: ``python -I elsewhere.py MARKERS PIP [ARGUMENT...]``.

pip chooses wheels for the platform it is told, but judges environment markers by the interpreter it runs on
(pypa/pip, issue 11664). So the environment that its copy of ``packaging`` asks for is replaced before it starts.
Nothing of a package may run here: whatever would start another program, as builds and version control do, ends pip.

MARKERS is JSON, PIP where to find pip: a folder of packages or a wheel.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

REFUSED = "firstlight-refused-to-run:"
"""Begins the line that says what pip wanted to run."""
NO_PIP = "firstlight-found-no-pip"
_ALLOWED = ("keyring",)
"""What pip asks for passwords."""
_NOT_MISSED = ("lsb_release", "rustc", "uname")
"""What pip asks of the system, to tell an index about; it goes without where they are not installed."""


def main(markers: str, pip: str, *arguments: str) -> int:
    """Run pip; its exit code."""
    if pip not in sys.path:
        sys.path.append(pip)
    environment: dict[str, str] = json.loads(markers)
    try:
        from pip._internal.cli.main import main as run
        from pip._vendor.packaging import markers as judged
    except ImportError:
        sys.stderr.write(f"{NO_PIP}\n")
        return 3
    judged.default_environment = lambda: dict(environment)
    sys.addaudithook(_watch)
    return int(run(list(arguments)))


def _watch(event: str, details: tuple[Any, ...]) -> None:
    if event not in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"):
        return
    program = details[0] if isinstance(details[0], (str, bytes)) else "a program"
    name = os.path.basename(os.fsdecode(program)).removesuffix(".exe")  # noqa: PTH119
    if name in _NOT_MISSED:
        raise FileNotFoundError(name)
    if name not in _ALLOWED:
        command = details[1] if len(details) > 1 and isinstance(details[1], (list, tuple)) else [name]
        told = " ".join(os.fsdecode(word) for word in command)[:300]
        sys.stderr.write(f"{REFUSED} {told}\n")
        raise PermissionError("nothing of a package is run here")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
