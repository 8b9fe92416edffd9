"""A base for images, made here of Debian's packages: Python 3.11, no shell, nothing pulled from a registry.

It is what a small base of a user's is: an interpreter in /usr/bin, a C library, certificates. Made once (half a minute)
and kept in ``~/.cache/firstlight-tests``.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3.11"
_PACKAGES = (
    "python3.11-minimal,libpython3.11-stdlib,libstdc++6,libgomp1,base-files,netbase,ca-certificates,tzdata"
)
_LEFT_OUT = re.compile(
    r"\./(dev/|boot/|etc/(apt|dpkg|cron|pam|init|systemd|security)|bin/tar$|var/(lib/dpkg|lib/apt|cache|log)|"
    r"usr/share/(perl5|doc|man|locale|lintian|bug|bash-completion|gdb|gcc|dpkg|debconf|info|zoneinfo/(posix|right))|"
    r"usr/bin/(?!python3)|usr/sbin/|sbin/|usr/lib/(dpkg|apt|[^/]+/(gconv|perl))|usr/lib/[^/]+/libdb-|"
    r"usr/lib/python3\.11/(test|ensurepip|distutils|idlelib|lib2to3|pydoc_data|turtledemo)/)"
)


def kept(name: str) -> Path:
    """Where a part that takes long to make is kept between runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firstlight-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def make(architecture: str = "amd64") -> Path:
    """The tar file of the base for an architecture as Debian names it."""
    recipe = hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()[:12]
    place = kept(f"base-{architecture}-{recipe}.tar")
    if not place.is_file():
        raw = place.with_suffix(f".{os.getpid()}.raw")
        trimmed = place.with_suffix(f".{os.getpid()}.new")
        try:
            subprocess.run(
                [
                    *("mmdebstrap", "--quiet", "--variant=extract", f"--architectures={architecture}"),
                    f"--include={_PACKAGES}",
                    '--aptopt=APT::Install-Recommends "false"',
                    *("--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*"),
                    *("--dpkgopt=path-exclude=/usr/share/locale/*", "--format=tar", "bookworm", str(raw)),
                ],
                check=True,
            )
            _trim(raw, trimmed)
            trimmed.rename(place)
        finally:
            raw.unlink(missing_ok=True)
            trimmed.unlink(missing_ok=True)
    return place


def _trim(raw: Path, trimmed: Path) -> None:
    """Leave out what no program here needs, and do what the packages' scripts would have done."""
    authorities = b""
    with tarfile.open(raw) as read, tarfile.open(trimmed, "w") as made:
        for member in read:
            if member.name.startswith("./usr/share/ca-certificates/") and member.isfile():
                authorities += _content(read, member)
                continue
            if _LEFT_OUT.match(member.name) or not (member.isfile() or member.isdir() or member.issym()):
                continue
            made.addfile(member, read.extractfile(member) if member.isfile() else None)
        link = tarfile.TarInfo("./usr/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
        made.addfile(link)
        bundle = tarfile.TarInfo("./etc/ssl/certs/ca-certificates.crt")
        bundle.size = len(authorities)
        made.addfile(bundle, io.BytesIO(authorities))


def _content(read: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    opened = read.extractfile(member)
    assert opened is not None
    return opened.read()


@pytest.fixture(scope="session")
def base() -> Path:
    """The tar file of the base for this machine's architecture (x86_64)."""
    return make()


@pytest.fixture(scope="session")
def arm_base() -> Path:
    """The tar file of the base for arm64."""
    return make("arm64")
