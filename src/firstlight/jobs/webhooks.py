"""Word of a job on its way to an http(s) URL: signed, on threads of its own, and no more of it than anybody reads.

What ``start``, ``output`` and ``logs`` tell goes once, while the job runs, ``output`` and ``logs`` at most every half
second (as Replicate's webhooks do): the next word has all of it. What ``completed`` tells is a hook in the queue
(``hooks``), which is tried again until it is taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firstlight.jobs import posting, signing
from firstlight.runtime.errors import FirstlightError

INTERVAL_S = 0.5
_THREADS = 8
_KINDS = {"start": "start", "output": "output", "log": "logs"}
"""Kinds of a job's events -> the names that a filter of webhooks has for them."""

log = logging.getLogger("firstlight.jobs")


class Messenger:
    """Posts signed messages.

    Args:
        folder: where the secret is kept.
        clock: seconds since the epoch.
        timeout_s: seconds that the other side may take.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float], timeout_s: float = posting.TIMEOUT_S
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._poster = posting.Poster(timeout_s)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="hooks")
        self._secret = ""

    async def send(
        self, url: str, body: bytes, message_id: str, headers: Mapping[str, str] | None = None
    ) -> int:
        """POST a body; the status of the answer.

        Raises:
            Undelivered: there was none.
            JobError: the secret cannot be read.
        """
        future = self._threads.submit(self._send, url, body, message_id, headers or {})
        return await asyncio.wrap_future(future)

    def append(self, path: Path, line: bytes) -> asyncio.Future[None]:
        """Append a line to a file; see ``posting.append``."""
        return asyncio.wrap_future(self._threads.submit(posting.append, path, line))

    def close(self) -> None:
        """Let go of the threads; answers to what they sent are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._poster.close()

    def _send(self, url: str, body: bytes, message_id: str, headers: Mapping[str, str]) -> int:
        if not self._secret:
            self._secret = signing.secret(self._folder)
        signed = signing.headers(self._secret, message_id, self._clock(), body)
        return self._poster.post(url, body, {**headers, **signed})


class Teller:
    """Tells one URL what happens to a job while it runs; one message at a time.

    Args:
        send: posts one message that says what the job is now.
        events: names of those that are wanted.
        interval_s: seconds between two messages at least.
    """

    def __init__(
        self, send: Callable[[str], Awaitable[int]], events: tuple[str, ...], interval_s: float = INTERVAL_S
    ) -> None:
        self._send = send
        self._events = events
        self._interval_s = interval_s
        self._wanted = ""
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def say(self, kind: str) -> None:
        """There is a new event of this kind."""
        name = _KINDS.get(kind)
        if name is None or name not in self._events or self._ended.is_set():
            return
        self._wanted = self._wanted or name
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    def end(self) -> asyncio.Task[None] | None:
        """Say no more; what is left to do: a message that is on its way, and the word of the start."""
        self._ended.set()
        return self._task

    async def _tell(self) -> None:
        while self._wanted and (self._wanted == "start" or not self._ended.is_set()):
            name, self._wanted = self._wanted, ""
            try:
                await self._send(name)
            except FirstlightError as error:
                log.warning("a webhook was not told of %s: %s", name, error.message)
            try:
                await asyncio.wait_for(self._ended.wait(), self._interval_s)
            except TimeoutError:
                pass
        self._task = None
