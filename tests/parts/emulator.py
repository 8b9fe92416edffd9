"""An AWS to deploy to: ministack (PyPI) as a process of its own, in an environment of its own (``.venv-ministack``).

How to use it::

    def test_a_deployment(emulator):  # functions run as containers
        subprocess.run([...], env={**os.environ, **emulator.variables()})  # what a user's shell would have
        emulator.client("lambda").invoke(FunctionName=...)                    # boto3, as the account's owner
        emulator.log()                                                     # what ministack printed so far

* ``emulator``: image functions and zip functions both run in containers (``LAMBDA_EXECUTOR=docker``). A zip
  function runs on ``public.ecr.aws/lambda/python:3.13``, for which the fixture ``managed_runtime``
  (tests/parts/managed.py) makes a stand-in: Python 3.13 on Debian, AWS's own emulator of Lambda (RIE) and AWS's
  own awslambdaric, code at /var/task. Declare ``architecture = "x86_64"`` (that of this machine:
  ``emulator.architecture``): wheels for another one do not load.
* ``enforcing``: the same with ``AUTH=true`` and by TLS: IAM is enforced, also for the roles of functions.
  ``enforcing.client("iam")`` is the owner's; ``enforcing.client("dynamodb", key, secret)`` is somebody's. S3 asks
  for rights too, CDK's asset step fails there.
* ``local_emulator``: no Docker; a zip's handler is imported by ministack's own Python 3.11 in a temporary folder,
  so /var/task does not exist and AWS_LAMBDA_EXEC_WRAPPER is ignored: for hand-made functions of the standard
  library (boto3 is there).

Facts of ministack 1.5.33 on a Linux machine:

* It listens on the bridge's own address (172.17.0.1 or so; ``emulator.url``), which both the tests and the
  containers reach; a container gets AWS_ENDPOINT_URL with it, so that boto3 inside a function reaches the
  emulator too. ``local_emulator`` listens on 127.0.0.1.
* An image function's container gets port 8080 published and must answer AWS's RIE protocol there (``POST
  /2015-03-31/functions/function/invocations``): an image of ours does that in its HTTP mode, as
  AWS_LAMBDA_RUNTIME_API is not set. LAMBDA_DOCKER_FLAGS sets FIRSTLIGHT_OPEN=1, 3 GB, /tmp of 512 MB; the root is
  writable, as code is copied in. ``X-Amz-Function-Error`` of that answer becomes the FunctionError.
* Images are pulled by ``ImageUri`` from the registry that is named in it. Names that begin with 127.0.0.1:PORT
  need no TLS. An ECR name (``ACCOUNT.dkr.ecr...``) cannot be pulled by the daemon, so use ``[deploy] registry``.
  Passwords: ``emulator.docker_login(host, user, password)``.
* Function URLs: ``emulator.function_url(url, path)`` -> (URL here, the Host header that leads to the function);
  ``emulator.signed(url, path, document)`` asks one with ``AuthType`` AWS_IAM. The answer is never streamed (one
  chunk), nor is that of ``invoke_with_response_stream``.
* A change set whose only changes are targets of ``Fn::GetAtt`` is "no change" to it, which is why an alias says in its
  description too which version it leads to. Alarms on metric math look at the metrics of all functions.
* A zip's files must be readable by others (mode 0644), as on Lambda: functions run as user 993.
* ``POST /_ministack/reset`` (``emulator.reset()``) empties it, containers too. Every test of a session shares one
  emulator: name your stacks apart, or reset.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
import venv
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from parts.daemon import Daemon

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-ministack"
ACCOUNT = "123456789012"
REGION = "us-east-1"
PATIENCE = 60.0
OWNER = ("test", "test")


def program() -> Path:
    """ministack's command, installed when it is not there yet."""
    wanted = (ROOT / "requirements/emulator.txt").read_text(encoding="utf-8")
    stamp = HOME / "emulator.stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        if not (HOME / "bin/python").exists():
            venv.create(HOME, with_pip=True)
        pip = [HOME / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", ROOT / "requirements/emulator.txt"], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return HOME / "bin/ministack"


class Emulator:
    """A running emulator.

    Args:
        folder: its home: log, settings of Docker, files.
        docker: address of the Docker daemon; None runs zip functions as plain processes.
        auth: IAM is enforced.
        tls: it is reached by TLS, with a certificate of its own that ``variables`` and ``client`` know.
        settings: further environment variables of ministack.
    """

    account = ACCOUNT
    region = REGION
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"

    def __init__(
        self,
        folder: Path,
        docker: str | None = None,
        auth: bool = False,
        tls: bool = False,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.docker = folder, docker
        folder.mkdir(parents=True, exist_ok=True)
        host = _bridge(docker) if docker else "127.0.0.1"
        port = _free_port(host)
        self.certificate = _certificate(folder, host) if tls else None
        self.url = f"http{'s' if tls else ''}://{host}:{port}"
        secured = {
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(folder / "tls.crt"),
            "MINISTACK_SSL_KEY": str(folder / "tls.key"),
        }
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FIRSTLIGHT_"))
        } | {
            "HOME": str(folder),
            "TMPDIR": str(_made(folder / "tmp")),
            "BIND_HOST": host,
            "GATEWAY_PORT": str(port),
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true" if auth else "false",
            "AWS_ENDPOINT_URL": self.url,
            "S3_DATA_DIR": str(folder / "s3"),
            "STATE_DIR": str(folder / "state"),
            "DOCKER_CONFIG": str(_made(folder / "docker")),
            **(
                _with_docker(docker)
                if docker
                else {"LAMBDA_EXECUTOR": "local", "DOCKER_HOST": "unix:///none"}
            ),
            **(secured if tls else {}),
            **(settings or {}),
        }
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(program())], env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )
        self._await_health()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        """End it; it removes its containers itself."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def variables(self, key: str = OWNER[0], secret: str = OWNER[1]) -> dict[str, str]:
        """What the shell of somebody who deploys to it has set."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **({"AWS_CA_BUNDLE": str(self.certificate)} if self.certificate else {}),
        }

    def client(self, service: str, key: str = OWNER[0], secret: str = OWNER[1]):
        """A boto3 client; close it, or its sockets become warnings."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            verify=str(self.certificate) if self.certificate else None,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=120),
        )

    def function_url(self, url: str, path: str = "/") -> tuple[str, str]:
        """Where a Function URL answers here, and the Host header that says which one is meant."""
        host = urlsplit(url).hostname or ""
        return f"{self.url}{path}", host.replace(".on.aws", ".localhost")

    def signed(self, url: str, path: str, document: object = None, **headers: str) -> tuple[int, bytes]:
        """Ask a Function URL that wants IAM, as its owner; status and body.

        Args:
            document: sent as JSON; None asks with GET.
        """
        here, host = self.function_url(url, path)
        body = None if document is None else json.dumps(document).encode()
        named = {"Host": host, "Content-Type": "application/json", **headers}
        asked = AWSRequest("GET" if body is None else "POST", here, data=body, headers=named)
        SigV4Auth(Credentials(*OWNER), "lambda", REGION).add_auth(asked)
        request = urllib.request.Request(here, body, dict(asked.headers), method=asked.method)
        try:
            with self._opened(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def docker_login(self, registry: str, user: str, password: str) -> None:
        """What ``docker login`` writes down: the pulls of image functions use it."""
        file = self.folder / "docker/config.json"
        known = json.loads(file.read_text()) if file.exists() else {"auths": {}}
        known["auths"][registry] = {"auth": b64encode(f"{user}:{password}".encode()).decode()}
        file.write_text(json.dumps(known))

    def reset(self) -> None:
        """Forget everything, containers too."""
        request = urllib.request.Request(f"{self.url}/_ministack/reset", method="POST", data=b"")
        self._opened(request).close()

    def log(self) -> str:
        """What it printed so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _opened(self, request: str | urllib.request.Request):
        trusting = ssl.create_default_context(cafile=self.certificate) if self.certificate else None
        return urllib.request.urlopen(request, timeout=PATIENCE, context=trusting)

    def _await_health(self) -> None:
        """Return when it answers; it says so nowhere, so knocking is the only way."""
        while True:
            assert self._process.poll() is None, self.log()
            try:
                self._opened(f"{self.url}/_ministack/health").close()
            except OSError:
                continue
            return


def _bridge(docker: str) -> str:
    """The address of the host on Docker's own network."""
    wanted = "{{(index .IPAM.Config 0).Gateway}}"
    asked = subprocess.run(
        ["docker", "-H", docker, "network", "inspect", "bridge", "--format", wanted],
        check=True,
        capture_output=True,
        text=True,
    )
    return asked.stdout.strip()


def _certificate(folder: Path, host: str) -> Path:
    """A certificate for an address, that nobody else trusts."""
    made = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        folder / "tls.key",
        "-out",
        folder / "tls.crt",
        "-days",
        "2",
    ]
    said = [
        "-subj",
        "/CN=emulator",
        "-addext",
        f"subjectAltName=IP:{host}",
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    subprocess.run(["openssl", "req", "-x509", *made, *said], check=True, capture_output=True)
    return folder / "tls.crt"


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


def _with_docker(docker: str) -> dict[str, str]:
    return {
        "LAMBDA_EXECUTOR": "docker",
        "LAMBDA_STRICT": "1",
        "DOCKER_HOST": docker,
        "MINISTACK_DOCKER_TIMEOUT": "120",
        "LAMBDA_DOCKER_FLAGS": "--tmpfs /tmp:size=512m,mode=1777 --memory 3g --env FIRSTLIGHT_OPEN=1",
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def emulator(
    tmp_path_factory: pytest.TempPathFactory, daemon: Daemon, managed_runtime: str
) -> Iterator[Emulator]:
    """Functions run as containers."""
    with Emulator(tmp_path_factory.mktemp("emulator"), docker=daemon.host) as running:
        yield running


@pytest.fixture(scope="session")
def enforcing(
    tmp_path_factory: pytest.TempPathFactory, daemon: Daemon, managed_runtime: str
) -> Iterator[Emulator]:
    """Functions run as containers, IAM is enforced, and it is reached by TLS, as policies ask for that."""
    with Emulator(tmp_path_factory.mktemp("enforcing"), docker=daemon.host, auth=True, tls=True) as running:
        yield running


@pytest.fixture(scope="session")
def local_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Zip functions run as plain processes."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running
