"""Inside a traced run: the script is run to its answer, and what happens is told on what was stdout.

What is told is JSON, one object on a line and never more than a pipe takes at once, so that lines of several processes
do not mix: ``{"kind": ...}`` for what was seen, ``{"part": base64}`` for the outcome, which is one JSON object with
``answer`` or ``error``.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from firstlight.runtime import deadline, faults, links, marshal, notes, scripts, streaming
from firstlight.runtime.context import LambdaContext
from firstlight.trace.watching import Rules, Watch

_PIECE = 3000
"""Bytes of a line at most, before base64: below PIPE_BUF (4096 on Linux, 512 asked for by POSIX)."""
_HIGH = 500
"""The least number of the descriptor that is told on: scripts close low ones that they do not know."""
_LONGEST = 900
"""Characters of a path that are told, at most four bytes each."""
_TEXT_LIMIT = 6_291_456
"""Bytes of what a script without a handler prints that are compared."""


def main() -> None:
    """Read what to run from stdin, run it, and tell the outcome."""
    asked = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    told = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.dup2(2, 1)
    rules: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in asked["rules"].items()
    }

    def tell(event: Mapping[str, str]) -> None:
        cut = {key: value[:_LONGEST] for key, value in event.items()}
        with contextlib.suppress(OSError):  # the script closed it: its outcome cannot be told either
            os.write(told, json.dumps(cut, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")

    links.follow(os.environ)
    sys.addaudithook(Watch(Rules(**rules), tell))
    outcome = _outcome(asked)
    raw = base64.b64encode(json.dumps(outcome).encode())
    for start in range(0, len(raw), _PIECE):
        os.write(told, json.dumps({"part": raw[start : start + _PIECE].decode()}).encode() + b"\n")
    _flush()
    if not asked["plain"]:
        os._exit(0)  # a worker does not wait for what a handler left running either


def _outcome(asked: dict[str, Any]) -> dict[str, Any]:
    sys.argv = [asked["script"]]
    try:
        if asked["plain"]:
            return {"answer": _printed(asked["script"])}
        return {"answer": _answered(asked["script"], asked["event"], asked["timeout"])}
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        message = f"the script ended itself with {error.code!r}"
        return {"error": {"errorType": "SystemExit", "errorMessage": message, "stackTrace": []}, "causes": []}
    except BaseException as error:
        return {"error": _told(error), "causes": _causes(error)}


def _told(error: BaseException) -> dict[str, Any]:
    """The error as a worker would report it; frames of what runs the script are none of the user's."""
    told = faults.describe(error)
    own = os.path.dirname(__file__)  # noqa: PTH120
    frames = [frame for frame in told["stackTrace"] if own not in frame and '"<frozen runpy>"' not in frame]
    return {**told, "stackTrace": frames}


def _answered(script: str, event: str, timeout: float) -> dict[str, Any]:
    """The answer of a handler, as a worker would send it."""
    handler = scripts.load(script)
    notes.clear()
    deadline_ms = int((time.time() + timeout) * 1000)
    headers = {"lambda-runtime-deadline-ms": str(deadline_ms), "lambda-runtime-aws-request-id": "trace"}
    deadline.begin(deadline_ms)
    result = handler(json.loads(event), LambdaContext(headers, os.environ))
    pieces = streaming.stream(result)
    body = marshal.body(result)[0] if pieces is None else b"".join(pieces[1])
    return _compared(body)


def _compared(body: bytes) -> dict[str, Any]:
    try:
        return {"json": json.loads(body)}
    except (ValueError, RecursionError):
        return {"bytes": base64.b64encode(body).decode()}


def _printed(script: str) -> dict[str, Any]:
    """What a script without a handler prints; it is shown on stderr too."""
    folder = os.path.dirname(script)  # noqa: PTH120
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as error:
            if error.code not in (None, 0):
                raise
        finally:
            _flush()
            os.dup2(2, 1)
            file.seek(0)
            printed = file.read(_TEXT_LIMIT)
            os.write(2, printed)
    return {"json": printed.decode("utf-8", "replace").splitlines()}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # the script closed it


def _causes(error: BaseException | None) -> list[list[Any]]:
    """Kind, number and text of an error and of those that led to it, the last one first."""
    found: list[list[Any]] = []
    while error is not None and len(found) < 20:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        found.append(
            [
                kinds,
                getattr(error, "errno", None),
                str(error)[:500],
                str(getattr(error, "filename", "") or ""),
            ]
        )
        error = error.__cause__ or error.__context__
    return found
