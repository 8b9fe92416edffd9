"""A retry joins the invocation that its first attempt began, instead of running the function once more.

AWS SDKs send ``amz-sdk-invocation-id`` with every attempt of a call, the same for all of them; anybody may send
``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header). A request that names the same id, endpoint, qualifier
and payload as one that runs waits for that one's answer, and gets the answer again for about a minute after it. A
server cannot tell whether a client has read what it was sent, so every answer is kept that long, within a bound in
bytes. What was refused is forgotten at once, and a stream has one reader only.

All of it happens on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace

from firstlight.invoke.types import Invocation, Reply
from firstlight.runtime.errors import Conflict

KEEP_S = 60.0
"""Seconds for which an answer is given again."""

KEEP_BYTES = 16 * 1024 * 1024
"""Bytes of events and answers that are kept for that at most; the oldest go first."""

LINGER_S = 10.0
"""Seconds for which work that would end with its client waits for a retry instead."""

_BESIDES = 1024
"""What an answer is counted as besides its event, its body and its log."""

Carry = Callable[[Invocation], Awaitable[Reply]]
Leave = Callable[[str], None]
Key = tuple[bytes, str, str, bool, int]


class Asked:
    """What a request says about the attempts of the same call.

    Args:
        call: the id that all of them share.

    Attributes:
        same: what has to be the same in every attempt; None for the event.
    """

    __slots__ = ("_invocations", "call", "same")

    def __init__(self, call: bytes) -> None:
        self.call = call
        self.same: bytes | None = None
        self._invocations = 0

    def key(self, invocation: Invocation, whole: bool = False) -> Key:
        """What the request's next invocation goes by: one request may begin several with the same payload.

        Args:
            whole: its answer is joined if it streams; one that is not can have no part in that.
        """
        self._invocations += 1
        return (self.call, invocation.endpoint, invocation.qualifier, whole, self._invocations)


asked: ContextVar[Asked | None] = ContextVar("asked", default=None)
"""What the request that is being answered says; None where it names no id."""


def announce(headers: Mapping[bytes, bytes]) -> None:
    """Note what the headers of a request say, for the invocations it begins."""
    call = headers.get(b"amz-sdk-invocation-id") or headers.get(b"idempotency-key")
    asked.set(Asked(call) if call else None)


def compare(*parts: bytes) -> None:
    """Compare attempts by these instead of by their event, which on some wires says when and how it came."""
    told = asked.get()
    if told is not None:
        told.same = b"\0".join(parts)


class _NotComing(Exception):
    """The attempt that ran has been cancelled: whoever waited for its answer begins anew."""


class _Shared:
    """An invocation that attempts of the same call share.

    Args:
        same: what attempts are compared by.

    Attributes:
        waiting: those who joined, the one that came last at the end.
        present: callers that wait for it, the one who began it included.
        reply: what it came to; None while it runs.
        until: when that is forgotten.
        size: bytes it is counted as until then.
    """

    __slots__ = ("present", "reply", "request_id", "same", "size", "until", "waiting")

    def __init__(self, request_id: str, same: bytes) -> None:
        self.request_id = request_id
        self.same = same
        self.waiting: list[asyncio.Future[Reply]] | None = None
        self.present = 0
        self.reply: Reply | None = None
        self.until = 0.0
        self.size = 0

    def join(self) -> asyncio.Future[Reply]:
        """One more who waits."""
        waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.waiting = [*(self.waiting or ()), waiter]
        return waiter

    def here(self) -> list[asyncio.Future[Reply]]:
        """Those who still wait."""
        return [waiter for waiter in self.waiting or () if not waiter.done()]


class Joins:
    """The invocations that were begun by requests which name an id, and their answers for a while.

    Args:
        clock: monotonic, seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        keep_s: float = KEEP_S,
        keep_bytes: int = KEEP_BYTES,
        linger_s: float = LINGER_S,
    ) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._keep_bytes = keep_bytes
        self._linger_s = linger_s
        self._running: dict[Key, _Shared] = {}
        self._kept: OrderedDict[Key, _Shared] = OrderedDict()  # of a dict the first is found slowly
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def invoke(
        self,
        key: Key,
        invocation: Invocation,
        carry: Carry,
        leave: Leave | None = None,
        same: bytes | None = None,
    ) -> Reply:
        """Carry an invocation, or come to what another attempt of the same call comes to.

        Args:
            key: what the attempts share besides what they are compared by.
            carry: carries it.
            leave: ends the work of a request id when its callers have gone and no retry has come for a while; None
                lets it go on to its end.
            same: what attempts are compared by; None for the payload.

        Raises:
            Conflict: a retry has taken over the stream that this attempt waited for.
        """
        same = invocation.payload if same is None else same
        while True:
            kept = self._kept.get(key)
            if kept is not None and kept.same == same and kept.reply and self._clock() < kept.until:
                return replace(kept.reply)
            shared = self._running.get(key)
            if shared is None or shared.same != same:
                break
            try:
                return await self._wait(key, shared, leave)
            except _NotComing:
                continue
        shared = self._running[key] = _Shared(invocation.request_id, same)
        if leave is None:
            return await self._run(key, shared, invocation, carry)
        task = asyncio.ensure_future(self._run_apart(key, shared, invocation, carry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await self._wait(key, shared, leave)

    async def _wait(self, key: Key, shared: _Shared, leave: Leave | None) -> Reply:
        waiter = shared.join()
        shared.present += 1
        try:
            return await waiter
        finally:
            shared.present -= 1
            if waiter.cancelled() and leave is not None:
                asyncio.get_running_loop().call_later(self._linger_s, self._end_alone, key, shared, leave)

    def _end_alone(self, key: Key, shared: _Shared, leave: Leave) -> None:
        """No retry has come: the work ends, unless it has already or somebody waits for it again."""
        if shared.present == 0 and self._running.get(key) is shared:
            del self._running[key]  # one that comes now begins anew
            leave(shared.request_id)

    async def _run_apart(self, key: Key, shared: _Shared, invocation: Invocation, carry: Carry) -> None:
        """Run it for those who wait; there may be nobody any more when it ends."""
        try:
            reply = await self._run(key, shared, invocation, carry, waits=False)
        except Exception:  # those who waited have been told
            return
        if reply.stream is not None:
            await reply.stream.aclose()

    async def _run(
        self, key: Key, shared: _Shared, invocation: Invocation, carry: Carry, waits: bool = True
    ) -> Reply:
        shared.present += waits
        try:
            reply = await carry(invocation)
        except BaseException as error:
            self._forget(key, shared)
            for waiter in shared.here():
                waiter.set_exception(error if isinstance(error, Exception) else _NotComing())
            raise
        self._forget(key, shared)
        if reply.stream is not None:
            return self._hand_over(shared, reply)
        if reply.outcome != "cancelled":
            self._keep(key, shared, reply)
        if shared.waiting:
            for waiter in shared.here():
                waiter.set_result(replace(reply))
        return reply

    def _forget(self, key: Key, shared: _Shared) -> None:
        shared.present = 0
        if self._running.get(key) is shared:
            del self._running[key]

    def _hand_over(self, shared: _Shared, reply: Reply) -> Reply:
        """Give a stream to the attempt that came last, which is the one whose client is there."""
        here = shared.here()
        if not here:
            return reply
        here.pop().set_result(reply)
        gone = Conflict("a retry of this request has taken over its stream", "read the retry's answer")
        for waiter in here:
            waiter.set_exception(gone)
        raise gone

    def _keep(self, key: Key, shared: _Shared, reply: Reply) -> None:
        now, kept = self._clock(), self._kept
        shared.reply, shared.until = reply, now + self._keep_s
        shared.size = len(shared.same) + len(reply.payload) + len(reply.log) + _BESIDES
        if key in kept:
            self._bytes -= kept.pop(key).size
        self._bytes += shared.size
        kept[key] = shared
        while kept and (self._bytes > self._keep_bytes or next(iter(kept.values())).until <= now):
            self._bytes -= kept.popitem(last=False)[1].size
