"""The running server: one event loop with the gateway, the pool, the records, and the watcher of a reload."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import ipaddress
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import uvicorn

from firstlight.cli import client, deferring, output, preparing, printing, wiring
from firstlight.cli.lifetime import Lifetime
from firstlight.cli.preparing import Prepared
from firstlight.gateway.edge.server import Edge
from firstlight.runtime.errors import FirstlightError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from firstlight.invoke.logs import LogSink
    from firstlight.jobs.desk import Desk
    from firstlight.jobs.shelf import Keeper
    from firstlight.project import Project
    from firstlight.runtime.records.sqlite import SqliteStore

_BACKLOG = 2048
_GRACE_SECONDS = 30
_COLLECT_AFTER = (20_000, 50, 100)
"""New objects before cycles among them are looked for, and how many such looks make one at older ones. A request makes
hundreds of objects and no cycles: Python's own figures spend a tenth of a busy server's time on looking."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, made before anything else so that a port in use is said at once.

    Raises:
        FirstlightError: the address is in use, not of this machine, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        hint = {
            errno.EADDRINUSE: "another server runs there; stop it, or choose another --port (0 takes a free one)",
            errno.EACCES: "ports below 1024 need more rights; choose another with --port",
        }.get(error.errno or 0, "choose an address of this machine with --host")
        reason = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise FirstlightError(f"cannot listen on {host}:{port}: {reason}", hint) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def needed_token(host: str) -> str | None:
    """A new token where others can reach the server, None where only this machine can."""
    return None if is_loopback(host) else secrets.token_urlsafe(24)


class Server:
    """Serves a prepared project on a socket until it is told to stop.

    Args:
        prepared: what to serve.
        listening: the socket.
        host: the address the user asked for, for the URL.
        token: what callers must send; None asks for nothing.
        prepare: prepares a project that was read again.
        reload: whether to follow changes of the project's folder.
        stage: the stage, for reading the project again.
        as_json: print events as JSON lines instead of text.
    """

    def __init__(
        self,
        prepared: Prepared,
        listening: socket.socket,
        host: str,
        token: str | None,
        prepare: Callable[[Project], Prepared] = preparing.prepare,
        *,
        reload: bool = False,
        stage: str | None = None,
        as_json: bool = False,
    ) -> None:
        self.prepared = prepared
        self.policy = wiring.Keeping(prepared.project.records.store)
        self.socket = listening
        self.token = token
        self.prepare = prepare
        self.stage = stage
        self.as_json = as_json
        self.reload = reload
        self.ready = False
        self.open = not is_loopback(host)
        port = listening.getsockname()[1]
        # The address that means "all of this machine's" is none that a client can go to.
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
        self.url = f"http://{f'[{near}]' if ':' in near else near}:{port}"
        self.bound = f"{host}:{port}"

    def run(self) -> None:
        """Serve; return after Ctrl-C or SIGTERM, when running invocations have ended and every record is written."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stopped)
        store, problem = wiring.open_store(self.prepared.project)
        if problem:
            output.warn(problem)
        jobs, problem = deferring.open_jobs(self.prepared.project)
        if problem:
            output.warn(problem)
        self._warn_of_problems()
        log = printing.Printer()
        try:
            with asyncio.Runner(loop_factory=uvicorn.Config("", loop="auto").get_loop_factory()) as runner:
                runner.run(self._serve(store, jobs, log))
        finally:
            log.close()
            jobs.close()
            if store is not None:
                store.close()

    def _stopped(self, *_: object) -> None:
        """A signal outside uvicorn's care: before it serves, or raised again by it after a graceful end."""
        if not self.ready:
            raise KeyboardInterrupt

    async def _serve(self, store: SqliteStore | None, jobs: Keeper, log: LogSink) -> None:
        pool, app = wiring.assemble(
            self.prepared, store, self.policy, self.token, open_to_others=self.open, jobs=jobs, log=log
        )
        desk: Desk = app.state.gateway.jobs
        desk.base = self.url

        async def end_now() -> None:
            await desk.release()  # first: a job whose worker is ended would look like one that failed
            await pool.close(0)

        config = uvicorn.Config(
            app,
            http=cast(Any, Edge()),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="on",
        )
        following = asyncio.create_task(self._follow(app)) if self.reload else None
        with self._noted():
            await Lifetime(config, self._announce, desk.stop, end_now, _GRACE_SECONDS).serve([self.socket])
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    async def _follow(self, app: Starlette) -> None:
        """Serve the project anew after every change; a mistake in it is printed and the old one stays."""
        from firstlight.cli import reloading

        mistake = ""
        try:
            async for _ in reloading.changes(self.prepared.project.root or Path.cwd()):
                try:
                    prepared = await asyncio.to_thread(lambda: self.prepare(wiring.project_here(self.stage)))
                except FirstlightError as error:
                    # Said once: the file that takes our output may be one of those that are watched.
                    if mistake != str(error):
                        output.fail(error, self.as_json)
                    mistake = str(error)
                else:
                    mistake = ""
                    self._take_over(prepared, app)
        except (OSError, RuntimeError) as error:  # too many folders to watch, or this one is gone
            output.warn(f"changes are not followed any more: {error}")

    def _take_over(self, prepared: Prepared, app: Starlette) -> None:
        """Serve another state of the project; endpoints whose spec is the same keep their workers."""
        names = {*prepared.specs, *self.prepared.specs}
        changed = sorted(name for name in names if prepared.specs.get(name) != self.prepared.specs.get(name))
        if not changed and prepared.project == self.prepared.project:
            return
        self.prepared = prepared
        self.policy.store = prepared.project.records.store
        app.state.published.take_over(prepared)
        app.state.gateway.replace(prepared.project, prepared.bundles)
        self._warn_of_problems()
        self._say("reloaded", f"reloaded: {', '.join(changed) or 'settings'}", {"changed": changed})

    def _warn_of_problems(self) -> None:
        for name, error in self.prepared.problems.items():
            output.warn(f"{name} will answer with an error: {error.message}")

    def _announce(self) -> None:
        self.ready = True
        gc.freeze()  # what is loaded now stays
        gc.set_threshold(*_COLLECT_AFTER)
        endpoints = list(self.prepared.project.endpoints)
        token = f"/?token={self.token}" if self.token else ""
        facts: dict[str, Any] = {"url": self.url, "endpoints": endpoints}
        if self.token:
            facts["token"] = self.token
        if any(spec.walls is not None for spec in self.prepared.specs.values()):
            from firstlight.cli import strict

            facts["strict"] = strict.facts()
        text = f"{click.style('firstlight', bold=True)} serves {', '.join(endpoints)}\n  {self.url}{token}"
        if self.open:
            text += f"\n  others reach it at {self.bound}, with the token {self.token}"
        self._say("serving", f"{text}\n  Ctrl-C stops it", facts)

    def _say(self, event: str, text: str, facts: dict[str, Any]) -> None:
        if self.as_json:
            output.json_line({"event": event, **facts})
        else:
            click.echo(text)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """While it runs, the project's data folder says where this server is, for its user's eyes only."""
        file = self.prepared.project.data_dir / client.NOTE
        note = {"url": self.url, "pid": os.getpid(), **({"token": self.token} if self.token else {})}
        earlier = client.noted(file.parent)
        _write_note(file, note)
        try:
            yield
        finally:
            with contextlib.suppress(OSError, ValueError):
                if json.loads(file.read_text(encoding="utf-8")).get("pid") == os.getpid():
                    file.unlink()
                    # One that serves the same folder is found again.
                    if earlier.get("pid") and _is_running(earlier["pid"]):
                        _write_note(file, earlier)


def _is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def _write_note(file: Path, note: dict[str, Any]) -> None:
    try:
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            json.dump(note, opened)
    except OSError:
        pass  # `firstlight invoke` then looks at the default address
