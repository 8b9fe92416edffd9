"""The one tree of errors a user can meet.

FirstlightError                 what happened, where; ``hint`` says what to do
├── InvalidInput          400   inputs, parameters or an event the task cannot take
├── Unauthorized          401   a token is asked for and was not sent
├── Forbidden             403   the Host or Origin of a request is not allowed
├── EndpointNotFound      404   no endpoint of that name
├── Conflict              409   it exists already, or was changed meanwhile
├── PayloadTooLarge       413   more bytes than Lambda would take
├── UnsupportedMedia      415   a body that is not JSON where JSON is asked for
├── TooManyRequests       429   every worker is busy and the queue is full
├── ProjectError          500   firstlight.toml or a file it names is wrong
├── BundleError           500   a bundle is missing a file or does not match its hashes
├── EngineError           500   the library that runs the weights refused
├── HandlerError          500   a user's script cannot be loaded
├── RecordError           500   records cannot be written or read
├── JobError              500   jobs cannot be kept or read
├── ConversionError       500   a model folder cannot be turned into a bundle
├── WorkerFailed          502   a worker could not be started
├── MissingExtra          501   an optional package is not installed
└── NotSupported          501   a part of a protocol this server does not speak

Each class has a stable ``code`` slug and the HTTP ``status`` a gateway answers with.
"""

from __future__ import annotations


class FirstlightError(Exception):
    """An error that is explained to the user instead of traced.

    Args:
        message: what happened and where, one sentence without a full stop.
        hint: what to do about it; empty when there is nothing to add.
    """

    code = "error"
    status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, object]:
        """The error as the body of a Lambda function error (a user's mistake has no stack trace)."""
        return {
            "errorMessage": self.message,
            "errorType": type(self).__name__,
            "stackTrace": [],
            "code": self.code,
            "status": self.status,
            "hint": self.hint,
        }


class InvalidInput(FirstlightError):
    """Inputs, parameters or an event that the task cannot take."""

    code = "invalid-input"
    status = 400


class Unauthorized(FirstlightError):
    """A token is asked for and was not sent, or is wrong."""

    code = "unauthorized"
    status = 401


class Forbidden(FirstlightError):
    """The Host or Origin of a request is not one this server answers."""

    code = "forbidden"
    status = 403


class EndpointNotFound(FirstlightError):
    """No endpoint has the name that was asked for."""

    code = "endpoint-not-found"
    status = 404


class Conflict(FirstlightError):
    """Something of that name exists already, or was changed meanwhile."""

    code = "conflict"
    status = 409


class PayloadTooLarge(FirstlightError):
    """A request or a response has more bytes than Lambda carries."""

    code = "payload-too-large"
    status = 413


class UnsupportedMedia(FirstlightError):
    """The body is not of a media type the route takes."""

    code = "unsupported-media"
    status = 415


class TooManyRequests(FirstlightError):
    """Every worker of an endpoint is busy and its queue is full."""

    code = "too-many-requests"
    status = 429


class ProjectError(FirstlightError):
    """firstlight.toml, or a file it names, is wrong."""

    code = "project"


class BundleError(FirstlightError):
    """A bundle is missing a file, or a file does not match its size or hash."""

    code = "bundle"


class EngineError(FirstlightError):
    """The library that runs the weights refused to load or to run them."""

    code = "engine"


class HandlerError(FirstlightError):
    """A user's script cannot be loaded as a handler."""

    code = "handler"


class RecordError(FirstlightError):
    """Records cannot be written or read."""

    code = "records"


class JobError(FirstlightError):
    """Jobs cannot be kept or read."""

    code = "jobs"


class ConversionError(FirstlightError):
    """A model folder cannot be turned into a bundle."""

    code = "conversion"


class WorkerFailed(FirstlightError):
    """A worker process could not be started."""

    code = "worker-failed"
    status = 502


class MissingExtra(FirstlightError):
    """An optional package is needed and not installed."""

    code = "missing-extra"
    status = 501


class NotSupported(FirstlightError):
    """A part of a protocol that this server does not speak."""

    code = "not-supported"
    status = 501
