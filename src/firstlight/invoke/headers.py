"""What goes to a worker with an event: the headers of ``invocation/next``."""

from __future__ import annotations

from functools import lru_cache

from firstlight.invoke.types import Invocation, function_arn, new_trace_id

_arn = lru_cache(maxsize=1024)(function_arn)


def of_invocation(invocation: Invocation, wall: float, left_s: float) -> dict[bytes, str]:
    """Deadline, ARN as the caller asked for it, trace and client context.

    Args:
        wall: seconds since the epoch, now.
        left_s: seconds until the deadline.
    """
    headers = {
        b"Lambda-Runtime-Deadline-Ms": str(int((wall + left_s) * 1000)),
        b"Lambda-Runtime-Invoked-Function-Arn": _arn(invocation.endpoint, invocation.qualifier),
        b"Lambda-Runtime-Trace-Id": invocation.trace_id or new_trace_id(wall),
    }
    if invocation.client_context is not None:
        headers[b"Lambda-Runtime-Client-Context"] = invocation.client_context
    return headers
