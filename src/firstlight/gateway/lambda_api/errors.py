"""Every exception of AWS Lambda's API: its status, who is to blame, and the key its text stands under.

Statuses and members are those of the published model (botocore's ``service-2.json``). Where answers recorded from AWS
say otherwise, they are followed: a member that breaks a constraint is a ``ValidationException`` and a payload over the
limit is a ``RequestEntityTooLargeException``, neither of which the model has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from firstlight.gateway.asgi import Answer, BodyTooLarge, Call, HeaderList, json_answer
from firstlight.invoke.types import new_request_id
from firstlight.runtime.errors import FirstlightError, InvalidInput

SERVICE_FAULT = "ServiceException"


@dataclass(frozen=True, slots=True)
class Shape:
    """How an exception is answered.

    Args:
        key: member that holds the text.
        blamed: value of ``Type``; empty where the answer has none.
    """

    status: int
    key: str = "message"
    blamed: str = "User"


def _shapes(status: int, key: str, blamed: str, *names: str) -> dict[str, Shape]:
    return {f"{name}Exception": Shape(status, key, blamed) for name in names}


EXCEPTIONS: dict[str, Shape] = {
    **_shapes(
        400,
        "message",
        "User",
        "InvalidRequestContent",
        "InvalidParameterValue",
        "ModeNotSupported",
        "AliasLimitExceeded",
        "CodeStorageExceeded",
        "PolicyLengthExceeded",
    ),
    **_shapes(400, "Message", "User", "SnapStart", "RecursiveInvocation", "NoPublishedVersion"),
    **_shapes(400, "Message", "User", "ResourceInUse"),
    **_shapes(400, "message", "", "Validation"),
    **_shapes(400, "Message", "User", "Serialization"),
    **_shapes(402, "Message", "User", "ServiceQuotaExceeded"),
    **_shapes(403, "Message", "", "AccessDenied"),
    **_shapes(403, "message", "", "UnrecognizedClient"),
    **_shapes(403, "Message", "User", "EFSMountFailure", "S3FilesMountFailure"),
    **_shapes(404, "Message", "User", "ResourceNotFound", "CodeSigningConfigNotFound"),
    **_shapes(404, "message", "User", "ProvisionedConcurrencyConfigNotFound"),
    **_shapes(408, "Message", "User", "SnapStartTimeout", "EFSMountTimeout", "EFSMountConnectivity"),
    **_shapes(408, "Message", "User", "S3FilesMountTimeout", "S3FilesMountConnectivity"),
    **_shapes(409, "message", "User", "ResourceConflict", "RuntimeAliasDeleted", "RuntimeVersionDeleted"),
    **_shapes(
        409, "message", "User", "CodeArtifactUserPending", "CodeArtifactUserFailed", "CodeArtifactUserDeleted"
    ),
    **_shapes(409, "Message", "User", "SnapStartNotReady", "SnapStartRegenerationFailure"),
    **_shapes(409, "Message", "User", "DurableExecutionAlreadyStarted"),
    **_shapes(410, "Message", "User", "EFSIO"),
    **_shapes(412, "message", "User", "PreconditionFailed"),
    **_shapes(
        413,
        "message",
        "User",
        "RequestEntityTooLarge",
        "RequestTooLarge",
        "SerializedRequestEntityTooLarge",
    ),
    **_shapes(415, "message", "User", "UnsupportedMediaType"),
    **_shapes(429, "message", "User", "TooManyRequests"),
    **_shapes(500, "Message", "Service", "Service"),
    **_shapes(502, "message", "Service", "ResourceNotReady"),
    **_shapes(502, "Message", "Service", "EC2AccessDenied", "EC2Throttled", "EC2Unexpected"),
    **_shapes(502, "Message", "Service", "ENILimitReached", "ENINotReady", "SubnetIPAddressLimitReached"),
    **_shapes(502, "Message", "Service", "InvalidSubnetID", "InvalidSecurityGroupID"),
    **_shapes(502, "Message", "Service", "KMSAccessDenied", "KMSDisabled", "KMSInvalidState", "KMSNotFound"),
    **_shapes(502, "Message", "Service", "InvalidZipFile", "InvalidRuntime"),
}

_BY_CODE = {
    "invalid-input": "InvalidParameterValueException",
    "unauthorized": "UnrecognizedClientException",
    "forbidden": "AccessDeniedException",
    "endpoint-not-found": "ResourceNotFoundException",
    "conflict": "ResourceConflictException",
    "outdated": "PreconditionFailedException",
    "payload-too-large": "RequestEntityTooLargeException",
    "unsupported-media": "UnsupportedMediaTypeException",
    "too-many-requests": "TooManyRequestsException",
    "recursive-invocation": "RecursiveInvocationException",
    "worker-failed": "ResourceNotReadyException",
    "snap-start": "SnapStartException",
    "bundle": "InvalidZipFileException",
    "method_not_allowed": "ServiceException",
}
"""What goes wrong here -> what it is called on Lambda; all else is a fault of the service."""


class LambdaError(FirstlightError):
    """An error that has a name on AWS Lambda.

    Args:
        name: one of ``EXCEPTIONS``.
    """

    code = "lambda"

    def __init__(self, name: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.name = name
        self.status = EXCEPTIONS[name].status


class InvalidRequestContent(InvalidInput):
    """The body or the client context is not what it has to be."""

    code = "invalid-request-content"


class Violation(InvalidInput):
    """Members of a request break a constraint of the model.

    Args:
        found: one sentence for each: "Value 'x' at 'member' failed to satisfy constraint: ...".
    """

    code = "violation"

    def __init__(self, *found: str) -> None:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        super().__init__(f"{count}: {'; '.join(found)}")


_BY_CODE["invalid-request-content"] = "InvalidRequestContentException"
_BY_CODE["violation"] = "ValidationException"


def violated(value: object, member: str, constraint: str) -> str:
    """The sentence for one member."""
    return f"Value '{str(value)[:1000]}' at '{member}' failed to satisfy constraint: {constraint}"


def enum_violated(value: object, member: str, values: str) -> Violation:
    """A member that is none of the values it may have.

    Args:
        values: in the order in which AWS lists them, "[a, b]".
    """
    return Violation(violated(value, member, f"Member must satisfy enum value set: {values}"))


def named(error: FirstlightError) -> str:
    """What an error is called on AWS Lambda."""
    if isinstance(error, LambdaError):
        return error.name
    return _BY_CODE.get(error.code, SERVICE_FAULT)


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error in AWS's shape: ``x-amzn-ErrorType`` and a JSON body."""
    name = named(error)
    shape = EXCEPTIONS[name]
    status = error.status if name == SERVICE_FAULT else shape.status
    body: dict[str, Any] = {"Type": shape.blamed} if shape.blamed else {}
    headers: HeaderList = []
    if status == 429:
        body["Reason"] = getattr(error, "reason", "ConcurrentInvocationLimitExceeded")
        headers = [(b"retry-after", b"%d" % getattr(error, "retry_after", 1))]
    body[shape.key] = _text(name, error, call)
    if status == 404 and error.hint:
        body["Hint"] = error.hint
    return json_answer(body, status, [(b"x-amzn-errortype", name.encode()), request_id(), *headers])


def request_id(known: str | None = None) -> tuple[bytes, bytes]:
    """The header every answer of an AWS service has."""
    return b"x-amzn-requestid", (known or new_request_id()).encode()


def _text(name: str, error: FirstlightError, call: Call) -> str:
    if isinstance(error, BodyTooLarge):
        kind = call.header(b"x-amz-invocation-type", "RequestResponse")
        if call.scope["path"].endswith("/invoke-async"):
            kind = "Event"
        return f"{error.size} byte payload is too large for the {kind} invocation type (limit {error.limit} bytes)"
    if name == "TooManyRequestsException":
        return "Rate Exceeded."
    if name == SERVICE_FAULT and error.hint:
        return f"{error.message}; {error.hint}"
    return error.message
