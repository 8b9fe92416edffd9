"""How the verbs reach a running server: where it is, and one Invoke call on stdlib HTTP."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from firstlight.runtime.errors import FirstlightError, Unauthorized

DEFAULT_URL = "http://127.0.0.1:8400"
NOTE = "server.json"
"""File in a project's data folder in which a running server says where it is."""


_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. The token is a secret and not part of the repr."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def find(cls, url: str | None, token: str | None, data_dir: Path, env: Mapping[str, str]) -> Server:
        """Flag, then FIRSTLIGHT_URL and FIRSTLIGHT_TOKEN, then what the project's server noted, then the default.

        A noted token goes only to the server that noted it.
        """
        token = token or env.get("FIRSTLIGHT_TOKEN")
        if chosen := url or env.get("FIRSTLIGHT_URL"):
            return cls(chosen.rstrip("/"), token)
        note = noted(data_dir)
        return cls(note.get("url", DEFAULT_URL), token or note.get("token"))

    @property
    def credentials(self) -> dict[str, str]:
        """The header that lets a request in; none where the server has no token."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def noted(data_dir: Path) -> dict[str, Any]:
    """``url``, ``pid`` and ``token`` a server noted; nothing when it was killed and could not take its note back."""
    try:
        note = json.loads((data_dir / NOTE).read_text(encoding="utf-8"))
        os.kill(int(note["pid"]), 0)
    except PermissionError:
        pass  # it runs, as another user
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return {}
    kinds = {"url": str, "token": str, "pid": int}
    return {key: note[key] for key, kind in kinds.items() if isinstance(note.get(key), kind)}


def asked(
    server: Server, method: str, path: str, document: Mapping[str, Any] | None, timeout: float
) -> dict[str, Any]:
    """What the server's Lambda API says to one request; empty where it has nothing to say.

    Args:
        path: with the query.
        document: the body of the request, as JSON.
        timeout: seconds without a byte from the server after which to give up.

    Raises:
        FirstlightError: no server there, or it refused.
    """
    headers = {**_JSON, **server.credentials}
    body = b"" if document is None else json.dumps(document).encode()
    with sent(server.url, path, body, headers, timeout, method) as response:
        answer = response.read()
        if response.status >= 300:
            raise refusal(server, response.status, answer)
    return dict(json.loads(answer)) if answer else {}


def answer_of(
    server: Server, name: str, event: bytes, *, tail: bool, timeout: float, qualifier: str | None = None
) -> dict[str, Any]:
    """One RequestResponse invocation.

    Args:
        event: JSON.
        qualifier: a version or an alias.
        tail: whether to ask for the end of the log.
        timeout: seconds without a byte from the server after which to give up.

    Returns:
        ``statusCode``, ``requestId``, ``functionError``, ``executedVersion``, ``log`` (text), ``payload`` (bytes).

    Raises:
        FirstlightError: no server there, or it refused the invocation.
    """
    asked = {"X-Amz-Log-Type": "Tail"} if tail else {}
    found, body = _invoked(server, name, event, asked, timeout, qualifier, expected=200)
    log = base64.b64decode(found.get("x-amz-log-result", "")).decode("utf-8", "replace")
    return {
        "statusCode": 200,
        "requestId": found.get("x-amzn-requestid"),
        "functionError": found.get("x-amz-function-error"),
        "executedVersion": found.get("x-amz-executed-version"),
        "log": log,
        "payload": body,
    }


def stream_of(
    server: Server, name: str, event: bytes, timeout: float, qualifier: str | None = None
) -> Iterator[bytes]:
    """The answer of one invocation in pieces, each when it arrives (InvokeWithResponseStream).

    Args:
        event: JSON.
        qualifier: a version or an alias.
        timeout: seconds without a byte from the server after which to give up.

    Raises:
        FunctionFailed: the function raised an error, perhaps after some pieces.
        FirstlightError: no server there, it refused the invocation, or the stream broke off.
    """
    from firstlight.gateway.lambda_api.eventstream import messages

    headers = {**_JSON, **server.credentials}
    path = f"/2021-11-15/functions/{quote(name, safe='')}/response-streaming-invocations{_query(qualifier)}"
    with sent(server.url, path, event, headers, timeout) as response:
        if response.status != 200:
            raise refusal(server, response.status, response.read())
        try:
            for about, payload in messages(response.read):
                if about.get(":event-type") == "PayloadChunk":
                    yield payload
                elif about.get(":event-type") == "InvokeComplete":
                    _complete(payload)
                    return
        except ValueError as error:
            raise FirstlightError(f"the answer broke off: {error}", "see the server's log") from error
    raise FirstlightError("the answer broke off", "see the server's log")


def handed_in(server: Server, name: str, event: bytes, timeout: float, qualifier: str | None = None) -> str:
    """Hand in an Event invocation; its request id, by which the job is found.

    Args:
        event: JSON.
        timeout: seconds without a byte from the server after which to give up.
        qualifier: a version or an alias.

    Raises:
        FirstlightError: no server there, or it refused the invocation.
    """
    asked = {"X-Amz-Invocation-Type": "Event"}
    found, _ = _invoked(server, name, event, asked, timeout, qualifier, expected=202)
    return found["x-amzn-requestid"]


def _invoked(
    server: Server,
    name: str,
    event: bytes,
    asked: dict[str, str],
    timeout: float,
    qualifier: str | None,
    expected: int,
) -> tuple[dict[str, str], bytes]:
    """Headers (lower case) and body of the answer to an Invoke that asks for more by headers of its own."""
    path = f"/2015-03-31/functions/{quote(name, safe='')}/invocations{_query(qualifier)}"
    status, found, body = _post(server.url, path, event, {**_JSON, **server.credentials, **asked}, timeout)
    if status != expected:
        raise refusal(server, status, body)
    return found, body


class Unreached(FirstlightError):
    """There is no server, it said nothing for too long, or the connection was lost."""


class FunctionFailed(FirstlightError):
    """A function raised an error while its answer was on its way.

    Args:
        payload: the error as Lambda has it: ``errorType``, ``errorMessage``, ``stackTrace``.
    """

    def __init__(self, payload: Any) -> None:
        super().__init__("the function failed")
        self.payload = payload


def _complete(payload: bytes) -> None:
    end = json.loads(payload)
    if end.get("ErrorCode"):
        details = end.get("ErrorDetails") or ""
        try:
            raise FunctionFailed(json.loads(details))
        except ValueError:
            raise FunctionFailed({"errorMessage": details}) from None


def _query(qualifier: str | None) -> str:
    return "" if qualifier is None else f"?Qualifier={quote(qualifier, safe='')}"


def _post(
    url: str, path: str, body: bytes, headers: dict[str, str], timeout: float
) -> tuple[int, dict[str, str], bytes]:
    with sent(url, path, body, headers, timeout) as response:
        found = {key.lower(): value for key, value in response.getheaders()}
        return response.status, found, response.read()


@contextlib.contextmanager
def sent(
    url: str, path: str, body: bytes, headers: dict[str, str], timeout: float, method: str = "POST"
) -> Iterator[http.client.HTTPResponse]:
    """The response to one request; what goes wrong while it is read is explained too."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FirstlightError(f"{url!r} is not the URL of a server", f"for example --url {DEFAULT_URL}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout)
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            yield connection.getresponse()
        finally:
            connection.close()
    except TimeoutError as error:
        raise Unreached(f"{url} gave no answer within {timeout:g} s", "raise --timeout") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        hint = "start one with `firstlight serve`, or use `firstlight run`, which needs none"
        raise Unreached(f"no server answers at {url} ({error})", hint) from error


def refusal(server: Server, status: int, body: bytes) -> FirstlightError:
    """What a service error means, in the server's own words."""
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or said.get("Message") or said.get("error") or f"HTTP status {status}")
    if status in (401, 403) and not server.token:
        return Unauthorized(message, "give the server's token with --token or FIRSTLIGHT_TOKEN")
    hint = str(said.get("hint") or "")
    if status in (401, 403) and "token" in message:
        hint = "the token that was given is not this server's; `firstlight serve` prints it"
    if status == 404 and not hint:
        hint = "`firstlight list` shows the endpoints of the project here"
    return FirstlightError(message, hint)
