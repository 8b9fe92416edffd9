"""A Docker daemon: the one that $DOCKER_HOST names, else one of our own in a scratch folder, ended with the tests."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_PATIENCE_S = 60


@dataclass(frozen=True)
class Daemon:
    """A daemon.

    Attributes:
        host: as $DOCKER_HOST names it.
    """

    host: str

    def docker(
        self, *words: str | Path, check: bool = True, **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker command."""
        done = subprocess.run(
            ["docker", *map(str, words)],
            env={**os.environ, "DOCKER_HOST": self.host},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **more,  # type: ignore[call-overload]
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def load(self, tar: Path) -> str:
        """Load an image of a tar file; its id, as somebody else may take its name meanwhile."""
        with tarfile.open(tar) as archive:
            opened = archive.extractfile("manifest.json")
            assert opened is not None
            config: str = json.loads(opened.read())[0]["Config"]
        self.docker("load", "--quiet", "--input", tar)
        return f"sha256:{config.rpartition('/')[2]}"

    def start(self, image: str, *options: str, command: tuple[str, ...] = ()) -> str:
        """Start a container; its id."""
        return self.docker("run", "--detach", *options, image, *command).stdout.strip()

    def port(self, container: str, inside: int = 8080) -> int:
        """The port of 127.0.0.1 at which a port of a container is reached."""
        return int(self.docker("port", container, str(inside)).stdout.splitlines()[0].rpartition(":")[2])

    def remove(self, container: str) -> None:
        """End and forget a container."""
        self.docker("rm", "--force", "--volumes", container, check=False)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """A daemon for all tests."""
    with running() as one:
        yield one


@contextmanager
def running() -> Iterator[Daemon]:
    """A daemon whose containers reach this machine and are reached from it, without any rule of a firewall."""
    there = os.environ.get("DOCKER_HOST")
    if there:
        yield Daemon(there)
        return
    with tempfile.TemporaryDirectory(prefix="dock", dir="/tmp") as scratch, _bridge() as bridge:
        with (Path(scratch) / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *("dockerd", "--data-root", f"{scratch}/data", "--exec-root", f"{scratch}/exec"),
                    *("--pidfile", f"{scratch}/pid", "--host", f"unix://{scratch}/docker.sock"),
                    *("--iptables=false", "--ip6tables=false", "--bridge", bridge),
                ],
                stdout=log,
                stderr=log,
            )
        try:
            started = Daemon(f"unix://{scratch}/docker.sock")
            _wait(started, process, Path(scratch) / "log")
            yield started
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


@contextlib.contextmanager
def _bridge() -> Iterator[str]:
    """A bridge of its own: two daemons at the default one would take each other's address away."""
    name = f"dock{os.getpid()}"
    address = f"172.30.{os.getpid() % 250}.1/24"
    for words in (
        ("link", "add", name, "type", "bridge"),
        ("addr", "add", address, "dev", name),
        ("link", "set", name, "up"),
    ):
        subprocess.run(["ip", *words], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def _wait(started: Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    last = time.monotonic() + _PATIENCE_S
    while started.docker("info", check=False).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < last, log.read_text()
        time.sleep(0.1)
