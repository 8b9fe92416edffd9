"""The library's HTTP: its session, headers and errors, with patience for connections that fail.

Version 0.x of the library brings a session of ``requests``, later ones bring one of ``httpx``; both are met here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from threading import Event
from typing import Any, TypeVar
from urllib.parse import urlsplit

from firstlight.build.hub.settings import Settings
from firstlight.runtime.errors import MissingExtra

Result = TypeVar("Result")

FIRST_DELAY_S = 0.5
"""Before the second attempt; each further one waits twice as long."""

_LONGEST_DELAY_S, _LONGEST_ASKED_S = 8.0, 60.0
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_LIBRARIES = ("httpx2", "httpx", "httpcore", "requests", "urllib3")
_PIECE = 64 << 10


class Stopped(Exception):
    """The work was given up elsewhere."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file as it comes in.

    Attributes:
        start: the place of the first byte in the file.
        total: bytes of the whole file, where the answer says it.
        etag: what the hub says the content is: its SHA-256 or its git id; None where it says neither.
        pieces: the bytes.
    """

    start: int
    total: int | None
    etag: str | None
    pieces: Iterator[bytes]


def library() -> Any:
    """``huggingface_hub``.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtra("huggingface_hub is not installed", "pip install huggingface_hub") from error
    return huggingface_hub


def api(settings: Settings) -> Any:
    """The library's access to the hub's API."""
    from firstlight import __version__

    return library().HfApi(endpoint=settings.endpoint, library_name="firstlight", library_version=__version__)


def is_passing(error: BaseException) -> bool:
    """Whether an error may be gone at the next attempt: a connection that failed, a hub that is busy or in trouble."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in _BUSY
    if isinstance(error, ValueError):  # an answer or an address that makes no sense
        return False
    return type(error).__module__.partition(".")[0] in _LIBRARIES


def is_nonsense(error: BaseException) -> bool:
    """Whether an error comes from an answer that is not a hub's."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if isinstance(error, (HfHubHTTPError, HFValidationError)):
        return False
    return isinstance(error, (ValueError, LookupError, TypeError, AttributeError))


def delay_s(attempt: int, error: BaseException) -> float:
    """How long to wait after the given attempt (0 is the first), or as long as the hub asks for."""
    asked = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    if str(asked).isdigit():
        return min(float(asked), _LONGEST_ASKED_S)
    return float(min(FIRST_DELAY_S * 2**attempt, _LONGEST_DELAY_S))


def patiently(call: Callable[[], Result], attempts: int) -> Result:
    """What a call returns, tried again where an error may pass; the last error is raised."""
    for attempt in range(attempts):
        try:
            return call()
        except Exception as error:
            if attempt + 1 == attempts or not is_passing(error):
                raise
            Event().wait(delay_s(attempt, error))
    raise AssertionError("no attempts")


@contextmanager
def content(url: str, start: int, settings: Settings) -> Iterator[Content]:
    """The content of a file from a byte on; redirects are followed, and a token stays with the hub it is for.

    Args:
        url: of ``/{repository}/resolve/{revision}/{path}``.
        start: bytes that are there already.
    """
    from firstlight import __version__

    utilities: Any = import_module("huggingface_hub.utils")
    headers = utilities.build_hf_headers(library_name="firstlight", library_version=__version__)
    headers["Accept-Encoding"] = "identity"
    if start:
        headers["Range"] = f"bytes={start}-"
    with _streamed(utilities.get_session(), url, headers, settings.timeout_s) as response:
        if response.status_code == 416:  # there is less of it than is here
            yield Content(-1, None, None, iter(()))
            return
        utilities.hf_raise_for_status(response)
        yield Content(*_extent(response), _etag([*response.history, response]), _pieces(response))


@contextmanager
def _streamed(session: Any, url: str, headers: dict[str, str], timeout_s: float) -> Iterator[Any]:
    if callable(getattr(session, "stream", None)):
        with session.stream(
            "GET", url, headers=headers, timeout=timeout_s, follow_redirects=True
        ) as response:
            yield response
    else:
        with session.get(url, headers=headers, timeout=timeout_s, stream=True) as response:
            yield response


def _pieces(response: Any) -> Iterator[bytes]:
    """As they arrive: what waits in a larger buffer would be lost with the process."""
    if hasattr(response, "iter_raw"):
        return iter(response.iter_raw())
    if hasattr(response.raw, "read1"):
        return iter(lambda: response.raw.read1(_PIECE), b"")
    return iter(response.iter_content(_PIECE))


def _extent(response: Any) -> tuple[int, int | None]:
    """Where an answer begins and how long the whole file is (RFC 9110, 14.4)."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code == 206 and found:
        return int(found[1]), int(found[2]) if found[2] != "*" else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _etag(answers: list[Any]) -> str | None:
    """What the hub itself says of the content: its last word before another host takes over.

    A repository that was renamed, and some small files, are redirected within the hub first.
    """
    hosts = [urlsplit(str(answer.url)).netloc for answer in answers]
    own = [answer.headers for answer, host in zip(answers, hosts, strict=True) if host == hosts[0]]
    linked = [headers["X-Linked-Etag"] for headers in own if "X-Linked-Etag" in headers]
    said = str(linked[-1] if linked else own[-1].get("ETag", "")).removeprefix("W/").strip('"')
    return said if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", said) else None
