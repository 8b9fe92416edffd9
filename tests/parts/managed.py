"""A stand-in for ``public.ecr.aws/lambda/python:3.13``, the image that AWS's managed runtime is, made here.

Debian 13's Python 3.13, AWS's own emulator of Lambda (RIE, from the wheel of aws-sam-cli) and AWS's own runtime
(awslambdaric) with boto3, laid out as AWS lays it out: the interpreter is /var/lang/bin/python3.13, the runtime
is started by /var/runtime/bootstrap, which runs AWS_LAMBDA_EXEC_WRAPPER before it where one is set (Lambda
developer guide, "Modifying the runtime environment"), the code is at /var/task, the user is nobody. ``rootfs()``
is the tar of it; the fixture ``managed_runtime`` puts it into the daemon and gives the image's name.
"""

from __future__ import annotations

import hashlib
import io
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from clients import rie
from parts.daemon import Daemon

NAME = "public.ecr.aws/lambda/python:3.13"
CACHE = Path.home() / ".cache/firstlight-tests"
PACKAGES = (
    "base-files,busybox-static,ca-certificates,dash,libgomp1,libpython3.13-stdlib,libstdc++6,netbase,"
    "python3.13-minimal,tzdata"
)
WHEELS = ("awslambdaric==4.2.2", "boto3==1.43.106")
LEFT_OUT = (
    "usr/share/man",
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/perl",
    "usr/lib/x86_64-linux-gnu/gconv",
    "dev/",
)
ENTRY = """#!/bin/sh
export _HANDLER="$1"
if [ -z "$AWS_LAMBDA_RUNTIME_API" ]; then
  exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
fi
exec /var/runtime/bootstrap
"""
BOOTSTRAP = """#!/bin/sh
export LANG=en_US.UTF-8 TZ=:UTC AWS_EXECUTION_ENV=AWS_Lambda_python3.13
export LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime
export PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin
[ -n "$PYTHONPATH" ] || export PYTHONPATH=/var/runtime
if [ -n "$AWS_LAMBDA_EXEC_WRAPPER" ]; then
  exec "$AWS_LAMBDA_EXEC_WRAPPER" /var/lang/bin/python3.13 /var/runtime/bootstrap.py
fi
exec /var/lang/bin/python3.13 /var/runtime/bootstrap.py
"""
RUNTIME = """import os
import sys

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
os.chdir(os.environ["LAMBDA_TASK_ROOT"])
from awslambdaric.__main__ import main

main([sys.argv[0], os.environ["_HANDLER"]])
"""


def rootfs() -> Path:
    """The tar of the root file system, made once (half a minute) and kept in the user's cache."""
    recipe = repr((PACKAGES, WHEELS, LEFT_OUT, ENTRY, BOOTSTRAP, RUNTIME, rie.PINNED, platform.machine()))
    kept = CACHE / f"managed-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        work = CACHE / f"{kept.stem}-{id(kept):x}"
        work.mkdir()
        debian = work / "debian.tar"
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            f"--include={PACKAGES}",
            "trixie",
            debian,
        ]
        subprocess.run([*command, '--aptopt=APT::Install-Recommends "false"'], check=True)
        _install(work / "wheels")
        _assemble(debian, work / "wheels", work / "rootfs.tar")
        (work / "rootfs.tar").rename(kept)
        subprocess.run(["rm", "-r", work], check=True)
    return kept


def _install(folder: Path) -> None:
    """The wheels for that interpreter, which need not be the one that runs this."""
    target = [
        "--platform",
        f"manylinux2014_{platform.machine()}",
        "--python-version",
        "3.13",
        "--only-binary",
        ":all:",
    ]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, *target, "--target", folder, *WHEELS], check=True)


def _assemble(debian: Path, wheels: Path, out: Path) -> None:
    with tarfile.open(debian) as source, tarfile.open(out, "w") as target:
        certificates = b""
        for member in source:
            name = member.name.removeprefix("./")
            if name.startswith(LEFT_OUT):
                continue
            content = source.extractfile(member) if member.isfile() else None
            if name.startswith("usr/share/ca-certificates/") and content:
                certificates += source.extractfile(member).read()
            target.addfile(member, content)
        for path in sorted(wheels.rglob("*")):
            if path.is_file():
                _add(
                    target,
                    f"usr/lib/python3/dist-packages/{path.relative_to(wheels)}",
                    path.read_bytes(),
                    0o644,
                )
        _add(target, "etc/ssl/certs/ca-certificates.crt", certificates, 0o644)
        _add(
            target,
            "etc/passwd",
            b"root:x:0:0::/root:/bin/sh\nsbx_user1051:x:993:990::/home/sbx_user1051:/bin/sh\n",
            0o644,
        )
        _add(target, "usr/local/bin/aws-lambda-rie", rie.binary().read_bytes(), 0o755)
        _add(target, "lambda-entrypoint.sh", ENTRY.encode(), 0o755)
        _add(target, "var/runtime/bootstrap", BOOTSTRAP.encode(), 0o755)
        _add(target, "var/runtime/bootstrap.py", RUNTIME.encode(), 0o644)
        link = tarfile.TarInfo("var/lang/bin/python3.13")
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/python3.13"
        target.addfile(link)
        for folder in ("var/task", "opt"):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            target.addfile(made)


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="session")
def managed_runtime(daemon: Daemon) -> str:
    """The stand-in is in the daemon, under the name that AWS's image has."""
    return imported(daemon)


def imported(daemon: Daemon) -> str:
    """Put the stand-in into a daemon, where it is not there yet; its name."""
    made = rootfs()
    docker = ["docker", "-H", daemon.host]
    label = f"firstlight.tests={made.stem}"
    there = subprocess.run(
        [*docker, "images", "-q", "--filter", f"label={label}", NAME], capture_output=True, check=True
    )
    if not there.stdout.strip():
        changes = (
            'ENTRYPOINT ["/lambda-entrypoint.sh"]',
            "WORKDIR /var/task",
            "USER 993:990",
            "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin LAMBDA_TASK_ROOT=/var/task",
            "ENV LAMBDA_RUNTIME_DIR=/var/runtime",
            f"LABEL {label}",
        )
        options = [word for change in changes for word in ("--change", change)]
        subprocess.run([*docker, "import", *options, made, NAME], check=True, capture_output=True)
    return NAME
