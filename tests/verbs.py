"""The verbs of the command line: run in this process, and `serve` in one of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from firstlight.cli import main

SECONDS = 30


@dataclass
class Done:
    """What a verb left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to be in, with nothing of this machine's configuration."""
    for name in [name for name in os.environ if name.startswith(("FIRSTLIGHT_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    here = tmp_path / "demo"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def cli(folder, capsys):
    """Runs a verb in this process."""

    def run(*words: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        printed = capsys.readouterr()
        return Done(ended.value.code or 0, printed.out, printed.err)

    return run


class Served:
    """A server in a process of its own; what it says is waited for, not for ever."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "firstlight", "serve", "--port", "0", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._said: dict[str, queue.SimpleQueue[str]] = {
            "stdout": queue.SimpleQueue(),
            "stderr": queue.SimpleQueue(),
        }
        self._readers = [threading.Thread(target=self._read, args=(name,)) for name in self._said]
        for reader in self._readers:
            reader.start()
        self.facts = self.event()
        self.url = self.facts["url"]

    def _read(self, name: str) -> None:
        for line in getattr(self.process, name):
            self._said[name].put(line)

    def event(self) -> dict[str, Any]:
        """The next thing the server says on stdout."""
        return json.loads(self._said["stdout"].get(timeout=SECONDS))

    def complaint(self) -> str:
        """The next line on stderr."""
        return self._said["stderr"].get(timeout=SECONDS)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it; its exit code and what else it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=2 * SECONDS)
        finally:
            self.process.kill()
        for reader in self._readers:
            reader.join(timeout=SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()
        lines = []
        while not self._said["stderr"].empty():
            lines.append(self._said["stderr"].get())
        return code, "".join(lines)


@pytest.fixture
def serve(folder):
    """Starts servers on free ports and ends them."""
    started: list[Served] = []

    def start(*options: str) -> Served:
        started.append(Served(*options))
        return started[-1]

    yield start
    for served in started:
        served.stop()
