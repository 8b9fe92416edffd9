"""What a call of an AWS API can come to; the adapter that made it says what that means to a user."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class CallFailed(Exception):
    """There was no answer, or one that refuses.

    Args:
        code: AWS's name for it, such as ``AccessDeniedException``; ``NoAnswer`` and ``NoCredentials`` are ours.
        message: AWS's words.
        status: of the HTTP response; 0 where there was none.
        sent: whether the request may have arrived.
        reason: more of what AWS says of a throttle.

    Attributes:
        retry_after: the ``Retry-After`` header of the response; empty where there is none.
        told: the body of the response, where it is a JSON object.
    """

    def __init__(
        self, code: str, message: str, status: int = 0, *, sent: bool = True, reason: str = ""
    ) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status
        self.sent = sent
        self.reason = reason
        self.retry_after = ""
        self.told: Mapping[str, Any] = {}
