"""Servers as processes: each in an environment of its own, with its port, its processor time and its memory.

Environments are made once, from the pinned file beside each server, below the user's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "firstlight-benchmarks"
_PATIENCE_S = 120.0

sys.path.append(str(HERE.parent / "tests" / "clients"))


@dataclass(frozen=True)
class Load:
    """What one run of the load generator measured; times in microseconds.

    Args:
        cpu_us: processor time of all the server's processes, for one request.
        own_us: that of the load generator.
    """

    p50_us: float
    p99_us: float
    per_second: float
    cpu_us: float
    own_us: float


def environment(name: str) -> Path:
    """The folder of programs of a server's environment, made when it is missing."""
    requirements = SERVERS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    if not (folder / "complete").exists():
        print(f"making an environment for {name} ...", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = [
            str(folder / "bin/python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, "-r", str(requirements)], check=True)
        (folder / "complete").touch()
    return folder / "bin"


def versions(name: str) -> dict[str, str]:
    """What is installed for a server of what its file names."""
    named = [line.partition("==")[0] for line in (SERVERS / f"{name}.txt").read_text().split()]
    say = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    command = [str(environment(name) / "python"), "-c", say, *named]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {f"{name}: {package}": version for package, version in found.items()}


def load_generator() -> Path:
    """The load generator, compiled when it is not there or has changed."""
    source = HERE / "load.c"
    built = CACHE / f"load-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if not built.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", f"{built}.new", str(source)], check=True)
        Path(f"{built}.new").rename(built)
    return built


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Running:
    """A server that answers a POST.

    Args:
        command: how it is started.
        path: where it answers.
        body: what it is sent.
        port: where it will listen.
        env: variables besides the usual ones.
        answer: key of the answer in the JSON it sends; None where that is the answer itself.
    """

    def __init__(
        self,
        command: list[str],
        path: str,
        body: Mapping[str, object],
        port: int,
        env: Mapping[str, str],
        answer: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="firstlight-bench-")
        self.port = port
        self.path = path
        self.body = json.dumps(body).encode()
        self._key = answer
        self._log = (Path(self.folder.name) / "log").open("w+")
        usual = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "XDG_CACHE_HOME")
            if name in os.environ
        }
        variables = {
            **usual,
            "OMP_NUM_THREADS": "1",
            "TMPDIR": self.folder.name,
            "PYTHONPATH": str(SERVERS),
            **env,
        }
        self.process = subprocess.Popen(
            command,
            cwd=cwd or self.folder.name,
            env=variables,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.first = self._first_answer()
        except BaseException:
            self.close()
            raise

    def ask(self) -> object:
        """One answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {said[:500]!r}")
        value = json.loads(said)
        return value if self._key is None else value[self._key]

    def load(self, connections: int, seconds: float) -> Load:
        """Ask it over so many connections at once, for so long."""
        request = Path(self.folder.name) / "request"
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        )
        request.write_bytes(head.encode() + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body)
        command = [
            str(load_generator()),
            "127.0.0.1",
            str(self.port),
            str(connections),
            str(seconds),
            str(request),
        ]
        before, own = self._cpu_s(), _own_s()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        cpu, own = self._cpu_s() - before, _own_s() - own
        said = json.loads(done.stdout)
        if said["refused"]:
            raise RuntimeError(f"{said['refused']} of {said['requests']} answers were not 200")
        count = said["requests"]
        if not count:  # too short a look at a slow server
            return self.load(connections, 4 * seconds)
        rate = count / said["seconds"]
        return Load(said["p50_us"], said["p99_us"], rate, 1e6 * cpu / count, 1e6 * own / count)

    def memory_mb(self) -> float:
        """Proportional megabytes of all its processes: shared pages are divided among those who share them."""
        return sum(pss_mb(pid) for pid in self._processes())

    def close(self) -> None:
        """Stop it, and all it started."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()
        self.folder.cleanup()

    def _first_answer(self) -> object:
        last = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self.ask()
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                if self.process.poll() is not None or time.monotonic() > last:
                    self._log.seek(0)
                    raise RuntimeError(f"it does not answer ({error}): {self._log.read()[-2000:]}") from error
                time.sleep(0.1)

    def _processes(self) -> list[int]:
        return [self.process.pid, *children(self.process.pid)]

    def _cpu_s(self) -> float:
        """Processor seconds of all threads of all its processes, by the scheduler's own count."""
        total = 0
        for pid in self._processes():
            for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    total += int(thread.read_text().split()[0])
        return total / 1e9


def pss_mb(pid: int) -> float:
    """Proportional set size of a process."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def children(pid: int) -> list[int]:
    """Every process below one."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, thread.read_text().split()):
                found += [child, *children(child)]
    return found


def _own_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
