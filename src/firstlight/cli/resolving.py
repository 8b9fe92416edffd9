"""Resolving a model in a process of its own: what a conversion imports and holds is gone when the server starts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firstlight.build.types import Made, SourceFile, Wish
from firstlight.runtime import errors
from firstlight.runtime.errors import ConversionError, FirstlightError


def make_apart(wish: Wish, root: Path, locked: Made | None = None, as_json: bool = False) -> Made:
    """As ``build.resolve.make``, in a child process, which shows its progress on stderr.

    Args:
        as_json: progress as JSON lines.

    Raises:
        FirstlightError: what was raised there; a ConversionError when the process was ended (by lack of memory, say).
    """
    entry = asdict(locked) | {"place": ""} if locked else None
    asked = json.dumps({"wish": asdict(wish), "root": str(root), "locked": entry, "as_json": as_json})
    command = [sys.executable, "-m", "firstlight.cli.resolving"]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        hint = "its last lines are above; a big model may need more memory than there is"
        raise ConversionError(
            f"the conversion of {wish.model} ended with exit code {done.returncode}", hint
        ) from error
    if "made" in answer:
        return _made(answer["made"])
    kind: type[FirstlightError] = getattr(errors, answer["kind"])
    raise kind(answer["message"], answer["hint"])


def _made(content: dict[str, Any]) -> Made:
    files = tuple(SourceFile(**file) for file in content.pop("files"))
    return Made(place=Path(content.pop("place")), files=files, **content)


def main() -> None:
    """The child: one question on stdin, one answer on stdout; what libraries print goes to stderr."""
    from firstlight.build import resolve
    from firstlight.cli import progress

    asked = json.load(sys.stdin)
    locked = _made(asked["locked"]) if asked["locked"] else None
    answer: dict[str, Any]
    with contextlib.redirect_stdout(sys.stderr):
        try:
            with progress.shown(asked["as_json"]) as shown:
                made = resolve.make(Wish(**asked["wish"]), Path(asked["root"]), locked, shown)
            answer = {"made": asdict(made) | {"place": str(made.place)}}
        except FirstlightError as error:
            kind = next(kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
            answer = {"kind": kind, "message": error.message, "hint": error.hint}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
