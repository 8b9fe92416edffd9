"""Checks of the project's files: what it says, what its scripts import, and what should not be in it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from firstlight.doctor import packages, sources
from firstlight.doctor.types import PROBLEM, WARNING, Finding, Subject, explained, fine
from firstlight.project import FILE
from firstlight.runtime.records.redaction import redact

_SECRET_NAME = re.compile(r"(?i)(token|secret|password|passwd|api_?key|access_?key|private_?key)")
_NOTE = "server.json"


def project_file(subject: Subject) -> Iterator[Finding]:
    """The project file: TOML, keys, values."""
    where = subject.shown(subject.file) if subject.file else ""
    if subject.mistake is not None:
        yield explained(subject.mistake, where, "nothing is served until it is right")
    elif subject.file is None:
        yield fine(f"there is no {FILE}: scripts are found by looking, or the starters are served")
    else:
        count = len(subject.project.endpoints) if subject.project else 0
        yield fine(f"{count} endpoint{'' if count == 1 else 's'}", where)


def scripts(subject: Subject) -> Iterator[Finding]:
    """Scripts that are no Python, and imports of what is not installed."""
    clean = 0
    for script in _scripts(subject):
        where = subject.shown(script)
        try:
            tree = sources.parsed(script)
        except SyntaxError as error:
            what = f"is not valid Python: {error.msg}"
            yield Finding(
                PROBLEM, what, f"{where}:{error.lineno or 1}", "its endpoint answers with this error", ""
            )
            continue
        except OSError as error:
            yield Finding(PROBLEM, f"cannot be read: {error.strerror}", where, fix=f"chmod a+r {where}")
            continue
        missing = list(_missing(tree, script, subject))
        clean += not missing
        for found in missing:
            level = WARNING if found.inside else PROBLEM
            why = "the function that imports it fails" if found.inside else "its endpoint cannot start"
            fix = f"pip install {packages.called(found.module)}"
            yield Finding(level, f"{found.module} is not installed", f"{where}:{found.line}", why, fix)
    if clean:
        yield fine(f"{clean} script{'' if clean == 1 else 's'}: all they import is installed")


def _missing(tree: ast.Module, script: Path, subject: Subject) -> Iterator[sources.Import]:
    for found in sources.imports(tree):
        if not found.optional and not sources.is_there(found.module, (script.parent, subject.root)):
            yield found


def _scripts(subject: Subject) -> Iterator[Path]:
    yield from (endpoint.script for endpoint in subject.endpoints() if endpoint.script is not None)


def requirements(subject: Subject) -> Iterator[Finding]:
    """Whether requirements.txt names what the scripts import, and what is installed."""
    file = subject.root / "requirements.txt"
    imported = (packages.imported(script, subject.root) for script in _scripts(subject))
    wanted = set[str]().union(*imported) - packages.brought_along()
    if not file.is_file():
        if wanted:
            why = "a deployment installs what is named there"
            fix = f"write requirements.txt: {' '.join(sorted(wanted))}"
            yield Finding(
                WARNING, "scripts import packages, and there is no requirements.txt", why=why, fix=fix
            )
        else:
            yield fine("no script needs a package of its own")
        return
    where = subject.shown(file)
    named = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if found := packages.REQUIREMENT.match(line):
            named[packages.canonical(found[1])] = found[2]
    unnamed = sorted(wanted.difference(named))
    if unnamed:
        why = "a deployment installs what is named there"
        yield Finding(WARNING, f"does not name {', '.join(unnamed)}", where, why, f"add {' '.join(unnamed)}")
    others = [
        f"{name} {have or 'not installed'}, not {pin}"
        for name, pin in named.items()
        if pin and (have := packages.version(name)) != pin
    ]
    if others:
        why = "what is tried here is not what will be deployed"
        yield Finding(WARNING, f"installed: {', '.join(others)}", where, why, f"pip install -r {where}")
    if not unnamed and not others:
        yield fine("names what the scripts import, as it is installed", where)


def secrets(subject: Subject) -> Iterator[Finding]:
    """Secrets in ``env`` of the project file, which belongs into a repository; their values are never shown."""
    found = [
        (endpoint.name, name)
        for endpoint in (subject.project.endpoints.values() if subject.project else ())
        for name, value in endpoint.env.items()
        if value.strip() and (_SECRET_NAME.search(name) or "[key]" in redact(value))
    ]
    where = subject.shown(subject.file) if subject.file else ""
    for endpoint, name in found:
        why = "the file belongs into a repository, and whoever reads that has the secret"
        fix = "take it out of the file, and replace the secret if the file was shared"
        yield Finding(
            WARNING, f"[endpoints.{endpoint}] env has {name}, which looks like a secret", where, why, fix
        )
    if not found:
        yield fine("no secrets in firstlight.toml")


def ignored(subject: Subject) -> Iterator[Finding]:
    """Files that git would take along and should not."""
    root = subject.root
    if not (root / ".git").exists():
        yield fine("not a git repository")
        return
    present = [name for name in (".firstlight", ".env", ".venv") if (root / name).exists()]
    tracked = [name for name in present if not _is_ignored(root, name)]
    if not tracked:
        yield fine("git leaves out records, secrets and environments")
        return
    lines = [f"{name}/" if (root / name).is_dir() else name for name in tracked]
    file = root / ".gitignore"
    why = "they hold records, secrets or a whole environment"
    fix = f"add to .gitignore: {' '.join(lines)}"
    what = f"git does not ignore {', '.join(tracked)}"
    yield Finding(WARNING, what, subject.shown(file), why, fix, lambda: _added(file, lines))


def _is_ignored(root: Path, name: str) -> bool:
    inner = root / name / ".gitignore"
    if inner.is_file() and "*" in inner.read_text(encoding="utf-8", errors="replace").split():
        return True
    try:
        done = subprocess.run(
            ("git", "-C", str(root), "check-ignore", "-q", name), capture_output=True, check=False
        )
    except OSError:
        return _is_listed(root / ".gitignore", name)
    return done.returncode == 0 or (done.returncode != 1 and _is_listed(root / ".gitignore", name))


def _is_listed(file: Path, name: str) -> bool:
    lines = file.read_text(encoding="utf-8", errors="replace").split() if file.is_file() else []
    return any(line.strip("/") == name for line in lines)


def _added(file: Path, lines: list[str]) -> str:
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    between = "" if not before or before.endswith("\n") else "\n"
    file.write_text(before + between + "\n".join(lines) + "\n", encoding="utf-8")
    return f"added {' '.join(lines)} to .gitignore"


def server(subject: Subject) -> Iterator[Finding]:
    """The note of a server that was killed and could not take it back."""
    if subject.project is None:
        return
    note = subject.project.data_dir / _NOTE
    try:
        pid = int(json.loads(note.read_text(encoding="utf-8"))["pid"])
        os.kill(pid, 0)
    except FileNotFoundError:
        yield fine("no server of this project is running")
    except PermissionError:
        yield fine("a server of this project is running", str(note))
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        why = "it says where a server was that is gone"
        fix = f"remove {note}"
        yield Finding(
            WARNING, "a server was killed and left its note", str(note), why, fix, lambda: _taken_back(note)
        )
    else:
        yield fine(f"a server of this project is running (process {pid})")


def _taken_back(note: Path) -> str:
    note.unlink(missing_ok=True)
    return f"removed {note}"
