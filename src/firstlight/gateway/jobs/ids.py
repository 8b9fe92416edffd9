"""The names of jobs: what a client may choose, and what a key that is no name becomes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from firstlight.invoke.types import new_request_id
from firstlight.jobs.types import Request, Webhook
from firstlight.runtime.errors import InvalidInput

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}")
KEY_LIMIT = 1024
"""Characters of an ``Idempotency-Key``."""


def checked(job_id: str) -> str:
    """An id that a client chose.

    Raises:
        InvalidInput: it is none.
    """
    if not _ID.fullmatch(job_id):
        raise InvalidInput(
            f"{job_id[:140]!r} cannot be the id of a job",
            "use 1 to 128 letters, digits and -_.~, of which a letter or digit comes first",
        )
    return job_id


def known(job_id: str) -> bool:
    """Whether a job can have this id."""
    return _ID.fullmatch(job_id) is not None


def of_key(key: str) -> str:
    """The id that an ``Idempotency-Key`` stands for: itself where it can be one, else one made of it.

    A key may stand in quotes (IETF draft-ietf-httpapi-idempotency-key-header). An empty one is none: a new id.

    Raises:
        InvalidInput: it is longer than ``KEY_LIMIT``.
    """
    if len(key) > KEY_LIMIT:
        raise InvalidInput(f"the Idempotency-Key has more than {KEY_LIMIT} characters", "send a shorter one")
    key = key.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        return new_request_id()
    return key if known(key) else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def fingerprint(request: Request, body: bytes, webhook: Webhook | None, shaping: Sequence[bytes]) -> str:
    """What a second request of the same id is compared by.

    Args:
        shaping: names of the headers that decide what the answer looks like.
    """
    names = {name.decode() for name in shaping}
    headers = sorted(pair for pair in request.headers if pair[0] in names)
    told = [webhook.url, *webhook.events] if webhook else []
    about = json.dumps([request.method, request.path, request.query, headers, told])
    return hashlib.sha256(about.encode() + b"\n" + body).hexdigest()
