"""AWS's Runtime Interface Emulator, as a process: the binary comes inside the wheel of aws-sam-cli.

It is fetched once with pip, from whatever index pip is set up for, and kept beside the environment's interpreter.
Lambda itself is behind the same HTTP interface, with one function of the fixed name ``function``.
"""

import http.client
import platform
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINNED = "aws-sam-cli==1.170.0"
PATIENCE = 30.0
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def binary() -> Path:
    """The emulator for this machine, fetched when it is not there yet."""
    name = f"aws-lambda-rie-{_MACHINES[platform.machine().lower()]}"
    kept = Path(sys.prefix) / "rie" / PINNED.replace("==", "-") / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            fetched = Path(folder) / name
            fetched.write_bytes(_from_wheel(Path(folder), name))
            fetched.chmod(0o755)
            fetched.rename(kept)
    return kept


def _from_wheel(folder: Path, name: str) -> bytes:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--dest", str(folder), PINNED], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(f"samcli/local/rapid/{name}")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Emulator:
    """One emulated function; what its process and the worker print is there once it is closed.

    Args:
        command: what starts the worker; AWS_LAMBDA_RUNTIME_API is set by the emulator.
        env: variables of emulator and worker.
    """

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.port = free_port()
        addresses = [f"127.0.0.1:{self.port}", f"127.0.0.1:{free_port()}"]
        options = [
            "--runtime-interface-emulator-address",
            addresses[0],
            "--runtime-api-address",
            addresses[1],
        ]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - read after the process has ended
        self._process = subprocess.Popen(
            [str(binary()), *options, *command], env=env, stdout=self._log, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> "Emulator":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._log.close()

    def log(self) -> str:
        """What was printed so far."""
        self._log.seek(0)
        return self._log.read()

    def invoke(self, payload: bytes) -> tuple[int, bytes]:
        """Status and body of one invocation."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self._await_listener()
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", payload)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _await_listener(self) -> None:
        """Return when the emulator listens; it says so nowhere, so knocking is the only way."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.log()
            else:
                return
