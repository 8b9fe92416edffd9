"""Runs a script in a process of its own and listens to what it tells."""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from firstlight.invoke import limits
from firstlight.invoke.types import WorkerSpec
from firstlight.trace.handlers import is_plain
from firstlight.trace.owners import FALLBACK
from firstlight.trace.types import Run, Seen, TraceError
from firstlight.trace.watching import Rules

_START = Path(__file__).with_name("start.py")
_FOR_DOWNLOADS = (
    *(
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("HF_TOKEN", "HF_ENDPOINT", "KAGGLE_USERNAME", "KAGGLE_KEY", "MODELSCOPE_API_TOKEN"),
)
"""Variables of the user that reach the runs that may download; a worker gets nothing of the user's."""
_SYSTEM = (
    *(
        "/usr/lib/",
        "/usr/lib64/",
        "/lib/",
        "/lib64/",
        "/etc/",
        "/proc/",
        "/sys/",
        "/dev/",
        "/usr/bin/",
        "/bin/",
    ),
    *("/usr/share/zoneinfo/", "/usr/share/locale/", "/usr/share/mime/", "/System/", "/Library/"),
)
_LATER_S = 5.0
"""Seconds that a process which outlives the script may hold up the reading of what it told."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is traced.

    Args:
        path: of the file.
        event: JSON text, for a handler.
        root: working folder, and what Lambda would call the task root.
        name: of its endpoint.
        env: the endpoint's own variables.
        memory_mb, timeout_s: as in the project; ``timeout_s`` is the deadline a handler is told.
        limit_s: seconds after which a run is given up.
    """

    path: Path
    event: str = "{}"
    root: Path = field(default_factory=Path.cwd)
    name: str = "script"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory_mb: int = 1769
    timeout_s: float = 900.0
    limit_s: float = 900.0


def environment(script: Script) -> dict[str, str]:
    """What a worker of the script would be given, but for the address it is called by."""
    spec = WorkerSpec(
        script.name, script=script.path, memory_mb=script.memory_mb, env=dict(script.env), cwd=script.root
    )
    env = limits.environment(spec, "")
    for name in ("AWS_LAMBDA_RUNTIME_API", "FIRSTLIGHT_STARTED_NS", "XDG_CACHE_HOME"):
        if name not in script.env:
            env.pop(name, None)
    return env


def in_clean_folders(script: Script, base: Path, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a run that may download, with every place where libraries drop things below ``base``."""
    for name in FALLBACK:
        (base / name).mkdir(mode=0o700, exist_ok=True)
    places = {variable: str(base / name) for name, variable in FALLBACK.items()}
    places |= {"TEMP": places["TMPDIR"], "TMP": places["TMPDIR"]}
    downloads = {name: env[name] for name in _FOR_DOWNLOADS if name in env}
    return {**downloads, **environment(script), **places, **script.env}


def rules(
    script: Script,
    own: Sequence[Path] = (),
    sealed: Sequence[Path] = (),
    *,
    walled: bool = False,
    cut: bool = False,
) -> Rules:
    """What a run is watched for.

    Args:
        own: folders that are no news when they are read.
        sealed: folders that cannot be written, wherever they lie.
    """
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    package = Path(__file__).resolve().parents[2]
    known = [Path(sys.prefix), Path(sys.base_prefix), *map(Path, packages)]
    known += [package, script.root, script.path.parent, *own]
    real = {f"{os.path.realpath(path)}/" for path in known} | {f"{path}/" for path in known}
    return Rules(
        packages=tuple(sorted(f"{folder}/" for folder in packages)),
        known=(*sorted(real), *_SYSTEM),
        writable=("/tmp/",),  # noqa: S108 - the one place that a function can write to
        sealed=tuple(f"{path}/" for path in sealed),
        walled=walled,
        cut=cut,
    )


def command() -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-I", "-B", "-u", str(_START)]


def run(script: Script, argv: Sequence[str], env: Mapping[str, str], watched: Rules) -> Run:
    """Run the script to its answer or its error.

    Args:
        argv: ``command()``, or that within walls.
        env: the whole environment.

    Raises:
        TraceError: it took too long, or its process ended without a word.
    """
    asked = {
        "script": str(script.path),
        "plain": is_plain(script.path),
        "event": script.event,
        "timeout": script.timeout_s,
        "rules": asdict(watched),
    }
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(env),
            cwd=script.root,
            start_new_session=True,
        )
    except OSError as error:
        raise TraceError(f"the script cannot be started in {script.root}: {error.strerror}", "") from error
    lines, status = _listened(process, json.dumps(asked).encode(), script.limit_s)
    seen, outcome = _understood(lines)
    if status is None:
        last = f"; it last called {seen[-1].what}" if seen and seen[-1].kind == "host" else ""
        hint = f"give it longer with --timeout{last}"
        raise TraceError(f"{script.path.name} had no answer after {script.limit_s:g} seconds", hint)
    if outcome is None:
        raise TraceError(
            f"{script.path.name} ended without an answer: {_ended(status)}", _ending_hint(status)
        )
    causes = tuple(tuple(cause) for cause in outcome.get("causes", ()))
    return Run(outcome.get("answer"), outcome.get("error"), causes, tuple(seen), time.monotonic() - started)


def clean_run(script: Script, base: Path) -> Run:
    """Run a script where it may write and call out as it likes, in folders below ``base``."""
    return run(script, command(), in_clean_folders(script, base), rules(script, [base]))


def _listened(
    process: subprocess.Popen[bytes], asked: bytes, limit_s: float
) -> tuple[list[bytes], int | None]:
    """What a process told, and its exit code; None when it had to be ended. All it started is ended with it."""
    lines: list[bytes] = []
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
    reader = threading.Thread(target=_collect, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        process.stdin.write(asked)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it read: its exit code says why
    ended = False
    try:
        ended = _ends_within(process, limit_s)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # nothing of it is left
        status = process.wait()
        reader.join(_LATER_S)
        if not reader.is_alive():
            process.stdout.close()
    return lines, status if ended else None


def _ends_within(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    """Wait for the end of a process; on Linux it is not reaped, so that its group cannot be another's yet."""
    if sys.platform != "linux":
        try:
            process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        return bool(select.select([descriptor], [], [], limit_s)[0])
    finally:
        os.close(descriptor)


def _collect(stream: IO[bytes], lines: list[bytes]) -> None:
    lines.extend(stream)


def _understood(lines: Sequence[bytes]) -> tuple[list[Seen], dict[str, Any] | None]:
    seen: list[Seen] = []
    parts: list[str] = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue  # a line that was cut: its process was ended while it wrote
        if "part" in told:
            parts.append(told["part"])
        else:
            seen.append(Seen(told["kind"], told["what"], told["by"]))
    try:
        outcome: dict[str, Any] = json.loads(base64.b64decode("".join(parts)))
    except ValueError:
        return seen, None
    return seen, outcome


def _ended(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _ending_hint(status: int) -> str:
    if status == -signal.SIGKILL:
        return "it may have needed more memory than there is"
    return "what it printed is above" if status else "it ended its process itself (os._exit)"
