"""The image of a function where there is no Lambda: the gateway over a pool with that one endpoint.

Made for ``docker run``, Cloud Run, ECS and Kubernetes: it listens on ``0.0.0.0:$PORT``, ends on SIGTERM, writes nothing
outside ``/tmp``. The endpoint answers to its own name and to ``function``, as under AWS's Runtime Interface Emulator.

Read from the environment, beside what ``runtime.entry`` reads: ``PORT``, ``FIRSTLIGHT_TOKEN``, ``FIRSTLIGHT_OPEN``,
``FIRSTLIGHT_CONCURRENCY``, ``FIRSTLIGHT_ENDPOINT``, and of AWS's own ``AWS_LAMBDA_FUNCTION_TIMEOUT`` (seconds) and
``AWS_LAMBDA_FUNCTION_MEMORY_SIZE`` (MB).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from firstlight.invoke.types import WorkerSpec
from firstlight.project.types import Endpoint, Project, RecordPolicy, default_concurrency
from firstlight.runtime.errors import FirstlightError, ProjectError

PORT = 8080
TIMEOUT_S = 300.0
EMULATED = "function"
"""The only name that AWS's emulator answers to."""
_GRACE_S = 8
"""Seconds for what runs at SIGTERM; Docker and Cloud Run kill after ten."""
_OWN = (
    "FIRSTLIGHT_TOKEN",
    "FIRSTLIGHT_OPEN",
    "FIRSTLIGHT_PATH",
    "FIRSTLIGHT_SERVER",
    "FIRSTLIGHT_SERVER_PATH",
    "PORT",
    "PATH",
    "HOSTNAME",
)
_YES = ("1", "true", "yes", "on")
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_LIMIT_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says.

    Attributes:
        endpoint: its name.
        bundle, script, task: what it is, as in ``WorkerSpec``.
        token: that callers send; None asks for none.
        made: the token was made here, so that somebody has to be told.
        variables: for the workers.
    """

    endpoint: str
    bundle: Path | None
    script: Path | None
    task: str | None
    port: int
    token: str | None
    made: bool
    memory_mb: int
    timeout_s: float
    concurrency: int
    variables: Mapping[str, str]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """The settings of an environment.

        Raises:
            ProjectError: a variable says something impossible, or nothing says what to serve.
        """
        bundle, script = env.get("FIRSTLIGHT_BUNDLE"), env.get("FIRSTLIGHT_SCRIPT")
        if not bundle and not script:
            raise ProjectError("nothing says what to serve", "set FIRSTLIGHT_BUNDLE or FIRSTLIGHT_SCRIPT")
        given = env.get("FIRSTLIGHT_TOKEN") or None
        is_open = env.get("FIRSTLIGHT_OPEN", "").lower() in _YES
        token = None if is_open else given or secrets.token_urlsafe(24)
        return cls(
            endpoint=env.get("FIRSTLIGHT_ENDPOINT") or EMULATED,
            bundle=Path(bundle) if bundle else None,
            script=Path(script) if script and not bundle else None,
            task=env.get("FIRSTLIGHT_TASK") or None,
            port=int(_number(env, "PORT", PORT, 0, 65535)),
            token=token,
            made=token is not None and not given,
            memory_mb=int(_number(env, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", allowed_mb(), 16, _NO_LIMIT_MB)),
            timeout_s=_number(env, "AWS_LAMBDA_FUNCTION_TIMEOUT", TIMEOUT_S, 0.1, 86_400),
            concurrency=int(_number(env, "FIRSTLIGHT_CONCURRENCY", default_concurrency(), 1, 1000)),
            variables={name: value for name, value in env.items() if name not in _OWN},
        )

    def project(self, scratch: Path) -> Project:
        """A project of this one endpoint."""
        endpoint = Endpoint(
            self.endpoint,
            model=str(self.bundle) if self.bundle else None,
            script=self.script,
            task=self.task,
            memory=self.memory_mb,
            timeout=self.timeout_s,
            concurrency=self.concurrency,
        )
        return Project(self.endpoint, None, None, {self.endpoint: endpoint}, RecordPolicy(), scratch)

    def spec(self) -> WorkerSpec:
        """How its workers start."""
        return WorkerSpec(
            endpoint=self.endpoint,
            bundle=self.bundle,
            task=self.task if self.bundle else None,
            script=self.script,
            memory_mb=self.memory_mb,
            timeout_s=self.timeout_s,
            concurrency=self.concurrency,
            env=self.variables,
            cwd=Path(self.variables.get("LAMBDA_TASK_ROOT") or "/var/task") if self.script else None,
        )


def allowed_mb() -> int:
    """Memory the container may have, MB; all of the machine's where nothing limits it (cgroup v2, then v1)."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _CGROUP:
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            return max(min(int(text), machine) >> 20, 16)
    return machine >> 20


def main(env: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM or Ctrl-C; exit with 1 and a sentence where that cannot be."""
    try:
        settings = Settings.read(env)
        scratch = _scratch()
    except FirstlightError as error:
        _say(f"error: {error.message}\nhelp: {error.hint}")
        sys.exit(1)
    import uvicorn

    loop = uvicorn.Config("", loop="auto").get_loop_factory()
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(serve(settings, scratch))


async def serve(settings: Settings, scratch: Path) -> None:
    """Serve on the running loop."""
    import uvicorn

    from firstlight.gateway.edge.server import Edge

    config = uvicorn.Config(
        cast(Any, application(settings, scratch)),
        host="0.0.0.0",  # noqa: S104 - a container is reached from outside of it or not at all
        port=settings.port,
        http=cast(Any, Edge()),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_S,
    )
    _say(f"firstlight serves {settings.endpoint} on port {settings.port}")
    if settings.made:
        _say(
            f"callers send the token {settings.token} (FIRSTLIGHT_TOKEN sets another, FIRSTLIGHT_OPEN=1 asks for none)"
        )
    await uvicorn.Server(config).serve()


def application(settings: Settings, scratch: Path) -> Emulating:
    """The gateway over a pool; called on the event loop they live on."""
    from firstlight.gateway.app import create_app
    from firstlight.invoke.pool import PoolInvoker

    pool = PoolInvoker({settings.endpoint: settings.spec()}, log_sink=_print_log)
    app = create_app(
        settings.project(scratch),
        pool,
        token=settings.token,
        hosts=("*",),
        bundles={settings.endpoint: settings.bundle} if settings.bundle else {},
        anyone=settings.token is None,
    )
    return Emulating(app, settings.endpoint)


class Emulating:
    """The gateway, with the endpoint's second name in the paths of Lambda's API.

    Args:
        app: the gateway.
        endpoint: the name it knows.
    """

    _WORD = f"/functions/{EMULATED}/"

    def __init__(self, app: Any, endpoint: str) -> None:
        self.app = app
        self._other = f"/functions/{endpoint}/"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._WORD in scope["path"]:
            scope["path"] = scope["path"].replace(self._WORD, self._other, 1)
            scope["raw_path"] = scope["path"].encode()
        await self.app(scope, receive, send)


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = env.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise ProjectError(f"{name} is {text!r}", f"set it to a number from {least} to {most}")
    return number


def _scratch() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="firstlight-"))
    except OSError as error:
        hint = "mount /tmp, such as with --tmpfs /tmp"
        raise FirstlightError(
            "no folder can be written, and workers are reached through one", hint
        ) from error


def _print_log(_endpoint: str, _request_id: str, text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
