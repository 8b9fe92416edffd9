"""Signatures of what is posted, as Standard Webhooks has them (standardwebhooks.com, specification 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from firstlight.runtime.errors import JobError

SECRET = "webhook-secret"  # noqa: S105 - the name of a file
"""File in a project's data folder, for its user's eyes only."""
_PREFIX = "whsec_"


def secret(folder: Path) -> str:
    """The secret of a project, ``whsec_`` and base64; made where there is none yet.

    Raises:
        JobError: it cannot be read or written.
    """
    file = folder / SECRET
    try:
        try:
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text(encoding="ascii").strip()
        new = made()
        with os.fdopen(opened, "w", encoding="ascii") as writing:
            writing.write(new + "\n")
        return new
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"the secret of webhooks cannot be read: {file}: {error}") from error


def made() -> str:
    """A new secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(key: str, message_id: str, time: float, body: bytes) -> dict[str, str]:
    """The three headers of a signed message.

    Args:
        key: the secret.
        message_id: the same for every try of one message.
        time: of this try, seconds since the epoch.

    Raises:
        JobError: the secret is none.
    """
    try:
        raw = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise JobError("the secret of webhooks is not whsec_ and base64", f"delete {SECRET}") from error
    signed = f"{message_id}.{int(time)}.".encode() + body
    signature = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(time)),
        "webhook-signature": f"v1,{signature}",
    }
