"""HTTP/1.1 on one connection of a client: llhttp's parser on asyncio's Protocol, within ``Limits``.

Message syntax and what follows from it: RFC 9112; 408, 413, 414 and 100 Continue: RFC 9110; 431: RFC 6585.
What a client can do wrong costs it its own connection and nobody else anything: every state has an end in time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

import httptools

from firstlight.gateway.edge import writing
from firstlight.gateway.edge.exchange import Exchange
from firstlight.gateway.edge.line import Line
from firstlight.gateway.edge.parsing import Head, addresses

if TYPE_CHECKING:
    from firstlight.gateway.edge.server import Edge


class State(Enum):
    """What a connection is waiting for."""

    HEAD = "the head of a request"
    BODY = "the rest of a body"
    BUSY = "the application, or the client that takes its answer"
    IDLE = "another request"
    LINGERING = "a refused client, to read why"


class Connection(Line):
    """A client.

    Args:
        edge: the server's side of all of them.
    """

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge.loop, edge.limits)
        self.date = edge.date
        self._edge = edge
        self._head = Head(edge.limits)
        self.on_url, self.on_header = self._head.add_url, self._head.add
        self._parser = httptools.HttpRequestParser(self)
        self._about: dict[str, Any] = {}
        self._reading_head = True
        self._head_size = 0
        self._head_since = self.since
        self._silent = True
        self._current: Exchange | None = None
        self._latest: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._deaf = False
        self._half_closed_at: float | None = None

    @property
    def state(self) -> State:
        """What it is waiting for now."""
        if self.lingering:
            return State.LINGERING
        if self._current is not None:
            return State.BUSY if self._current.received else State.BODY
        if self._reading_head:
            return State.HEAD
        return State.IDLE if self._latest is None or self._latest.received else State.BODY

    @property
    def waiting_since(self) -> float:
        """When it began to wait for what it waits for, by the event loop's clock."""
        return self.since if self.state in (State.IDLE, State.LINGERING) else self._head_since

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's
        self._about = addresses(transport)
        if not self._edge.admit(self):
            self.refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        now = self.since = self.loop.time()
        if self._deaf:
            if self.lingering:
                self.throw_away(len(data))
            return
        if self._silent or (not self._reading_head and self.state is State.IDLE):
            self._reading_head, self._silent = True, False
            self._head_since, self._head_size = now, 0
        self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # no other protocol is spoken here: the request is answered as what it is
            self._last(keep_alive=False)
        except httptools.HttpParserCallbackError:
            self.abort()
            raise  # not the client's fault
        except httptools.HttpParserError:
            self._stop_listening(*(self._head.refused or (400, "this is not an HTTP/1.1 request")))
            return
        if self._reading_head:
            self._head.waiting(self._head_size)
        if self._head.refused is not None:
            self._stop_listening(*self._head.refused)

    def eof_received(self) -> bool:
        """The client will send no more: who has sent a whole request still gets its answer."""
        self._deaf = True
        if self.state is not State.BUSY:
            return False
        self._last(keep_alive=False)
        self._half_closed_at = self.loop.time()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._edge.lost(self)
        for exchange in (self._current, self._latest, *self._queue):
            if exchange is not None:
                exchange.leave()
        self._queue.clear()
        self.resume_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.pause()  # who does not read its answers is not asked for more questions

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    # What the parser calls; ``on_url`` and ``on_header`` are the head's.

    def on_message_begin(self) -> None:
        self._head.begin()
        if not self._reading_head:  # it came with the end of another
            self._reading_head = True
            self._head_since, self._head_size = self.since, 0

    def on_headers_complete(self) -> None:
        self._reading_head = False
        head, parser = self._head, self._parser
        scope = None if self._deaf else head.scope(parser, self._about, self._edge.state)
        if scope is None:
            return
        keep_alive = scope["http_version"] != "1.0" and parser.should_keep_alive()
        exchange = self._latest = Exchange(self, scope, keep_alive, head.expects)
        if self._current is not None:
            self._queue.append(exchange)
            self.pause()
            if len(self._queue) >= self.limits.queued:
                self._deaf, exchange.keep_alive = True, False
        elif not head.at_once:
            self._begin(exchange)

    def on_body(self, data: bytes) -> None:
        if self._latest is not None and not self._latest.feed(data):
            self.pause()

    def on_message_complete(self) -> None:
        exchange = self._latest
        if exchange is None or exchange.received:
            return
        exchange.received = True
        exchange.wake()
        if self._current is None and exchange.task is None:
            self._begin(exchange)

    # What an exchange calls.

    def room(self) -> None:
        """What was read of a body has been taken."""
        if self.paused and not self._queue and not self.clogged:
            self.resume()

    def answered(self, exchange: Exchange) -> None:
        """The answer is complete."""
        exchange.wake()
        if exchange is not self._current:
            return
        self._current = None
        self.since = self.loop.time()
        if exchange.keep_alive:
            self._go_on()
        elif exchange.received:
            self._queue.clear()
            self.transport.close()
        else:
            self.linger()

    def ended(self, exchange: Exchange) -> None:
        """The application has returned."""
        if exchange.task is not None:
            self._edge.tasks.discard(exchange.task)
        if exchange.gone and not self.lingering:
            self.transport.close()

    # What the server calls.

    def shutdown(self) -> None:
        """Hang up once the running request is answered; uvicorn's word for it."""
        if self._current is None:
            self.transport.close()
        self._last(keep_alive=False)

    def look(self, now: float) -> None:
        """Hang up where a client takes too long over something."""
        limits, state, waited = self.limits, self.state, now - self.since
        if self.clogged or self.transport.is_closing():
            self.look_at_reader(now)
        elif state is State.HEAD and now - self._head_since > limits.head_s:
            self._late("the head of the request did not come in time")
        elif state is State.BODY and not self.paused and waited > limits.body_s:
            self._late("the body of the request did not come in time")
        elif (state is State.IDLE and waited > limits.idle_s) or (
            state is State.LINGERING and waited > limits.linger_s
        ):
            self.transport.close()
        elif state is State.BUSY and self._half_closed_at is not None:
            self._probe(now, self._half_closed_at)

    # What follows from it.

    def _last(self, *, keep_alive: bool) -> None:
        """Whether anything may follow the last request that has come."""
        last = self._queue[-1] if self._queue else self._current or self._latest
        if last is not None:
            last.keep_alive = keep_alive

    def _go_on(self) -> None:
        """Answer the next request, when the client has taken most of the answers before."""
        if self._current is None and self._queue and not self.clogged:
            following = self._queue.popleft()
            if following.received or not self._head.at_once:
                self._begin(following)
        self.room()

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        task = exchange.task = self.loop.create_task(exchange.run(self._edge.app))
        self._edge.tasks.add(task)

    def _stop_listening(self, status: int, text: str) -> None:
        """What came cannot be taken; an answer that is on its way still arrives."""
        self._deaf = True
        if self._current is None:
            self.refuse(status, text)
            return
        self._last(keep_alive=False)
        if not self._current.received:
            self._current.leave()

    def _late(self, text: str) -> None:
        exchange = self._current or self._latest
        waiting = exchange is not None and not exchange.received
        if self._silent or (waiting and exchange is not None and exchange.begun):
            self.transport.close()  # nobody has asked for anything, or has half of an answer already
            return
        if waiting and exchange is not None:
            exchange.leave()
        self.refuse(408, text)

    def _probe(self, now: float, at: float) -> None:
        """Ask a client that has closed its sending side whether it still reads.

        Who has closed the whole socket looks the same until something is sent to it. An interim answer is something
        that every client of HTTP/1.1 passes over (RFC 9110, section 15.2), and it makes the system of one that has
        gone say so.
        """
        exchange = self._current
        if exchange is None or exchange.begun or exchange.scope["http_version"] != "1.1":
            return
        if now - at >= self.limits.probe_s:
            self._half_closed_at = now
            self.write(writing.CONTINUE)

    def linger(self) -> None:
        """Hang up on the sending side, and hear no more requests."""
        self._deaf, self._current = True, None
        self._queue.clear()
        super().linger()
