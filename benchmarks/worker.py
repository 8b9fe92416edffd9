"""One worker, timed from outside: started as the pool starts it, answering one invocation over the Runtime API."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import firstlight

PACKAGE = Path(firstlight.__file__).parent


class Worker:
    """A worker process and the server half of its Runtime API, on a unix socket.

    Attributes:
        first_ms: process start to the first answer.
        notes: what the worker said of its own start.
    """

    def __init__(self, bundle: Path, event: object) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="firstlight-bench-")
        path = f"{self.folder.name}/api"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"unix:{path}",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "FIRSTLIGHT_BUNDLE": str(bundle),
            "FIRSTLIGHT_PATH": os.pathsep.join([str(PACKAGE.parent), *(p for p in sys.path if p)]),
        }
        if "FIRSTLIGHT_LLAMA" in os.environ:
            environment["FIRSTLIGHT_LLAMA"] = os.environ["FIRSTLIGHT_LLAMA"]
        command = [sys.executable, "-I", "-S", str(PACKAGE / "runtime/bootstrap.py")]
        start = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment)
        self.connection, _ = listener.accept()
        listener.close()
        self.buffer = b""
        self.answer = self.invoke(event)
        self.first_ms = (time.perf_counter() - start) * 1e3

    def invoke(self, event: object) -> bytes:
        """Hand one invocation to the worker and return the body of its answer."""
        self._message()
        body = json.dumps(event).encode()
        deadline = int((time.time() + 60) * 1000)
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            "Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-000000000000\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.connection.sendall(head.encode() + body)
        head_line, answer = self._message()
        if b"/response" not in head_line:
            raise RuntimeError(answer.decode())
        self.connection.sendall(b'HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n')
        return answer

    def _message(self) -> tuple[bytes, bytes]:
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length")), 0
        )
        while len(self.buffer) < length:
            self._fill()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return lines[0], body

    def _fill(self) -> None:
        received = self.connection.recv(1 << 16)
        if not received:
            raise RuntimeError("the worker hung up")
        self.buffer += received

    def memory_mb(self) -> float:
        """Resident megabytes now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def close(self) -> None:
        """End the worker and wait for it."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()
