"""A Runtime API server for tests: real sockets, plain threads, and a record of every byte that matters.

It is strict where AWS's is strict (an answer must name the invocation that is running) and can be told to misbehave:
drop connections between messages, refuse an answer as too large, send the event in chunks.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 20.0
"""Seconds after which a test gives up on something that should have happened."""


@dataclass
class Message:
    """One request of the worker: header fields and trailers by lower-case name."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    chunks: list[bytes] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)


@dataclass
class Event:
    """One invocation to hand out."""

    payload: bytes
    headers: dict[str, str]
    request_id: str
    answered: threading.Event = field(default_factory=threading.Event)
    answers: list[Message] = field(default_factory=list)

    def wait(self) -> Message:
        """The last answer, once there is one."""
        assert self.answered.wait(PATIENCE), "the worker did not answer"
        return self.answers[-1]


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


class Gone(Exception):
    """The worker closed its connection."""


class RuntimeApi:
    """Serves one worker at a time.

    Args:
        path: a Unix socket to listen on; a free port of 127.0.0.1 when None.
        refuse_over: answer 413 to bodies of more bytes.
        drop_after_answer: close the connection after every answer to POST, without saying so.
        chunked_events: send events in chunks of this many bytes.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        refuse_over: int = 6_291_556,
        drop_after_answer: bool = False,
        chunked_events: int = 0,
    ) -> None:
        self.refuse_over = refuse_over
        self.drop_after_answer = drop_after_answer
        self.chunked_events = chunked_events
        self.events: queue.Queue[Event | None] = queue.Queue()
        self.messages: list[Message] = []
        self.init_error = threading.Event()
        self.waiting = threading.Event()
        self.restore = threading.Event()
        self.restoring = threading.Event()
        self.current: Event | None = None
        self.chunk_seen = threading.Condition()
        self.streamed: list[bytes] = []
        self.hang_up_after_chunks = 0
        if path is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen()
            self.address = f"unix:{path}"
        self.connections: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> RuntimeApi:
        accept = threading.Thread(target=self._accept)
        accept.start()
        self.threads.append(accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        assert not self.failures, self.failures

    def close(self) -> None:
        """Hang up on the worker and stop."""
        _hang_up(self.listener)  # first, or a worker that is hung up on comes back
        self.threads[0].join(PATIENCE)
        self.events.put(None)
        self.restore.set()
        for sock in self.connections:
            _hang_up(sock)
        for thread in self.threads:
            thread.join(PATIENCE)

    def put(self, payload: bytes = b"{}", timeout: float = 3.0, **headers: str) -> Event:
        """Queue an invocation; keyword names become header names (``client_context`` -> ``Client-Context``)."""
        event = Event(payload, {}, str(uuid.uuid4()))
        event.headers = {
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:test",
            "Content-Type": "application/json",
        }
        for name, value in headers.items():
            title = "-".join(word.capitalize() for word in name.split("_"))
            event.headers["Content-Type" if title == "Content-Type" else f"Lambda-Runtime-{title}"] = value
        self.events.put(event)
        if self.init_error.is_set():
            self._answer_all(self.messages[-1])
        return event

    def invoke(self, payload: bytes = b"{}", **headers: str) -> Message:
        """Queue an invocation and wait for its answer."""
        return self.put(payload, **headers).wait()

    def of(self, path_end: str) -> list[Message]:
        """The messages whose path ends so."""
        return [message for message in self.messages if message.path.endswith(path_end)]

    def wait_chunks(self, count: int) -> list[bytes]:
        """The first pieces of the answer that is being streamed, once that many have come."""
        with self.chunk_seen:
            assert self.chunk_seen.wait_for(lambda: len(self.streamed) >= count, PATIENCE), self.streamed
            return list(self.streamed)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            thread.start()
            self.threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        try:
            reader = sock.makefile("rb")
            while True:
                message = self._read(reader)
                self.messages.append(message)
                if not self._reply(sock, message):
                    break
        except (Gone, OSError, ValueError):
            pass
        except BaseException as error:
            self.failures.append(error)
        finally:
            _hang_up(sock)

    def _read(self, reader) -> Message:
        line = reader.readline()
        if not line:
            raise Gone
        method, path, version = line.decode("ascii").rstrip("\r\n").split(" ")
        assert version == "HTTP/1.1"
        headers = self._fields(reader)
        assert headers["host"]
        message = Message(method, path, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            self._read_chunks(reader, message)
        else:
            message.body = reader.read(int(headers.get("content-length", "0")))
        return message

    def _fields(self, reader) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, colon, value = line.decode("latin-1").partition(":")
            assert colon, line
            assert name.lower() not in fields, f"{name} was sent twice"
            fields[name.lower()] = value.strip()
        return fields

    def _read_chunks(self, reader, message: Message) -> None:
        with self.chunk_seen:
            self.streamed = message.chunks
        while True:
            line = reader.readline()
            if not line.endswith(b"\r\n"):
                raise Gone
            size = int(line, 16)
            if size == 0:
                break
            chunk = reader.read(size)
            assert reader.read(2) == b"\r\n"
            with self.chunk_seen:
                message.chunks.append(chunk)
                self.chunk_seen.notify_all()
            if self.hang_up_after_chunks and len(message.chunks) >= self.hang_up_after_chunks:
                self.hang_up_after_chunks = 0
                raise Gone
        message.trailers = self._fields(reader)
        promised = {name.strip().lower() for name in message.headers.get("trailer", "").split(",")}
        assert set(message.trailers) <= promised, "a trailer that was not announced"
        message.body = b"".join(message.chunks)

    def _reply(self, sock: socket.socket, message: Message) -> bool:
        path = message.path.removeprefix("/2018-06-01/runtime/")
        if (message.method, path) == ("GET", "invocation/next"):
            return self._next(sock)
        if (message.method, path) == ("GET", "restore/next"):
            self.restoring.set()
            assert self.restore.wait(PATIENCE)
            return self._send(sock, 200, b"")
        if (message.method, path) in {("POST", "init/error"), ("POST", "restore/error")}:
            self.init_error.set()
            self._answer_all(message)
            return self._send(sock, 202, b'{"status":"OK"}')
        return self._answer(sock, message, path)

    def _answer_all(self, message: Message) -> None:
        """A worker that cannot start has answered all that waits."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self.events.get_nowait()
                if event is not None:
                    event.answers.append(message)
                    event.answered.set()

    def _next(self, sock: socket.socket) -> bool:
        self.waiting.set()
        event = self.events.get()
        self.waiting.clear()
        if event is None:
            return False
        self.current = event
        return self._send(sock, 200, event.payload, event.headers, self.chunked_events)

    def _answer(self, sock: socket.socket, message: Message, path: str) -> bool:
        event = self.current
        kind, request_id, what = path.split("/")
        if event is None or request_id != event.request_id or kind != "invocation":
            return self._send(sock, 400, b'{"errorType":"InvalidRequestID"}')
        event.answers.append(message)
        if what == "response" and not message.chunks and len(message.body) > self.refuse_over:
            return self._send(sock, 413, b'{"errorType":"RequestEntityTooLarge"}')
        self.current = None
        going_on = self._send(sock, 202, b'{"status":"OK"}')
        event.answered.set()
        return going_on and not self.drop_after_answer

    def _send(
        self, sock, status: int, body: bytes, headers: dict[str, str] | None = None, chunked: int = 0
    ) -> bool:
        fields = dict(headers or {})
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
            pieces = [body[at : at + chunked] for at in range(0, len(body), chunked)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            fields["Content-Length"] = str(len(body))
        head = (
            f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        )
        sock.sendall(head.encode("latin-1") + body)
        return True
