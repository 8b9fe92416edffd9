"""What a worker writes to stdout and stderr: cut into invocations, forwarded, and its end kept; memory is bounded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

LogSink = Callable[[str, str, str], None]
"""``sink(endpoint, request_id, text)``: one or more whole lines; the request id is empty outside an invocation."""

TAIL_BYTES = 4096
RATE_BYTES = 1 << 20
"""What is forwarded of one worker's log in a second; more is counted and left out, but for the end."""
_READ = 65536
"""As much as a pipe holds."""
_READS = 4
_LINE_LIMIT = 65536


class LogPipe:
    """Both outputs of one worker, as one pipe so that their order is kept.

    Args:
        endpoint: whose worker it is.
        sink: where lines go, None to only keep the tail.
        clock: seconds.
    """

    def __init__(
        self, endpoint: str, sink: LogSink | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._endpoint = endpoint
        self._sink = sink
        self._clock = clock
        self._second = 0.0
        self._room = 0
        self._left_out = 0
        self._request_id = ""
        self._tail = bytearray()
        self._line = bytearray()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reader, self.drain)

    def begin(self, request_id: str, line: str) -> None:
        """From here on, what is written belongs to this invocation; what its cold start wrote stays in its tail.

        Args:
            line: what the log of the invocation starts with.
        """
        self.drain()
        self._flush()
        self._request_id = request_id
        self.add(line)

    def add(self, text: str) -> None:
        """Write a line of the platform's own (START, REPORT, ...)."""
        self._flush()
        data = text.encode()
        self._keep(data)
        if self._sink is not None:
            self._sink(self._endpoint, self._request_id, text)

    def drain(self) -> None:
        """Take what is in the pipe now, or a little more: a worker that writes on and on must not stop the server."""
        for _ in range(_READS):
            if self._reader < 0:
                return
            try:
                data = os.read(self._reader, _READ)
            except BlockingIOError:
                return
            if not data:
                self._stop_reading()
                return
            self._take(data)
            if len(data) < _READ:
                return

    def end(self, lines: str) -> bytes:
        """Finish the invocation with these lines: the last 4 KB of its log."""
        self.add(lines)
        tail = bytes(self._tail)
        self._tail.clear()
        self._request_id = ""
        return tail

    def close_writer(self) -> None:
        """The worker has its own copy: with ours closed, its end is the end of the pipe."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def close(self) -> None:
        """Take what is left and let go of the pipe, even if a child of the worker still holds it."""
        self.drain()
        self._flush()
        self._stop_reading()
        self.close_writer()

    def _take(self, data: bytes) -> None:
        self._keep(data)
        if self._sink is None or not self._has_room(len(data)):
            return
        self._line += data
        cut = self._line.rfind(b"\n") + 1
        if cut == 0 and len(self._line) > _LINE_LIMIT:
            cut = len(self._line)
        if cut:
            self._forward(cut)

    def _has_room(self, size: int) -> bool:
        """Whether that many bytes more may be forwarded now; a line about those that were not goes before them."""
        if self._room < size and self._clock() - self._second >= 1:
            self._second, self._room = self._clock(), RATE_BYTES
            self._tell_left_out()
        if self._room < size:
            self._left_out += size
            return False
        self._room -= size
        return True

    def _tell_left_out(self) -> None:
        if self._left_out and self._sink is not None:
            self._forward(len(self._line))
            said = f"{self._left_out} bytes are left out here: a worker may log {RATE_BYTES} in a second\n"
            self._left_out = 0
            self._sink(self._endpoint, self._request_id, said)

    def _keep(self, data: bytes) -> None:
        self._tail += data[-TAIL_BYTES:]
        if len(self._tail) > TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    def _flush(self) -> None:
        """An unfinished line ends where its invocation does."""
        if self._tail and self._tail[-1] != 10:
            self._keep(b"\n")
        self._forward(len(self._line))
        self._tell_left_out()

    def _forward(self, cut: int) -> None:
        if not cut:
            return
        text = self._line[:cut].decode("utf-8", "replace")
        del self._line[:cut]
        if self._sink is not None:
            self._sink(self._endpoint, self._request_id, text if text.endswith("\n") else text + "\n")

    def _stop_reading(self) -> None:
        if self._reader >= 0:
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1
