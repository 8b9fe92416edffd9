"""The environment that models are converted in which only PyTorch can read: made once, kept, and never the user's own.

It lies in ``$XDG_DATA_HOME/firstlight/environments/convert-<hash>``; the hash covers the pins (``requirements.txt``
beside this file), the version of Python and the machine, so that other pins make another environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from firstlight.build.types import Progress, Silent
from firstlight.runtime.errors import ConversionError

PINS = Path(__file__).with_name("requirements.txt")
VARIABLE = "FIRSTLIGHT_CONVERT_PYTHON"
"""Names an interpreter that has the packages already."""

DOWNLOAD_MB, DISK_MB = 250, 1200
"""About what is downloaded, and what lies on the disk afterwards (Linux, x86-64)."""

_NEEDED = ("torch", "transformers", "onnx", "numpy", "safetensors")
_PIP_SOURCES = ("index-url", "extra-index-url", "find-links", "no-index")
_NOT_PASSED_ON = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "PIP_REQUIRE_VIRTUALENV",
    "PYTHONPATH",
    "PYTHONHOME",
)
_TRIAL = (
    f"import json, {', '.join(_NEEDED)}\nprint(json.dumps([torch.__version__, transformers.__version__]))"
)
_DECIDING = ("torch", "transformers")
_ASKING = (
    "import json\nfrom importlib.metadata import version\n"
    f"print(json.dumps({{name: version(name) for name in {_DECIDING}}}))"
)
_INSTEAD = f"or name an interpreter that has {', '.join(_NEEDED)} by {VARIABLE}"


def python(progress: Progress | None = None) -> Path:
    """The interpreter to convert with; its environment is made at the first call, which takes minutes.

    Raises:
        ConversionError: the environment cannot be made: no network, no room, no venv; or what the variable names is
            no such interpreter.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return _tried(Path(named).expanduser(), f"{VARIABLE} names {named}, which")
    place = folder()
    if _whole(place):
        return _executable(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    telling = progress or Silent()
    with _alone(place, telling):
        if not _whole(place):
            _make(place, telling)
    return _executable(place)


def folder() -> Path:
    """Where the environment of these pins belongs."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "firstlight" / "environments" / f"convert-{_digest()}"


def versions() -> dict[str, str]:
    """Of the packages that decide what an export looks like: as pinned, or as the named interpreter has them."""
    named = os.environ.get(VARIABLE)
    if named is None:
        return {name: version for name, version in _pins().items() if name in _DECIDING}
    done = _run([named, "-I", "-c", _ASKING])
    found: dict[str, str] = json.loads(done.stdout) if not done.returncode else {}
    return found


def _pins() -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in PINS.read_text(encoding="utf-8").splitlines())
    return {name: version for name, _, version in (line.partition("==") for line in lines) if version}


def _digest() -> str:
    python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    parts = [PINS.read_text(encoding="utf-8"), python, platform.system(), platform.machine()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _executable(place: Path) -> Path:
    return place / "bin" / "python"


def _whole(place: Path) -> bool:
    """Whether it was made to its end, and the Python it was made with is still there."""
    return (place / "environment.json").is_file() and os.access(_executable(place), os.X_OK)


@contextmanager
def _alone(place: Path, progress: Progress) -> Iterator[None]:
    """Hold back other processes; a lock of a process that was killed is free again."""
    import fcntl

    with place.with_name(f".{place.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process makes the environment for conversions; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(place: Path, progress: Progress) -> None:
    """Make it beside its place and rename it when all is in it; what others left half-made is removed."""
    for left in place.parent.glob(f".{place.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    _check_room(place.parent)
    progress.say(
        f"this model is converted with PyTorch, in an environment of its own: about {DOWNLOAD_MB} MB are downloaded "
        f"once, and take {DISK_MB} MB in {place}"
    )
    made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}-"))
    try:
        progress.stage("making an environment for conversions")
        _empty(made)
        _install(_executable(made), progress)
        _tried(_executable(made), "the new environment for conversions")
        (made / "environment.json").write_text(json.dumps({"pins": _pins()}, indent=1), encoding="utf-8")
        made.chmod(0o755)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    progress.say("the environment for conversions is ready")


def _check_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < DISK_MB + DOWNLOAD_MB:
        message = f"{folder} has {free} MB free, and PyTorch needs {DISK_MB + DOWNLOAD_MB} MB to be installed"
        raise ConversionError(message, "make room, or set XDG_DATA_HOME to a larger disk")


def _empty(place: Path) -> None:
    """An environment with pip alone; by a process of its own, for this one may have no ensurepip to import."""
    done = _run([sys.executable, "-m", "venv", str(place)])
    if done.returncode:
        message = f"Python cannot make a virtual environment: {_last(done)}"
        raise ConversionError(message, f"on Debian and Ubuntu: apt install python3-venv; {_INSTEAD}")


def _install(executable: Path, progress: Progress) -> None:
    """All pins without looking for what they need: that is pinned too."""
    torch, *others = (f"{name}=={version}" for name, version in _pins().items())
    options = ["--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    command = [str(executable), "-m", "pip", "install", "--disable-pip-version-check", *options]
    _check_sources(executable)
    for what in ([torch], others):
        progress.stage(f"installing {what[0]}" + (f" and {len(what) - 1} more" if what[1:] else ""))
        done = _run([*command, *what])
        if done.returncode:
            message = f"pip cannot install what models are converted with: {_last(done)}"
            raise ConversionError(message, f"connect to the network and try again, {_INSTEAD}")


def _check_sources(executable: Path) -> None:
    """Raise where pip would find nothing but the builds for Linux that want gigabytes of CUDA."""
    if sys.platform != "linux":
        return
    said = _run([str(executable), "-m", "pip", "config", "list"]).stdout
    told = any(f".{source}=" in said for source in _PIP_SOURCES)
    if told or any(os.environ.get(f"PIP_{s.replace('-', '_').upper()}") for s in _PIP_SOURCES):
        return
    message = (
        "pip is not told where PyTorch's builds for CPUs are, and the usual ones bring gigabytes of CUDA"
    )
    hint = f"set PIP_EXTRA_INDEX_URL to the address that pytorch.org/get-started names for CPU, {_INSTEAD}"
    raise ConversionError(message, hint)


def _tried(executable: Path, what: str) -> Path:
    """An interpreter that can import all that is needed."""
    try:
        done = _run([str(executable), "-I", "-c", _TRIAL])
    except OSError as error:
        raise ConversionError(
            f"{what} cannot be run: {error.strerror}", "name a Python interpreter"
        ) from None
    if done.returncode:
        message = f"{what} cannot import what models are converted with: {_last(done)}"
        raise ConversionError(message, f"it needs {', '.join(_NEEDED)}; the versions are in {PINS}")
    return executable


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=_variables(os.environ), capture_output=True, text=True, errors="replace", check=False
    )


def _variables(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if name not in _NOT_PASSED_ON}


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """The line that says most: pip's last error, or the last of all."""
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1][:400]
