"""Why a run failed, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from firstlight.trace.types import Run, ScriptFailed
from firstlight.trace.watching import Rules

_NETWORK_KINDS = frozenset(
    {
        *(
            "gaierror",
            "URLError",
            "ConnectionError",
            "ConnectError",
            "ConnectTimeout",
            "MaxRetryError",
            "Timeout",
        ),
        *("NewConnectionError", "ProxyError", "ClientConnectorError", "OfflineModeIsEnabled"),
        *("LocalEntryNotFoundError", "NameResolutionError", "HTTPError", "SSLError"),
    }
)
_NETWORK_NUMBERS = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED})
_WRITE_NUMBERS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT})


def first(run: Run, name: str) -> ScriptFailed:
    """The error of a script that fails where it may write and call out as it likes."""
    error = run.error or {}
    hint = str(error.get("hint") or "")
    if _by_network(run):
        hosts = ", ".join(sorted({seen.what for seen in run.of("host")})) or "another machine"
        hint = (
            f"the first run may call out and could not reach {hosts}: check the connection; behind a proxy set "
            "HTTPS_PROXY, for the Hugging Face hub HF_ENDPOINT and HF_TOKEN"
        )
    elif error.get("errorType") in ("KeyError", "TypeError") and not hint:
        hint = "if it is the event that it cannot take, give another with -d or --event-file"
    return ScriptFailed(f"{name} fails: {said(error)}", hint, error)


def proof(run: Run, name: str, rules: Rules) -> ScriptFailed:
    """The error of a script that answers in clean folders and not with the layer alone.

    Args:
        rules: that the run was watched by.
    """
    error = run.error or {}
    message = f"{name} answers where it may write and call out, and fails with the layer alone: {said(error)}"
    refused = written(run, rules)
    if _by_network(run) and run.of("host"):
        hosts = ", ".join(sorted({seen.what for seen in run.of("host")}))
        hint = (
            f"it calls {hosts} when it answers: have it load what it fetched before from its files, or, if the "
            "endpoint may call out, pass --keep-network"
        )
    elif _by_writing(run) and refused:
        hint = (
            f"it writes to {refused[0]}, and only /tmp can be written on Lambda: have it write there "
            "(tempfile.gettempdir()), or set the library's variable to a folder in /tmp in [endpoints.NAME.env]"
        )
    else:
        hint = "it needs something that is not in the layer: the trace above says where"
    return ScriptFailed(message, hint, error)


def said(error: Mapping[str, Any]) -> str:
    """An error in one line."""
    text = f"{error.get('errorType', 'Error')}: {error.get('errorMessage', '')}".strip().rstrip(":")
    return text if len(text) <= 300 else f"{text[:297]}..."


def written(run: Run, rules: Rules) -> list[str]:
    """What a run tried to write where it cannot be, the last first, and who did; for people."""
    outside = [seen for seen in run.of("write") if not rules.may_write(seen.what)]
    return [f"{seen.what} (by {seen.by})" if seen.by else seen.what for seen in reversed(outside)]


def _by_network(run: Run) -> bool:
    return any(set(kinds) & _NETWORK_KINDS or number in _NETWORK_NUMBERS for kinds, number, *_ in run.causes)


def _by_writing(run: Run) -> bool:
    return any(
        ("OSError" in kinds and number in _WRITE_NUMBERS) or "read-only" in str(text).lower()
        for kinds, number, text, *_ in run.causes
    )
