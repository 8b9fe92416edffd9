"""What a function writes while it runs: plain lines, or one JSON object a line.

``AWS_LAMBDA_LOG_FORMAT=JSON`` and ``AWS_LAMBDA_LOG_LEVEL`` are Lambda's logging controls; ``print`` and ``logging``
both honour the format. ``logging`` is set up at the moment something imports it: the import costs 10 ms, and a worker
that only runs a model never needs it.
"""

from __future__ import annotations

import sys
from time import gmtime, strftime

from firstlight.runtime import jsons

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TextIO

request_id = ""
tenant_id: str | None = None
as_json = False
level = ""


def set_up(env: Mapping[str, str]) -> None:
    """Choose the format, and have each line leave when it ends."""
    global as_json, level  # noqa: PLW0603 - a process has one log
    as_json = env.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
    level = {"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(
        named := env.get("AWS_LAMBDA_LOG_LEVEL", "").upper(), named
    )
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    if as_json:
        sys.stdout = JsonLines(sys.stdout, "INFO")
        sys.stderr = JsonLines(sys.stderr, "ERROR")
    if "logging" in sys.modules:
        _set_up_logging()
    else:
        sys.meta_path.insert(0, _WhenImported())


def begin(request: str, tenant: str | None = None) -> None:
    """Name the invocation the next lines belong to."""
    global request_id, tenant_id
    request_id, tenant_id = request, tenant


def flush() -> None:
    """Let out what has not left yet, before the answer does."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def error(described: Mapping[str, Any]) -> None:
    """Write a function error, as Lambda's Python runtime does."""
    if as_json:
        write({"timestamp": timestamp(), "level": "ERROR", **described})
        return
    lines = [f"[ERROR] {described['errorType']}: {described['errorMessage']}"]
    if described.get("hint"):
        lines.append(f"help: {described['hint']}")
    if described["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        lines += [line for frame in described["stackTrace"] for line in frame.splitlines()]
    sys.stdout.write("\n".join(lines) + "\n")


def write(line: Mapping[str, Any]) -> None:
    """Write one JSON line, past ``JsonLines`` where it stands in for stdout."""
    plain_stream().write(jsons.dumps(line, ascii_only=False) + "\n")


def plain_stream() -> TextIO:
    """Where whole lines go: stdout, or what is behind ``JsonLines``."""
    return sys.stdout.stream if isinstance(sys.stdout, JsonLines) else sys.stdout


def tags() -> dict[str, str]:
    """What a JSON line says of the invocation it belongs to."""
    known = {"requestId": request_id, "tenantId": tenant_id}
    return {name: value for name, value in known.items() if value}


def timestamp() -> str:
    """Now, in UTC, to the second, as Lambda's JSON log lines have it."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())


class JsonLines:
    """Stands in for stdout or stderr: every line that is printed becomes a JSON object.

    Args:
        stream: where the objects go.
        level: what a line from here counts as.
    """

    def __init__(self, stream: TextIO, level: str) -> None:
        self.stream = stream
        self.level = level
        self._rest = ""

    def write(self, text: str) -> int:
        """Keep the beginning of a line until its end is there."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._emit(line)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Let out a line that was begun and not ended."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._emit(rest)
        self.stream.flush()

    def _emit(self, message: str) -> None:
        if not message:
            return
        line = {"timestamp": timestamp(), "level": self.level, "message": message, **tags()}
        self.stream.write(jsons.dumps(line, ascii_only=False) + "\n")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _set_up_logging() -> None:
    from firstlight.runtime import log_records

    log_records.set_up(level, as_json, plain_stream, tags)


class _WhenImported:
    """Finds ``logging`` as Python would, and sets it up once it has been imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of ``logging``, with a loader that does one thing more; None for every other name."""
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _ThenSetUp(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _ThenSetUp:
    """A loader and what is to be done when it has loaded."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _set_up_logging()
