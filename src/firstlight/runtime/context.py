"""The ``context`` a handler is called with: the fields and the method Lambda's Python runtime gives it.

Source: "Using the Lambda context object to retrieve Python function information", AWS Lambda developer guide.
"""

from __future__ import annotations

import sys
from time import time

from firstlight.runtime import jsons
from firstlight.runtime.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_TRACE_FIELDS = ("traceparent", "tracestate", "baggage")


class _Fields:
    """An object with fixed fields; those that were not sent are None."""

    fields: tuple[str, ...] = ()

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name in self.fields:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({shown})"


class Client(_Fields):
    """The app that invoked the function through the AWS Mobile SDK."""

    fields = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Fields):
    """What the caller sent in ``X-Amz-Client-Context``: ``client``, ``custom`` and ``env``."""

    fields = ("custom", "env", "client")
    client: Any

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        if isinstance(self.client, dict):
            self.client = Client(self.client)


class CognitoIdentity(_Fields):
    """The Amazon Cognito identity that authorised the request."""

    fields = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")


class LambdaContext:
    """One invocation, as its handler sees it.

    Args:
        headers: of the Runtime API's answer, by lower-case name.
        env: the worker's environment variables.

    Raises:
        Fault: the client context or the identity is not a JSON object (``Runtime.LambdaContextUnmarshalError``).
    """

    def __init__(self, headers: Mapping[str, str], env: Mapping[str, str]) -> None:
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id", "")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        deadline = headers.get("lambda-runtime-deadline-ms", "")
        self._deadline_ms = int(deadline) if deadline.isdecimal() else 0
        client = _parsed(headers.get("lambda-runtime-client-context"), "Client Context")
        traces = client.pop("w3c", None) if client else None
        sent = traces.items() if isinstance(traces, dict) else ()
        self._traces = {name: text for name, text in sent if name in _TRACE_FIELDS and isinstance(text, str)}
        self.client_context = None if client is None else ClientContext(client)
        identity = _parsed(headers.get("lambda-runtime-cognito-identity"), "Cognito Identity")
        self.identity = CognitoIdentity(identity or {})

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is cut off; 0 when it should have been."""
        return max(self._deadline_ms - int(time() * 1000), 0)

    def w3c(self) -> dict[str, str]:
        """The W3C trace context the caller sent, where it did."""
        return dict(self._traces)

    def log(self, message: object) -> None:
        """Write to the log as it stands, without a line end."""
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_")
        )
        return f"LambdaContext({shown})"


def _parsed(text: str | None, what: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        value = jsons.loads(text)
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {what} JSON: {error}") from None
    if not isinstance(value, dict):
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {what} JSON: not an object")
    return value
