"""Puts a libllama with kernels for many kinds of CPU into the cache, where the engine ``llama`` prefers it.

The libraries come in a package of the npm registry, ``@node-llama-cpp/linux-x64`` and its like, which is fetched by the
user's own npm client or given as a file. Of what is in it only libllama and ggml are unpacked, and the licence.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from firstlight.runtime.engines.llama import finding
from firstlight.runtime.errors import EngineError, MissingExtra

VERSION = "3.22.1"
"""Of the packages; they hold llama.cpp 0.5."""

INTEGRITY = {
    "linux-x64": "5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg==",
    "linux-arm64": "W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFxexZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/3Qor4lWZn2tpjZFPLdQ==",
}
"""SHA-512 (base64) of the packages of this version, as the registry states them."""

_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_WANTED = re.compile(
    r"package/bins/[^/]+/(lib(?:llama|ggml)[\w.-]*\.(?:so|dylib))|package/(LICENSE|package\.json)"
)
_UNWANTED = re.compile(r"libllama-common\b.*")  # for the addon of node alone
_LARGEST = 256 << 20
_PIP = f"or use the slower one of PyPI: pip install {finding.WHEEL}"


def install(tarball: str | Path | None = None) -> Path:
    """Unpack libllama into the cache.

    Args:
        tarball: the package as a file (``npm pack``); fetched by npm where it is not given.

    Returns:
        The folder it is in now. One of the same version that was there is replaced.

    Raises:
        MissingExtra: there is no npm, and no file was given.
        EngineError: there is no package for this platform, npm fails, or the file is not the package it should be.
    """
    root = Path(finding.cache())
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".installing-") as scratch:
        given = Path(tarball) if tarball is not None else _fetched(Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        target = root / f"llama-{_unpack(given, unpacked)}"
        if target.exists():
            target.rename(Path(scratch) / "replaced")
        unpacked.rename(target)
    return target


def package() -> str:
    """The platform's name in the names of the packages.

    Raises:
        EngineError: there is no package for it.
    """
    name = f"{platform.system().lower()}-{_MACHINES.get(platform.machine().lower(), platform.machine())}"
    if name not in INTEGRITY:
        raise EngineError(f"there is no package of libllama {VERSION} for {name}", _PIP)
    return name


def _fetched(folder: Path) -> Path:
    name = package()
    npm = shutil.which("npm")
    if npm is None:
        raise MissingExtra("libllama is fetched by npm, which is not installed", f"install Node.js, {_PIP}")
    wanted = f"@node-llama-cpp/{name}@{VERSION}"
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), wanted]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise EngineError(f"npm pack {wanted} failed: {said}", _PIP)
    digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
    if digest != INTEGRITY[name]:
        raise EngineError(f"npm brought something else than {wanted}: its SHA-512 is {digest}", _PIP)
    return found[0]


def _unpack(tarball: Path, folder: Path) -> str:
    """Write the libraries into a folder; return the version of the package."""
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            names = _written(archive, folder)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise EngineError(f"{tarball} is not a package of npm: {error}") from error
    kinds = {name.split(".")[0].split("-cpu-")[0] for name in names}
    if not {"libllama", "libggml", "libggml-base"} <= kinds or not any("-cpu" in name for name in names):
        raise EngineError(
            f"{tarball} does not hold libllama with its kernels", "give the package of a platform"
        )
    try:
        described = json.loads((folder / "package.json").read_text("utf-8"))
        version = described["version"]
        (folder / "package.json").unlink()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{tarball} does not say its version") from error
    if not isinstance(version, str) or not re.fullmatch(r"[\w.+-]{1,64}", version):
        raise EngineError(f"{tarball} has a version that is none: {version!r}")
    return version


def _written(archive: tarfile.TarFile, folder: Path) -> set[str]:
    """Only plain files of known names are looked at, and written under their last name: no link, no other place."""
    names: set[str] = set()
    left = _LARGEST
    for member in archive:
        wanted = _WANTED.fullmatch(member.name)
        name = (wanted[1] or wanted[2]) if wanted else ""
        if not name or not member.isreg() or _UNWANTED.fullmatch(name):
            continue
        left -= member.size
        source = archive.extractfile(member)
        if left < 0 or source is None or name in names:
            raise tarfile.TarError(f"{member.name} is too large, or there twice")
        with source, (folder / name).open("xb") as target:
            shutil.copyfileobj(source, target)
        names.add(name)
    return names
