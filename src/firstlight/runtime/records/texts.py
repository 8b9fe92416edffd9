"""What is kept of the text of an event or an answer, by the policy of a project."""

from __future__ import annotations

STORES = ("none", "hash", "redacted", "full")


def kept(store: str, data: bytes) -> str | None:
    """What a policy keeps; None for nothing.

    Args:
        store: ``none``, ``hash`` (SHA-256), ``redacted`` or ``full``.
    """
    if store == "hash":
        import hashlib

        return hashlib.sha256(data).hexdigest()
    if store == "full":
        return data.decode("utf-8", "replace")
    if store == "redacted":
        from firstlight.runtime.records.redaction import redact_payload

        return redact_payload(data)
    return None
