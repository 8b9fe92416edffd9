"""What a front says instead of an answer of the function; each front has its own words."""

from __future__ import annotations

from firstlight.gateway.asgi import JSON_TYPE, Answer, HeaderList, dump_json


class Refusal(Exception):
    """An answer that the function did not give.

    Args:
        body: as it is sent.
        kind: value of ``x-amzn-ErrorType``; empty for none.
        headers: besides these, in place of ``content-type: application/json`` where they name another.
    """

    def __init__(self, status: int, body: bytes, kind: str = "", headers: HeaderList | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.kind = kind
        self.headers = headers or []

    def answer(self) -> Answer:
        """As an HTTP response."""
        headers = list(self.headers)
        if not any(name == b"content-type" for name, _ in headers):
            headers.append(JSON_TYPE)
        if self.kind:
            headers.append((b"x-amzn-errortype", self.kind.encode("ascii")))
        return Answer(self.status, self.body, headers)


def message(status: int, text: str, kind: str = "", key: str = "message") -> Refusal:
    """``{"message": text}``, as most of AWS writes it."""
    return Refusal(status, dump_json({key: text}), kind)
