"""The client half of the Lambda Runtime API, version 2018-06-01.

Protocol: "Using the Lambda runtime API for custom runtimes" and "Response streaming" in the AWS Lambda developer
guide; ``Lambda-Runtime-Invocation-Id`` as awslambdaric 4.2 echoes it. ``Firstlight-Notes`` is our own header
(timings in milliseconds, warnings); other servers ignore it.
"""

from __future__ import annotations

import sys

import firstlight
from firstlight.runtime import jsons
from firstlight.runtime.http_wire import Answer, Connection, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ROOT = "/2018-06-01/runtime/"
ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
NOTES = "Firstlight-Notes"
INVOCATION = "Lambda-Runtime-Invocation-Id"
_ATTEMPT = INVOCATION.lower()
_SHORT = 16 * 1024
"""Bytes of an answer that leaves in one write with what follows it."""


class RuntimeApiError(Exception):
    """The Runtime API answered with a status from which a worker cannot go on."""

    def __init__(self, path: str, answer: Answer) -> None:
        said = answer.body[:200].decode("utf-8", "replace")
        super().__init__(f"the Runtime API answered {answer.status} to {path}: {said}")
        self.status = answer.status


class Invocation:
    """What one ``invocation/next`` brought.

    Attributes:
        request_id: names the invocation in the paths and the logs.
        payload: the event as bytes, JSON unless ``content_type`` says otherwise.
        headers: the header fields by lower-case name.
    """

    __slots__ = ("headers", "payload", "request_id")

    def __init__(self, answer: Answer) -> None:
        self.headers = answer.headers
        self.request_id = answer.headers.get("lambda-runtime-aws-request-id", "")
        self.payload = answer.body

    @property
    def deadline_ms(self) -> int:
        """When the invocation is cut off, milliseconds since the epoch; 0 when the server does not say."""
        text = self.headers.get("lambda-runtime-deadline-ms", "")
        return int(text) if text.isdecimal() else 0

    @property
    def content_type(self) -> str:
        """Media type of the event."""
        return self.headers.get("content-type", "application/json")


class RuntimeClient:
    """Asks for invocations and hands back what became of them, over one connection.

    Args:
        address: ``host:port`` or ``unix:/path``.
    """

    def __init__(self, address: str) -> None:
        self.connection = Connection(address)
        version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
        self._asked = b""
        self._unconfirmed: tuple[bytes, bytes, str] | None = None
        self._pool = address.startswith("unix:")
        host = "localhost" if self._pool else address
        self._common = f"Host: {host}\r\nUser-Agent: firstlight/{firstlight.__version__} python/{version}\r\n"

    def ask(self, notes: str = "") -> None:
        """Send the request for the next invocation without waiting for it.

        Args:
            notes: what the init took, as JSON, with the first request of a worker.
        """
        if self._unconfirmed is not None:
            return  # it went with the answer before
        self._asked = self._head("GET", "invocation/next", {NOTES: notes})
        try:
            self.connection.send(self._asked)
        except WireError:
            self.connection.close()
            self.connection.send(self._asked)

    def next(self) -> Invocation:
        """The invocation asked for; waits as long as it takes.

        Raises:
            WireError: the Runtime API has gone.
            RuntimeApiError: it refused.
        """
        if self._unconfirmed is not None:
            self._confirm(*self._unconfirmed)
        try:
            answer = self.connection.receive()
        except WireError as error:
            if not error.unanswered:
                raise
            self.connection.send(self._asked)
            answer = self.connection.receive()
        if answer.status != 200:
            raise RuntimeApiError("invocation/next", answer)
        return Invocation(answer)

    def respond_and_ask(self, invocation: Invocation, body: bytes, content_type: str, notes: str) -> bool:
        """Post an answer and ask for the next invocation in one write; whether that was done.

        It is only done towards the local pool, with an answer that it never refuses: ``next`` then reads what became
        of both. The pool says "Accepted" together with the next invocation, so that a worker wakes up once for each.
        """
        if not self._pool or len(body) > _SHORT:
            return False
        head = self._answer_head(invocation, content_type, notes, len(body))
        self._asked = self._head("GET", "invocation/next", {})
        try:
            self.connection.send(head, body, self._asked)
        except WireError:
            self.connection.close()  # whoever asked has hung up
            return False
        self._unconfirmed = head, body, notes
        return True

    def _confirm(self, head: bytes, body: bytes, notes: str) -> None:
        """Read what became of an answer that was sent with the request for the next invocation."""
        self._unconfirmed = None
        try:
            status = self.connection.receive().status
        except WireError as error:
            if not error.unanswered:
                raise
            self.connection.close()
            status = self._once(head, body).status
            self.ask(notes if status == 403 else "")
        if status >= 500:  # "Container error. Non-recoverable state. Runtime should exit promptly."
            raise RuntimeApiError("invocation/response", Answer(status, {}, b""))

    def _answer_head(self, invocation: Invocation, content_type: str, notes: str, size: int) -> bytes:
        attempt = invocation.headers.get(_ATTEMPT)
        lines = (
            f"POST {_ROOT}invocation/{invocation.request_id}/response HTTP/1.1\r\n{self._common}"
            f"Content-Type: {_line(content_type)}\r\nContent-Length: {size}\r\n{NOTES}: {_line(notes)}\r\n"
        )
        return f"{lines}{INVOCATION}: {attempt}\r\n\r\n".encode() if attempt else f"{lines}\r\n".encode()

    def respond(self, invocation: Invocation, body: bytes, content_type: str, notes: str = "") -> int:
        """Post an answer; return the status: 202, or 413 when it is larger than Lambda carries."""
        headers = {"Content-Type": content_type, NOTES: notes}
        return self._post(invocation, "response", body, headers).status

    def fail(
        self, invocation: Invocation, error: dict[str, Any], kind: str, notes: str = "", cause: str = ""
    ) -> int:
        """Post a function error; return the status.

        Args:
            error: ``errorMessage``, ``errorType``, ``stackTrace``, ``requestId``.
            kind: ``Runtime.Reason`` or ``Function.Reason``.
            cause: the error for X-Ray, as JSON.
        """
        headers = {ERROR_TYPE: kind, NOTES: notes, "Lambda-Runtime-Function-XRay-Error-Cause": cause}
        headers["Content-Type"] = "application/vnd.aws.lambda.error+json"
        return self._post(invocation, "error", jsons.dumps(error).encode(), headers).status

    def init_error(self, error: dict[str, Any], kind: str) -> None:
        """Say that no invocation can ever be answered."""
        self._report("init/error", error, kind)

    def restore_next(self) -> None:
        """Return once the snapshot taken here has been restored (SnapStart)."""
        answer = self._exchange("GET", "restore/next", {})
        if answer.status != 200:
            raise RuntimeApiError("restore/next", answer)

    def restore_error(self, error: dict[str, Any], kind: str) -> None:
        """Say that a hook failed after the snapshot was restored."""
        self._report("restore/error", error, kind)

    def open_stream(self, invocation: Invocation, content_type: str, notes: str = "") -> None:
        """Begin a streamed answer; ``send_chunk`` and ``end_stream`` follow."""
        headers = {
            "Content-Type": content_type,
            "Lambda-Runtime-Function-Response-Mode": "streaming",
            "Transfer-Encoding": "chunked",
            "Trailer": f"{ERROR_TYPE}, {ERROR_BODY}, {NOTES}",
            NOTES: notes,
            INVOCATION: invocation.headers.get(INVOCATION.lower(), ""),
        }
        self.connection.send(self._head("POST", f"invocation/{invocation.request_id}/response", headers))

    def send_chunk(self, chunk: bytes) -> None:
        """Send a piece of a streamed answer at once; empty pieces would end it and are passed over."""
        if chunk:
            self.connection.send(b"%x\r\n" % len(chunk), chunk, b"\r\n")

    def end_stream(self, trailers: dict[str, str]) -> int:
        """End a streamed answer, with what went wrong or was noted since it began; return the status."""
        self.connection.send(b"0\r\n" + _lines(trailers).encode() + b"\r\n")
        return self.connection.receive().status

    def _report(self, path: str, error: dict[str, Any], kind: str) -> None:
        headers = {ERROR_TYPE: kind, "Content-Type": "application/vnd.aws.lambda.error+json"}
        answer = self._exchange("POST", path, headers, jsons.dumps(error).encode())
        if answer.status != 202:
            raise RuntimeApiError(path, answer)

    def _post(self, invocation: Invocation, what: str, body: bytes, headers: dict[str, str]) -> Answer:
        headers[INVOCATION] = invocation.headers.get(INVOCATION.lower(), "")
        path = f"invocation/{invocation.request_id}/{what}"
        answer = self._exchange("POST", path, headers, body)
        if answer.status >= 500:  # "Container error. Non-recoverable state. Runtime should exit promptly."
            raise RuntimeApiError(path, answer)
        return answer

    def _exchange(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send a request and receive its answer, over a new connection where the kept one turns out to be closed.

        A server may drop a connection that was idle, and one that refuses a large body may answer and close before it
        has read it all. A second post of the same request id is refused by the server, not carried out twice.
        """
        if method == "POST":
            headers = {**headers, "Content-Length": str(len(body))}
        head = self._head(method, path, headers)
        kept = self.connection.is_open
        try:
            return self._once(head, body)
        except WireError as error:
            if not (kept and error.unanswered):
                raise
        self.connection.close()
        return self._once(head, body)

    def _once(self, head: bytes, body: bytes) -> Answer:
        try:
            self.connection.send(head, body)
        except WireError:
            if not self.connection.is_open:
                raise
        return self.connection.receive()

    def _head(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        return f"{method} {_ROOT}{path} HTTP/1.1\r\n{self._common}{_lines(headers)}\r\n".encode()


def _lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {_line(value)}\r\n" for name, value in headers.items() if value)


def _line(value: str) -> str:
    """A header's value; what could end it early becomes a space (a content type is the user's text)."""
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)
