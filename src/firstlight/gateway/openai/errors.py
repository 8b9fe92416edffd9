"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``.

Statuses and types as platform.openai.com documents them ("Error codes"); the clients map the status to their exceptions
(measured with openai 3.51: 400 BadRequestError, 401 AuthenticationError, 404 NotFoundError, 429 RateLimitError, 5xx
InternalServerError) and try 408, 409, 429 and 5xx again unless ``x-should-retry: false`` says that it is no use.
"""

from __future__ import annotations

import re
from typing import Any

from firstlight.gateway.asgi import Answer, Call, HeaderList, json_answer
from firstlight.gateway.failures import FunctionFailed
from firstlight.invoke.types import new_request_id
from firstlight.runtime.errors import EndpointNotFound, FirstlightError, InvalidInput

_INVALID = "invalid_request_error"
_KINDS: dict[int, tuple[str, str | None]] = {
    400: (_INVALID, None),
    401: (_INVALID, "invalid_api_key"),
    403: ("permission_error", None),
    404: (_INVALID, None),
    405: (_INVALID, "method_not_allowed"),
    409: (_INVALID, "conflict"),
    413: (_INVALID, "request_too_large"),
    415: (_INVALID, "unsupported_media_type"),
    429: ("requests", "rate_limit_exceeded"),
    501: (_INVALID, "not_supported"),
    504: ("server_error", "timeout"),
}
"""Status -> type and code; every other one is a ``server_error``."""

_PARAMETERS = {
    "max_new_tokens": "max_tokens",
    "min_new_tokens": "min_tokens",
    "top_n_tokens": "top_logprobs",
    "grammar": "response_format",
    "truncate": "truncate_prompt_tokens",
}
"""The task's names for what OpenAI names otherwise."""

_QUOTED = re.compile(rf"'({'|'.join(_PARAMETERS)})'")

_NAMED = re.compile(r"parameter '(\w+)'")
_TOO_LONG = re.compile(r"(?:prompt|text) has \d+ tokens")
_OF_FORMAT = re.compile(r"the (?:JSON schema|regular expression|grammar)\b")
_INPUTS = {"chat/completions": "messages", "completions": "prompt", "embeddings": "input"}
"""Route -> the field with what the model reads."""


class WrongField(InvalidInput):
    """A field of the request that cannot be taken.

    Args:
        param: its name, as ``messages[0].content``; None where it is the whole.
    """

    def __init__(self, message: str, hint: str = "", *, param: str | None, code: str | None = None) -> None:
        super().__init__(message, hint)
        self.param = param
        self.openai_code = code


class UnknownModel(EndpointNotFound):
    """The request names a model that this server does not have, or that does something else."""

    param = "model"

    def __init__(self, message: str, hint: str = "", code: str = "model_not_found") -> None:
        super().__init__(message, hint)
        self.openai_code = code


class NotAllowed(FirstlightError):
    """The path exists with another method."""

    code = "method-not-allowed"
    status = 405


def error_object(error: FirstlightError, path: str = "") -> dict[str, Any]:
    """The ``error`` of an error.

    Args:
        path: of the request, for the name of the field with what the model reads.
    """
    kind, code = _KINDS.get(error.status, ("server_error", None))
    param, code = getattr(error, "param", None), getattr(error, "openai_code", code)
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, FunctionFailed) and error.status == 400:
        param, code = _of_task(error.message, path)
        message = _QUOTED.sub(lambda found: f"'{_PARAMETERS[found[1]]}'", message)
    elif isinstance(error, FunctionFailed) and code is None:
        code = error.kind
    return {"message": message, "type": kind, "param": param, "code": code}


def _of_task(message: str, path: str) -> tuple[str | None, str | None]:
    """Field and code of what a task refuses."""
    named = _NAMED.search(message)
    if _TOO_LONG.search(message):
        return _INPUTS.get(path.partition("/v1/")[2]), "context_length_exceeded"
    if _OF_FORMAT.match(message):
        return "response_format", "invalid_value"
    return (_PARAMETERS.get(named[1], named[1]), "invalid_value") if named else (None, None)


def explain(error: FirstlightError, call: Call) -> Answer:
    """An error as a response."""
    request_id = getattr(error, "request_id", "") or new_request_id()
    headers: HeaderList = [(b"x-request-id", request_id.encode())]
    if error.status == 429:
        headers.append((b"retry-after", b"%d" % getattr(error, "retry_after", 1)))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status in (409, 501) or (isinstance(error, FunctionFailed) and error.status >= 500):
        # It would fail again, a model after as long; clients would ask twice more on their own.
        headers.append((b"x-should-retry", b"false"))
    return json_answer({"error": error_object(error, call.scope["path"])}, error.status, headers)
