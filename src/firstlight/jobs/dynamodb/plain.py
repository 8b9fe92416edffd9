"""The operations of DynamoDB under boto3's names, with the standard library alone (``runtime.aws`` says why).

What boto3 does for its callers is done here too: bytes travel as base64, and what may pass is tried again.
"""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from typing import Any

from firstlight.runtime.aws.calling import Api
from firstlight.runtime.aws.errors import CallFailed

_TRIES = 5
_FIRST_PAUSE_S = 0.05
_PASSING = frozenset(
    {
        "InternalServerError",
        "NoAnswer",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)


class RefusedCall(Exception):
    """DynamoDB refuses; ``response`` is as in botocore's ClientError."""

    def __init__(self, error: CallFailed) -> None:
        super().__init__(str(error))
        self.response = {
            **_received(dict(error.told)),
            "Error": {"Code": error.code, "Message": error.message},
        }


class LostCall(Exception):
    """There was no answer."""


class PlainClient:
    """What the adapter of jobs needs of a client. Any number of threads may use it.

    Args:
        api: DynamoDB.
        pause: waits for so many seconds.

    Attributes:
        errors: what its operations raise: a refusal, trouble of any other kind.
    """

    errors = (RefusedCall, LostCall)

    def __init__(self, api: Api, pause: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._pause = pause

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        target = "DynamoDB_20120810." + "".join(word.title() for word in operation.split("_"))
        return lambda **arguments: self._call(target, arguments)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()

    def _call(self, target: str, arguments: dict[str, Any]) -> dict[str, Any]:
        for turn in range(_TRIES):
            try:
                answer: dict[str, Any] = _received(self._api.call(target, _sent(arguments)))
            except CallFailed as error:
                if turn + 1 == _TRIES or (error.code not in _PASSING and error.status < 500):
                    lost = error.code in ("NoAnswer", "NoCredentials")
                    raise (LostCall(str(error)) if lost else RefusedCall(error)) from error
            else:
                return answer
            self._pause(_FIRST_PAUSE_S * 2**turn * (0.5 + random.random() / 2))  # noqa: S311 - no secret
        raise AssertionError


def _sent(value: Any) -> Any:
    """A value as JSON can carry it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _sent(found) for name, found in value.items()}
    return [_sent(found) for found in value] if isinstance(value, (list, tuple)) else value


def _received(value: Any) -> Any:
    """A value as boto3 gives it: what DynamoDB calls binary is bytes."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(found := value.get("B"), str):
            return {"B": base64.b64decode(found)}
        return {name: _received(found) for name, found in value.items()}
    return [_received(found) for found in value] if isinstance(value, list) else value
