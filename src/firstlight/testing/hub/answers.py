"""What is sent back: status, headers, bytes or part of a file; and the refusals the hub has codes for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class Answer:
    """An answer.

    Attributes:
        status, headers: without Content-Length, which follows from the rest.
        body: what is sent, where it is not from a file.
        place: the file whose bytes are sent.
        start, length: which bytes of it.
        content: whether they are a repository file's, whoever asked for them.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    place: Path | None = None
    start: int = 0
    length: int = 0
    content: bool = False


class Refused(Exception):
    """A request is not answered as it was meant; ``answer`` says so as the hub does."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        said = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = as_json({"error": message}, status, said)


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON as an answer."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, kind | dict(headers or {}), json.dumps(content).encode())


def no_repository(token: str) -> Refused:
    """A repository that is not there, or is not shown to this user."""
    if token:
        return Refused(404, "Repository not found", "RepoNotFound")
    return Refused(401, "Invalid username or password.", "RepoNotFound")


def no_access(name: str, token: str) -> Refused:
    """A gated repository whose files this user may not read."""
    if token:
        message = f"Access to model {name} is restricted and you are not in the authorized list."
        return Refused(403, f"{message} Visit the page of {name} to ask for access.", "GatedRepo")
    message = f"Access to model {name} is restricted. You must have access to it and be authenticated."
    return Refused(401, message, "GatedRepo")


def of_file(place: Path, size: int, headers: dict[str, str], wanted: str, unless: str) -> Answer:
    """A file's content, or the part of it that a Range header asks for (RFC 9110, 14 and 13.1.2).

    Args:
        place: where its bytes are.
        size: how many there are.
        headers: its own, with its ETag.
        wanted: the Range header.
        unless: the If-None-Match header.
    """
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"} | headers
    if unless and headers.get("ETag", "-") in unless:
        return Answer(304, headers)
    found = _RANGE.fullmatch(wanted.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return Answer(200, headers, place=place, length=size, content=True)
    start = int(found[1]) if found[1] else max(0, size - int(found[2]))
    end = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if start > end:
        return Answer(416, headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Answer(206, headers, place=place, start=start, length=end - start + 1, content=True)
