"""Checks of the Hugging Face hub, made only where they are asked for: they use the network."""

from __future__ import annotations

import email.utils
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from firstlight.doctor.types import OK, PROBLEM, WARNING, Finding, Subject, fine

_PATIENCE_S = 10
_OFF_S = 300
"""Seconds a clock may be off: AWS refuses signatures beyond them (Signature Version 4)."""


def reachable(subject: Subject) -> Iterator[Finding]:
    """Whether the hub, or the mirror that HF_ENDPOINT names, answers, and whether it has the same time."""
    address = _address(subject)
    if subject.env.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        why = "nothing is downloaded while it is set"
        yield Finding(WARNING, "HF_HUB_OFFLINE is set", why=why, fix="unset HF_HUB_OFFLINE to download")
        return
    try:
        date = _asked(f"{address}/api/models?limit=1", {})[1]
    except urllib.error.HTTPError as error:
        date = error.headers.get("Date")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        fix = "check the network and HTTPS_PROXY, or set HF_ENDPOINT to a mirror"
        why = "models of the hub cannot be downloaded"
        yield Finding(PROBLEM, f"{address} cannot be reached: {reason}", why=why, fix=fix)
        return
    yield fine(f"{address} answers")
    yield from _clock(date)


def token(subject: Subject) -> Iterator[Finding]:
    """Whether the hub knows the token."""
    secret = subject.env.get("HF_TOKEN") or subject.env.get("HUGGING_FACE_HUB_TOKEN")
    if not secret:
        yield Finding(OK, "no HF_TOKEN; private and gated repositories need one")
        return
    try:
        answer, _ = _asked(
            f"{_address(subject)}/api/whoami-v2", {"Authorization": f"Bearer {secret.strip()}"}
        )
        name = answer.get("name") if isinstance(answer, dict) else None
        yield fine(f"HF_TOKEN is that of {name or 'an account'}")
    except urllib.error.HTTPError as error:
        what = f"the hub refuses HF_TOKEN (HTTP {error.code})"
        fix = "make a new one at https://huggingface.co/settings/tokens, or unset HF_TOKEN"
        yield Finding(PROBLEM, what, why="a wrong token fails downloads that need none", fix=fix)
    except (OSError, ValueError) as error:
        yield Finding(WARNING, f"HF_TOKEN cannot be checked: {getattr(error, 'reason', error)}")


def _address(subject: Subject) -> str:
    return (subject.env.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _asked(url: str, headers: dict[str, str]) -> tuple[Any, str | None]:
    """The answer as JSON, and the date the server says it is."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is not an address")
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=_PATIENCE_S) as response:  # noqa: S310
        return json.loads(response.read()), response.headers.get("Date")


def _clock(date: str | None) -> Iterator[Finding]:
    try:
        theirs = email.utils.parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return
    off = time.time() - theirs
    if abs(off) > _OFF_S:
        why = "AWS refuses signatures that are more than 5 minutes off"
        what = f"the clock is {abs(off) / 60:.0f} minutes {'ahead' if off > 0 else 'behind'}"
        yield Finding(PROBLEM, what, why=why, fix="set the clock (timedatectl set-ntp true)")
