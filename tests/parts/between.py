"""What may stand between us and a registry: a connection that is cut, a proxy."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Between:
    """A port that leads to another one.

    Attributes:
        host: ``127.0.0.1:port``.
        cuts: how many bytes go towards the other side, in all, before the connection that carries the next one is cut
            on both sides; in turn.
        up: bytes that went towards the other side in all.
        passed: is set when so many bytes (``mark``) went there.
    """

    to: str
    host: str = ""
    cuts: list[int] = field(default_factory=list)
    up: int = 0
    mark: int = 1 << 60
    passed: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sent(self, count: int) -> bool:
        """So many bytes went on; whether their connection may stay."""
        with self.lock:
            self.up += count
            if self.up >= self.mark:
                self.passed.set()
            if self.cuts and self.up >= self.cuts[0]:
                self.cuts.pop(0)
                return False
            return True


@contextmanager
def cutting(to: str) -> Iterator[Between]:
    """A port that leads to a registry and may fail."""
    between = Between(to)

    def carry(near: socket.socket) -> None:
        host, _, port = between.to.rpartition(":")
        try:
            far = socket.create_connection((host, int(port)))
        except OSError:
            near.close()
            return
        join(near, far, between.sent)

    with _listening(carry) as between.host:
        yield between


@dataclass
class Proxy:
    """An HTTP proxy that asks for a password.

    Attributes:
        address: with user and password.
        names: hosts that only it knows, and where they are.
        asked: first lines of what it was asked.
    """

    names: dict[str, str]
    address: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def proxying(names: dict[str, str]) -> Iterator[Proxy]:
    """A proxy for hosts that nobody else finds; it carries TLS (CONNECT) and plain HTTP."""
    proxy = Proxy(names)
    basic = base64.b64encode(b"me:pass word").decode()

    def carry(near: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = near.recv(65536)
            if not piece:
                near.close()
                return
            head += piece
        top, _, rest = head.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        proxy.asked.append(lines[0])
        if f"Proxy-Authorization: Basic {basic}" not in lines:
            near.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            near.close()
            return
        method, target, version = lines[0].split(" ")
        place = target if method == "CONNECT" else target.split("/")[2]
        host, _, port = proxy.names[place].rpartition(":")
        far = socket.create_connection((host, int(port)))
        if method == "CONNECT":
            near.sendall(b"HTTP/1.1 200 Here you are\r\n\r\n")
        else:
            kept = [line for line in lines[1:] if not line.startswith("Proxy-")]
            path = "/" + target.split("/", 3)[3]
            far.sendall(
                "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode()
                + rest
            )
        join(near, far, lambda count: True)

    with _listening(carry) as host:
        proxy.address = f"http://me:pass%20word@{host}"
        yield proxy


@contextmanager
def _listening(carry: Callable[[socket.socket], None]) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=carry, args=(near,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def join(near: socket.socket, far: socket.socket, sent: Callable[[int], bool]) -> None:
    """Carry bytes both ways until one side ends, or ``sent`` says that it is enough."""
    other = threading.Thread(target=_carry, args=(far, near, lambda count: True), daemon=True)
    other.start()
    _carry(near, far, sent)
    other.join()
    near.close()
    far.close()


def _carry(source: socket.socket, sink: socket.socket, sent: Callable[[int], bool]) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
            if not sent(len(piece)):
                break
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
