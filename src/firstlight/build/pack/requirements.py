"""A requirements file as far as it must be known before pip reads it: what it asks for, and what cannot be had here.

pip's own parser judges the rest when it is run ("Requirements File Format", pip documentation).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from firstlight.runtime.errors import ProjectError

FILE = "requirements.txt"
_COMMENT = re.compile(r"(^|\s)#.*$")
_CONTINUED = re.compile(r"\\\s*$")
_INCLUDED = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?<=-[rc]))(.+)")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s*=?\s*)(.+)")
_BUILT = re.compile(r"--(?:no-binary|config-settings?|global-option|no-build-isolation)\b")
_OPTION = re.compile(
    r"(-i|-f|--(index-url|pypi-url|extra-index-url|find-links|no-index|trusted-host|pre|prefer-binary))\b"
)
_FIND_LINKS = re.compile(r"(?:-f|--find-links)(?!\s*=?\s*\w+://)(?:\s*=\s*|\s*)(.+)")
_ADDRESS = re.compile(r"(?:^|@\s*|\s)((?:\w+\+)?(?:https?|file|git|ssh|svn|hg|bzr)(?:\+\w+)?://\S+)")
NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\]\s*)?(?=$|[<>=!~;@(\s,#])")
_PATH = re.compile(r"(?:\.{0,2}/|~/|[A-Za-z]:[\\/]).*|[^;@=<>\s]+\.(?:whl|zip|tar\.\w+|tgz)$")
_MOST_BYTES = 1_000_000
_OURSELVES = "firstlight"


@dataclass(frozen=True, slots=True)
class Requirements:
    """A requirements file with all it includes.

    Attributes:
        path: of the file.
        shown: how it is called in sentences, and in the lock file: relative to the project.
        asked: SHA-256 of what it and the files it includes say, without comments, hex.
        lines: what it asks for, with whole paths; firstlight itself left out, as a function has its own.
        limits: lines of constraints (``-c``), with whole paths.
    """

    path: Path
    shown: str
    asked: str
    lines: tuple[str, ...]
    limits: tuple[str, ...] = ()

    @property
    def direct(self) -> tuple[str, ...]:
        """Lines that name a wheel by its address or path."""
        return tuple(line for line in self.lines if _is_direct(line))

    @property
    def options(self) -> tuple[str, ...]:
        """Lines that say where packages are looked for."""
        return tuple(line for line in self.lines if _OPTION.match(line))

    @property
    def names(self) -> frozenset[str]:
        """Normalised names of what is asked for, as far as lines begin with one."""
        return frozenset(name for line in self.lines if (name := _named(line)))


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a file, and whether it only limits what others ask for."""

    text: str
    folder: Path
    limits: bool = False

    @property
    def placed(self) -> str:
        """With the whole path where it begins at the file's folder."""
        links = _FIND_LINKS.fullmatch(self.text)
        if links is not None:
            return f"--find-links {self.folder / Path(links[1].strip()).expanduser()}"
        if _is_direct(self.text) and "://" not in self.text:
            named = named_file(self.text)
            return f"{self.folder / Path(named).expanduser()}{self.text[len(named) :]}"
        return self.text


def normalised(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_script(script: Path, root: Path) -> Path | None:
    """The requirements file of a script: the one beside it, else in a folder above, up to the project's; or None."""
    folder = script.parent
    while True:
        if (folder / FILE).is_file():
            return folder / FILE
        if folder == root or not folder.is_relative_to(root):
            return None
        folder = folder.parent


def read(path: Path, root: Path) -> Requirements:
    """Read a requirements file.

    Args:
        root: folder of the project.

    Raises:
        ProjectError: it cannot be read, or asks for what would have to be built: an editable package, a folder, an
            archive of sources, a repository.
    """
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    lines = tuple(_every_line(path, shown, frozenset()))
    told = "\n".join(f"-c {line.text}" if line.limits else line.text for line in lines)
    wanted = tuple(line.placed for line in lines if not line.limits and _named(line.text) != _OURSELVES)
    limits = tuple(line.placed for line in lines if line.limits)
    return Requirements(path, shown, hashlib.sha256(told.encode()).hexdigest(), wanted, limits)


def _every_line(path: Path, shown: str, above: frozenset[str]) -> Iterator[_Line]:
    """Lines of a file and of those it includes; each is checked."""
    here = os.path.realpath(path)
    if here in above:
        raise ProjectError(f"{shown} includes itself", "take the -r out")
    for line in _lines(path, shown):
        _check(line, path, shown)
        included = _INCLUDED.fullmatch(line)
        if included is None:
            yield _Line(line, path.parent)
            continue
        if "://" in included[1]:
            hint = "keep a copy of it beside the project: what is asked for must not change by itself"
            raise ProjectError(
                f"{shown} includes {urlsplit(included[1]).path}, a file of another machine", hint
            )
        is_limit = line.startswith(("-c", "--constraint"))
        inner = path.parent / included[1].strip().strip("\"'")
        for one in _every_line(inner, f"{inner.name} (in {shown})", above | {here}):
            yield replace(one, limits=one.limits or is_limit)


def _lines(path: Path, shown: str) -> Iterator[str]:
    """Logical lines: joined where they are continued, without comments."""
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise ProjectError(f"{shown} has {len(content):,} bytes", "it should be a list of packages")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProjectError(f"{shown} is not UTF-8", "save it as UTF-8") from error
    except OSError as error:
        raise ProjectError(
            f"{shown} cannot be read: {error.strerror}", "check its path and permissions"
        ) from error
    whole = ""
    for line in text.splitlines():
        whole += _CONTINUED.sub(" ", line) if not line.lstrip().startswith("#") else ""
        if _CONTINUED.search(line) and not line.lstrip().startswith("#"):
            continue
        cleaned = " ".join(_COMMENT.sub("", whole).split())
        whole = ""
        if cleaned:
            yield cleaned
    if cleaned := " ".join(_COMMENT.sub("", whole).split()):
        yield cleaned


def _check(line: str, path: Path, shown: str) -> None:
    """Raise where a line asks for what would have to be built."""
    why = _why_built(line, path.parent)
    if why:
        said = re.sub(r"(\w+://)[^/@\s]+@", r"\1", line)[:120]
        hint = "a function is made of wheels, and nothing of a package is run to make one: name a version that has one"
        raise ProjectError(f"{shown}: {said!r} {why}", hint)


def _why_built(line: str, folder: Path) -> str:
    """Why a line cannot be had without building something; empty where it can."""
    if _EDITABLE.fullmatch(line):
        return "is editable, and a function takes no folder of this machine as a package"
    if _BUILT.search(line):
        return "asks for sources to be built"
    if line.startswith("-"):
        return ""
    address = _ADDRESS.search(line)
    return _why_not_address(address[1]) if address is not None else _why_not_path(line, folder)


def _why_not_address(address: str) -> str:
    kind = urlsplit(address)
    if "+" in kind.scheme or kind.scheme in ("git", "ssh", "svn", "hg", "bzr"):
        return "is a repository of sources"
    return "" if unquote(kind.path).endswith(".whl") else "is an archive of sources"


def _why_not_path(line: str, folder: Path) -> str:
    named = named_file(line)
    if not _PATH.fullmatch(named):
        return ""
    if not named.endswith(".whl"):
        return "is a folder or an archive of sources"
    return "" if _there(folder, named) else "names a file that is not there"


def named_file(line: str) -> str:
    """A line without its marker and options: a path, where it names one."""
    return line.partition(";")[0].partition(" --")[0].strip()


def _named(line: str) -> str:
    """The normalised name of the package that a line asks for; empty where it does not say one."""
    found = None if line.startswith("-") or _ADDRESS.match(line) else NAME.match(line)
    return normalised(found[1]) if found is not None else ""


def _there(folder: Path, named: str) -> bool:
    return (folder / Path(named).expanduser()).is_file()


def _is_direct(line: str) -> bool:
    return not line.startswith("-") and bool(_ADDRESS.search(line) or _PATH.fullmatch(named_file(line)))
