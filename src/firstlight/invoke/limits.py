"""What a worker is given: Lambda's environment and nothing of the user's own, and a ceiling on its memory."""

from __future__ import annotations

import os
import sys
import sysconfig
import time
import uuid
from pathlib import Path

from firstlight.invoke.types import REGION, WorkerSpec

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)
_PEAK_S = 0.01
_MARGIN = 1024 * 1024 * 1024
FILES = 1024
"""Files a worker may have open (AWS Lambda quotas, "File descriptors")."""
_PATH = "/usr/local/bin:/usr/bin:/bin"


def import_path() -> str:
    """The folders a worker imports from, joined as in ``PYTHONPATH``: this package's, then the installed packages'.

    In the image of a function they are where its own ``FIRSTLIGHT_PATH`` says, which comes first then.
    """
    package = Path(__file__).resolve().parents[2]
    named = [entry for entry in os.environ.get("FIRSTLIGHT_PATH", "").split(os.pathsep) if entry]
    folders = dict.fromkeys(
        (*named, str(package), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    )
    return os.pathsep.join(folders)


def environment(spec: WorkerSpec, runtime_api: str, initialization: str = "on-demand") -> dict[str, str]:
    """The environment of one worker, complete: nothing is inherited from the server's but its cache folder.

    ``HOME`` is not set, as on Lambda; proxies and AWS credentials reach a worker only when the endpoint names them.

    Args:
        spec: its ``env`` comes last and wins over all but the variables Lambda reserves.
        runtime_api: ``host:port`` or ``unix:/path``.
        initialization: why it is started: ``on-demand``, ``provisioned-concurrency`` or ``snap-start``.
    """
    folder = task_root(spec)
    region = spec.env.get("AWS_REGION", REGION)
    env = {
        "PATH": f"{Path(sys.executable).parent}:{_PATH}",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_DEFAULT_REGION": region,
        **({} if spec.walls is not None else _cache_folder()),
        **spec.env,
        "AWS_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.endpoint,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.endpoint}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[{spec.version}]{uuid.uuid4().hex}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(folder),
        "FIRSTLIGHT_PATH": import_path(),
        "FIRSTLIGHT_STARTED_NS": str(time.perf_counter_ns()),
    }
    if initialization == "snap-start":  # a copy's log is not the one its first life had
        del env["AWS_LAMBDA_LOG_GROUP_NAME"], env["AWS_LAMBDA_LOG_STREAM_NAME"]
    if spec.bundle is not None:
        env["FIRSTLIGHT_BUNDLE"] = str(spec.bundle)
        if spec.task is not None:
            env["FIRSTLIGHT_TASK"] = spec.task
        env["_HANDLER"] = "firstlight.runtime.lambda_function.handler"
    elif spec.script is not None:
        env["FIRSTLIGHT_SCRIPT"] = str(spec.script)
        env["_HANDLER"] = f"{spec.script.stem}.handler"
    elif spec.handler is not None:
        env["_HANDLER"] = spec.handler
    return env


def _cache_folder() -> dict[str, str]:
    """Where the user's caches are; within walls nobody can write there."""
    return {name: os.environ[name] for name in ("XDG_CACHE_HOME",) if name in os.environ}


def task_root(spec: WorkerSpec) -> Path:
    """The folder a worker runs in: what the spec says, else that of its bundle or its script."""
    if spec.cwd is not None:
        return spec.cwd
    if spec.bundle is not None:
        return spec.bundle
    return spec.script.parent if spec.script is not None else Path.cwd()


def command(spec: WorkerSpec) -> tuple[str, ...]:
    """The command line of a worker. A model needs no ``site``; a script gets the whole of the installed packages."""
    if spec.command is not None:
        return spec.command
    bootstrap = str(Path(__file__).resolve().parents[1] / "runtime" / "bootstrap.py")
    flags = ("-I", "-S", "-u") if spec.bundle is not None else ("-I", "-u")
    return (sys.executable, *flags, bootstrap)


def data_limit(memory_mb: int) -> int:
    """Bytes for RLIMIT_DATA: the ceiling that holds between two looks at a worker's memory.

    It stands a gigabyte above the endpoint's limit, as it counts what is reserved (thread stacks), used or not.
    """
    return memory_mb * 1024 * 1024 + _MARGIN


def set_limits(pid: int, memory_mb: int) -> None:
    """Put the ceiling on a running process, and Lambda's limit of open files; no core is written. Only Linux can."""
    if sys.platform == "linux":
        import resource

        limits = (
            (resource.RLIMIT_DATA, data_limit(memory_mb)),
            (resource.RLIMIT_NOFILE, FILES),
            (resource.RLIMIT_CORE, 0),
        )
        for what, most in limits:
            try:
                resource.prlimit(pid, what, (most, most))
            except (ProcessLookupError, PermissionError, ValueError):
                pass  # it has ended, or a lower limit is set already: both leave nothing to do


class Memory:
    """Reads how much memory a process has, from open files under ``/proc``; elsewhere it answers 0.

    Args:
        pid: of a process that runs now.
    """

    __slots__ = ("_looked", "_most", "_now", "_peak")

    def __init__(self, pid: int) -> None:
        self._most = 0.0
        self._looked = 0.0
        self._now = _opened(f"/proc/{pid}/statm")
        self._peak = _opened(f"/proc/{pid}/status")

    def resident_mb(self) -> float | None:
        """Resident memory now; None when the process has ended or is ending."""
        if self._now < 0:
            return 0.0
        try:
            pages = int(os.pread(self._now, 128, 0).split(maxsplit=2)[1])
        except (OSError, IndexError):
            return None
        if not pages:
            return None
        resident = pages * _PAGE_MB
        self._most = max(self._most, resident)
        return resident

    def peak_mb(self) -> float:
        """The most resident memory it ever had (``VmHWM``); once it has ended, the most that was seen.

        The system takes twenty microseconds to write its answer, so it is asked once in some milliseconds: after
        every invocation that takes that long, and of those that are shorter after one of several.
        """
        now = time.monotonic()
        if self._peak < 0 or now - self._looked < _PEAK_S:
            return self._most
        self._looked = now
        try:
            text = os.pread(self._peak, 4096, 0)
        except OSError:
            return self._most
        start = text.find(b"VmHWM:")
        if start >= 0:
            self._most = max(self._most, int(text[start + 6 : text.find(b"kB", start)]) / 1024)
        return self._most

    def close(self) -> None:
        for descriptor in (self._now, self._peak):
            if descriptor >= 0:
                os.close(descriptor)
        self._now = self._peak = -1


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
