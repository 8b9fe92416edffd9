"""Resolving a model in a process of its own: what a conversion imports and holds is gone when the server starts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from firstlight.runtime import errors
from firstlight.runtime.errors import ConversionError, FirstlightError


def resolve_apart(model: str, root: Path, task: str | None, precision: str | None) -> Path:
    """As ``build.resolve.resolve``, in a child process.

    Raises:
        FirstlightError: what was raised there; a ConversionError when the process was ended (by lack of memory, say).
    """
    asked = json.dumps([model, str(root), task, precision])
    command = [sys.executable, "-m", "firstlight.cli.resolving"]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        hint = "its last lines are above; a big model may need more memory than there is"
        raise ConversionError(
            f"the conversion of {model} ended with exit code {done.returncode}", hint
        ) from error
    if "path" in answer:
        return Path(answer["path"])
    kind: type[FirstlightError] = getattr(errors, answer["kind"])
    raise kind(answer["message"], answer["hint"])


def main() -> None:
    """The child: one question on stdin, one answer on stdout; what libraries print goes to stderr."""
    from firstlight.build import resolve

    model, root, task, precision = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        try:
            answer = {"path": str(resolve.resolve(model, Path(root), task=task, precision=precision))}
        except FirstlightError as error:
            kind = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
            answer = {"kind": kind, "message": error.message, "hint": error.hint}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
