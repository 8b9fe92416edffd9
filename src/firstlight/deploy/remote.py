"""Invocations of what is deployed, by Lambda's own API: answers at once, in pieces, or left to Lambda's queue."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from firstlight.deploy.aws.errors import AwsError, explained
from firstlight.deploy.aws.session import Session
from firstlight.project.names import LIVE, Names
from firstlight.runtime.errors import EndpointNotFound, FirstlightError

_WAKING = {
    "CodeArtifactUserPendingException",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "SnapStartNotReadyException",
}
"""What Lambda says where a function is not ready yet: images that nobody asked for in weeks are prepared again."""
_LONGEST_WAIT_S = 120.0
_BETWEEN_S = 2.0

Answer = TypeVar("Answer")


class FunctionFailed(FirstlightError):
    """A function raised an error while its answer was on its way.

    Args:
        payload: the error as Lambda has it: ``errorType``, ``errorMessage``, ``stackTrace``.
    """

    def __init__(self, payload: Any) -> None:
        super().__init__("the function failed")
        self.payload = payload


class Caller:
    """Calls the functions of one project and stage.

    Args:
        timeout: seconds to wait for an answer. An invocation is never sent twice once it was taken.
        waiting: told once, in a sentence, when Lambda has to prepare a function first.
        clock: seconds; for tests.
        pause: waits so many seconds; for tests.
    """

    def __init__(
        self,
        session: Session,
        names: Names,
        timeout: float,
        *,
        waiting: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session, self._names = session, names
        self._client = session.client("lambda", patience=timeout)
        self._waiting, self._clock, self._pause = waiting, clock, pause

    def answer(self, endpoint: str, event: bytes, *, tail: bool, qualifier: str | None) -> dict[str, Any]:
        """One invocation that is waited for (``Invoke``, RequestResponse).

        Args:
            event: JSON.
            tail: whether to ask for the end of the log.
            qualifier: a version or an alias; None for ``live``.

        Returns:
            ``statusCode``, ``requestId``, ``functionError``, ``executedVersion``, ``log`` (text), ``payload`` (bytes).

        Raises:
            EndpointNotFound: there is no such function, or no such version of it.
            AwsError: AWS refused, or was not reached.
        """
        wanted = {"LogType": "Tail"} if tail else {}
        found = self._asked(endpoint, self._client.invoke, event, qualifier, **wanted)
        with explained("lambda:Invoke", self._session.region):
            payload = found["Payload"].read()
        return {
            "statusCode": found["StatusCode"],
            "requestId": found["ResponseMetadata"].get("RequestId"),
            "functionError": found.get("FunctionError"),
            "executedVersion": found.get("ExecutedVersion"),
            "log": base64.b64decode(found.get("LogResult", "")).decode("utf-8", "replace"),
            "payload": payload,
        }

    def pieces(self, endpoint: str, event: bytes, *, qualifier: str | None) -> Iterator[bytes]:
        """The answer of one invocation in pieces, each when it arrives (``InvokeWithResponseStream``).

        Raises:
            FunctionFailed: the function raised an error, perhaps after some pieces.
            EndpointNotFound: there is no such function, or no such version of it.
            AwsError: AWS refused, or the connection was lost.
        """
        found = self._asked(endpoint, self._client.invoke_with_response_stream, event, qualifier)
        with explained("lambda:InvokeWithResponseStream", self._session.region):
            for part in found["EventStream"]:
                if "PayloadChunk" in part:
                    yield part["PayloadChunk"].get("Payload", b"")
                elif part.get("InvokeComplete", {}).get("ErrorCode"):
                    raise FunctionFailed(_raised(part["InvokeComplete"]))

    def hand_in(self, endpoint: str, event: bytes, *, qualifier: str | None) -> str:
        """Leave an event to Lambda's queue (``Invoke``, Event); the request id, by which the log names it.

        Raises:
            EndpointNotFound: there is no such function, or no such version of it.
            AwsError: AWS refused, or was not reached.
        """
        found = self._asked(endpoint, self._client.invoke, event, qualifier, InvocationType="Event")
        return str(found["ResponseMetadata"].get("RequestId", ""))

    def _asked(
        self,
        endpoint: str,
        call: Callable[..., dict[str, Any]],
        event: bytes,
        qualifier: str | None,
        **more: str,
    ) -> dict[str, Any]:
        function = self._names.function(endpoint)

        def once() -> dict[str, Any]:
            return call(FunctionName=function, Qualifier=qualifier or LIVE, Payload=event, **more)

        try:
            return self._awake(endpoint, once)
        except AwsError as error:
            if error.reason == "ResourceNotFoundException":
                raise self._unknown(endpoint, qualifier) from error
            raise

    def _awake(self, endpoint: str, once: Callable[[], Answer]) -> Answer:
        """The answer, also of a function that Lambda has to prepare again; what it refused like that never ran."""
        until = self._clock() + _LONGEST_WAIT_S
        told = False
        while True:
            try:
                return once()
            except AwsError as error:
                if error.reason not in _WAKING or self._clock() >= until:
                    raise
            if not told:
                self._waiting(
                    f"Lambda prepares {endpoint!r}, which takes up to two minutes after a long rest"
                )
                told = True
            self._pause(_BETWEEN_S)

    def _unknown(self, endpoint: str, qualifier: str | None) -> EndpointNotFound:
        where = f"{self._names.stack} in {self._session.region}"
        if qualifier is not None:
            return EndpointNotFound(
                f"{where} has no version or alias {qualifier!r} of endpoint {endpoint!r}",
                "`firstlight status` shows what is deployed",
            )
        return EndpointNotFound(
            f"{where} has no endpoint {endpoint!r}",
            "`firstlight status` shows what is deployed, `firstlight deploy` deploys the project",
        )


def _raised(end: dict[str, Any]) -> Any:
    """What a function raised in the middle of a stream: JSON in ``ErrorDetails``, or text."""
    details = end.get("ErrorDetails") or ""
    try:
        return json.loads(details)
    except ValueError:
        return {"errorType": end["ErrorCode"], "errorMessage": details}
