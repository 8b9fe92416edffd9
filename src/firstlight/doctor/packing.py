"""Checks of what an endpoint brings to Lambda: files that others can read, their size, its variables."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from firstlight.doctor import packages
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, fine
from firstlight.invoke.limits import task_root
from firstlight.invoke.types import WorkerSpec
from firstlight.invoke.walled import named, unreadable
from firstlight.project import Endpoint

_ZIP, _IMAGE = 250 << 20, 10 << 30
_VARIABLES = 4096
_NOT_SHIPPED = (".git", ".venv", "venv", "__pycache__", ".firstlight", "node_modules")

_PRIVATE = re.compile(r"^\.env|^id_|\.(key|p12|pem|pfx)$")
"""Names of files that are private on purpose: nobody else should read them, and they should not be deployed."""


def readable(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """Files that only their owner may read, as safetensors writes them."""
    spec = subject.spec(endpoint)
    found = unreadable({task_root(spec), *([spec.bundle] if spec.bundle else [])})
    closed = [path for path in found if not _PRIVATE.search(path.name)]
    if not closed:
        yield fine("others can read its files")
        return
    names = ", ".join(path.name for path in closed[:5]) + (
        f" and {len(closed) - 5} more" if len(closed) > 5 else ""
    )
    why = "on Lambda the function is another user, and gets PermissionError (safetensors writes files with mode 0600)"
    where = subject.shown(closed[0])
    fix = f"chmod -R a+rX {' '.join(subject.shown(path) for path in closed[:5])}"
    yield Finding(PROBLEM, f"only their owner can read {names}", where, why, fix, partial(_opened, closed))


def _opened(paths: list[Path]) -> str:
    """Let others read what its owner can read; folders with all that is in them."""
    count = 0
    for top in paths:
        for path in (top, *(top.rglob("*") if top.is_dir() else ())):
            if path.is_symlink():
                continue
            mode = path.stat().st_mode
            more = 0o444 | (0o111 if stat.S_ISDIR(mode) or mode & 0o100 else 0)
            if mode & more != more:
                path.chmod(stat.S_IMODE(mode) | more)
                count += 1
    return f"let others read {count} files and folders (chmod a+rX)"


def size(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:
    """What is deployed, unzipped, against the 250 MB of a zip and the 10 GB of an image: an estimate."""
    spec = subject.spec(endpoint)
    total = sum(file.stat().st_size for file in _files(spec, subject)) + _libraries(spec, subject)
    shown = f"about {total / 1e6:,.0f} MB unzipped"
    where = str(endpoint.model or endpoint.script)
    if total > _IMAGE:
        why = "an image has 10 GB at most"
        yield Finding(PROBLEM, shown, where, why, "use a smaller or quantised model")
    elif total > _ZIP:
        yield fine(f"{shown}: an image (a zip has 250 MB at most)")
    else:
        yield fine(f"{shown}: fits into a zip (250 MB) as into an image (10 GB)")


def _files(spec: WorkerSpec, subject: Subject) -> Iterator[Path]:
    package = Path(__file__).resolve().parents[1]
    layers = subject.project.data_dir / "layers" if subject.project is not None else package
    below = (path.relative_to(layers).parts for path in named(spec.env.values()) if layers in path.parents)
    traced = {layers / parts[0] for parts in below}
    for folder in (spec.bundle or subject.root, package / "runtime", *traced):
        for file in folder.rglob("*"):
            if file.is_file() and not any(part in _NOT_SHIPPED for part in file.relative_to(folder).parts):
                yield file


def _libraries(spec: WorkerSpec, subject: Subject) -> int:
    """Bytes of what an endpoint needs of installed packages: its engine's libraries, or all that its script imports."""
    from firstlight.build.pack import engines

    if spec.bundle is not None:
        from firstlight.runtime.bundle import Bundle

        names = engines.names(Bundle.open(str(spec.bundle)))
        return sum(packages.size(name, engines.taken(name)) for name in names)
    if spec.script is None:
        return 0
    found = packages.imported(spec.script, subject.root)
    own = packages.size("onnxruntime", engines.taken("onnxruntime")) if "firstlight" in found else 0
    return own + sum(map(packages.size, packages.required(found - {"firstlight"})))


def variables(subject: Subject, endpoint: Endpoint) -> Iterator[Finding]:  # noqa: ARG001
    """The environment variables of a function, which may have 4 KB together."""
    used = sum(len(name.encode()) + len(value.encode()) for name, value in endpoint.env.items())
    if used > _VARIABLES:
        why = "Lambda takes 4 KB of variables together"
        fix = "keep long values in a file or in Secrets Manager"
        yield Finding(
            PROBLEM, f"its variables have {used:,} bytes", f"[endpoints.{endpoint.name}] env", why, fix
        )
    elif endpoint.env.get("HOME", "/tmp").startswith("/tmp"):  # noqa: S108
        yield fine(f"{used:,} of {_VARIABLES:,} bytes")
    else:
        why = "only /tmp can be written on Lambda"
        what = f"HOME is set to {endpoint.env['HOME']}"
        yield Finding(
            WARNING, what, f"[endpoints.{endpoint.name}] env", why, "set HOME=/tmp, or leave it out"
        )
