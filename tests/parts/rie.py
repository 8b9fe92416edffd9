"""AWS's Runtime Interface Emulator, from the wheel of the SAM CLI, and AWS's own Python client of the Runtime API."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from parts.base import kept

_SAM = "aws-sam-cli==1.170.0"
_CLIENT = "awslambdaric==4.2.2"


@pytest.fixture(scope="session")
def rie() -> Path:
    """The emulator's program for this machine."""
    return program()


def program() -> Path:
    """The same, for those who are no test."""
    name = f"samcli/local/rapid/aws-lambda-rie-{'arm64' if platform.machine() == 'aarch64' else 'x86_64'}"
    place = kept(f"{_SAM}-rie")
    if not place.is_file():
        folder = _fetched(_SAM, "--no-deps")
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            scratch = place.with_suffix(f".{os.getpid()}")
            scratch.write_bytes(wheel.read(name))
        scratch.chmod(0o755)
        scratch.rename(place)
    return place


@pytest.fixture(scope="session")
def lambda_client() -> Path:
    """A folder of packages with awslambdaric for Python 3.11 on x86_64."""
    place = kept(_CLIENT)
    if not place.is_dir():
        folder = _fetched(
            _CLIENT, "--python-version=3.11", "--platform=manylinux2014_x86_64", "--only-binary=:all:"
        )
        scratch = place.with_suffix(f".{os.getpid()}")
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(scratch)
        scratch.rename(place)
    return place


def _fetched(requirement: str, *options: str) -> Path:
    folder = kept(f"{requirement}.wheels")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", *options, "--dest", str(folder), requirement],
        check=True,
    )
    return folder
