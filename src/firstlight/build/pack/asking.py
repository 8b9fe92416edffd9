"""Asks pip, in a process of its own, on behalf of a target; what it says is put into words.

pip knows where packages come from: its configuration, variables and the options of a requirements file name indexes,
certificates and passwords. None of them is read here.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from firstlight.build.pack import targets
from firstlight.build.pack.apart import elsewhere
from firstlight.build.pack.types import Target
from firstlight.runtime.errors import FirstlightError, MissingExtra, ProjectError

_NOT_PASSED_ON = (
    *("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_BINARY", "PIP_ONLY_BINARY"),
    *("PIP_PLATFORM", "PIP_PYTHON_VERSION", "PIP_REPORT", "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_NO_DEPS"),
    *("PIP_PYTHON", "PIP_DRY_RUN", "PIP_EDITABLE", "PIP_LOG", "PIP_QUIET", "PIP_VERBOSE"),
)
_RETRIES = {"PIP_RETRIES": "2"}
"""pip's own five make an offline user wait for half a minute."""
_OVERRULED = {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0", "PIP_NO_BINARY": ":none:"}
"""What a configuration of pip may say of installing here, where nothing is installed."""
_OFFLINE = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|ConnectTimeoutError|"
    r"Network is unreachable|Connection refused|ProxyError|SSLError|getaddrinfo failed|Max retries exceeded"
)
_PASSWORD = re.compile(r"(\w+://)[^/@\s]+@")
_MISSING = re.compile(r"No matching distribution found for (.+?)(?: \(from .*)?$", re.MULTILINE)
_VERSIONS = re.compile(r"Could not find a version that satisfies the requirement .* \(from versions: (.*)\)")
_FROM = re.compile(r" \(from line \d+ of .*?\)")
_INVALID = re.compile(r"Invalid requirement: .*|.*error: (?:no such option|invalid).*", re.MULTILINE)


class IndexUnreachable(ProjectError):
    """The package index did not answer."""


def pip(target: Target, arguments: Sequence[str], about: str) -> None:
    """Run pip for a target.

    Args:
        arguments: of pip; the target's own are added.
        about: whose requirements they are, for sentences: ``requirements.txt``, ``firstlight's own libraries``.

    Raises:
        ProjectError: pip found no set of wheels, or the index cannot be reached (``IndexUnreachable``).
        MissingExtra: there is no pip.
    """
    command, *options = arguments
    fixed = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--no-color"]
    told = [json.dumps(targets.markers(target)), _place_of_pip(), command, *fixed]
    passed_on = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    start = [sys.executable, "-I", str(Path(elsewhere.__file__)), *told]
    try:
        done = subprocess.run(
            [*start, *targets.pip_options(target), *options],
            env=_RETRIES | passed_on | _OVERRULED,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ProjectError(
            f"pip cannot be run: {error.strerror}", "check your Python installation"
        ) from error
    if done.returncode:
        raise _explained(f"{done.stdout}\n{done.stderr}", about, target)


def _place_of_pip() -> str:
    """The folder of packages that pip is in, else the wheel of it that comes with Python.

    Raises:
        MissingExtra: there is neither.
    """
    from importlib.util import find_spec

    found = find_spec("pip")
    if found is not None and found.origin is not None:
        return str(Path(found.origin).parents[1])
    bundled = find_spec("ensurepip")
    if bundled is not None and bundled.origin is not None:
        wheels = sorted(Path(bundled.origin).with_name("_bundled").glob("pip-*.whl"))
        if wheels:
            return str(wheels[-1])
    raise _without_pip()


def _without_pip() -> MissingExtra:
    hint = "python -m ensurepip; on Debian and Ubuntu: apt install python3-pip"
    return MissingExtra("pip is needed to find packages for another machine", hint)


def _explained(said: str, about: str, target: Target) -> FirstlightError:
    said = _PASSWORD.sub(r"\1", said)
    if elsewhere.NO_PIP in said:
        return _without_pip()
    if refused := re.search(f"^{elsewhere.REFUSED}.*$", said, re.MULTILINE):
        return _would_build(said, about, refused[0].removeprefix(elsewhere.REFUSED).strip())
    if missing := _MISSING.findall(said):
        return _not_found(missing[-1], said, about, target)
    if _OFFLINE.search(said):
        return _unreachable(about)
    return _refused(said, about)


def _refused(said: str, about: str) -> FirstlightError:
    """What pip itself has against the requirements."""
    invalid = _INVALID.search(said)
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in said or "HashMismatch" in said:
        hint = "somebody may have put another file in its place: compare the hashes before you change one"
        what = f"a package is not the one its hash says: {_mismatch(said)}"
    elif "Hashes are required in --require-hashes mode" in said:
        hint = "give every line a hash and pin it with ==, dependencies too, or take the hashes out"
        what = "some requirements have a hash and others have none"
    elif "ResolutionImpossible" in said or "conflicting dependencies" in said:
        hint, what = "loosen one of the requirements", _conflict(said)
    elif invalid is not None:
        hint, what = (
            "see pip's requirements file format",
            f"pip says: {_FROM.sub('', invalid[0]).strip()[:300]}",
        )
    else:
        hint, what = "run pip itself for all it has to say", f"pip failed: {_last(said)}"
    return ProjectError(f"{about}: {what}", hint)


def _not_found(requirement: str, said: str, about: str, target: Target) -> FirstlightError:
    versions = _VERSIONS.findall(said)
    if _OFFLINE.search(said) and (not versions or versions[-1] in ("none", "")):
        return _unreachable(about)
    where = targets.shown(target)
    hint = "take a version that has a wheel for it, or change architecture of [deploy]; sources are not built here"
    if versions and versions[-1] not in ("none", ""):
        known = ", ".join(versions[-1].split(", ")[-5:])
        return ProjectError(
            f"{about}: {requirement} has no wheel for {where} (versions that have: {known})", hint
        )
    return ProjectError(f"{about}: {requirement} has no wheel for {where}, or does not exist", hint)


def _unreachable(about: str) -> FirstlightError:
    hint = "connect to the network and try again; what was fetched once is found without it"
    return IndexUnreachable(f"{about}: the package index cannot be reached", hint)


def _would_build(said: str, about: str, command: str) -> FirstlightError:
    names = re.findall(r"^\s*(?:Collecting|Processing|Obtaining) (\S.*?)(?: \(from .*)?$", said, re.MULTILINE)
    named = names[-1] if names else command
    hint = "name a wheel of it instead: python -m pip wheel makes one, on the kind of machine it is for"
    return ProjectError(
        f"{about}: {named} would have to be built, and nothing of a package is run here", hint
    )


def _conflict(said: str) -> str:
    lines = [line.strip() for line in said.splitlines()]
    for number, line in enumerate(lines):
        if line.startswith("The conflict is caused by"):
            reasons = itertools.takewhile(
                lambda line: not line.startswith("To fix this"), lines[number + 1 :]
            )
            return "; ".join([reason for reason in reasons if reason][:4])
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: Cannot install")]
    return told[-1] if told else "its requirements contradict each other"


def _mismatch(said: str) -> str:
    lines = [line.strip() for line in said.splitlines()]
    named = [line for line in lines if " from http" in line or " from file" in line or line.endswith(":")]
    return re.sub(r" from \S+//\S*?([^/\s]+)$", r" (\1)", named[-1].rstrip(":"))[:200] if named else "see pip"


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1][:400]
