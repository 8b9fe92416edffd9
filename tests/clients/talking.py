"""A server whose endpoints repeat what they are told, token by token, some of them slowly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import PATIENCE, Server

TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
PROJECT = """
name = "talking"
[endpoints.parrot]
model = "parrot"
route = "/parrot"
[endpoints.slow]
model = "parrot"
route = "/slow"
env = { FIRSTLIGHT_ECHO_DELAY_MS = "20" }
[endpoints.hasty]
model = "parrot"
timeout = 3
env = { FIRSTLIGHT_ECHO_DELAY_MS = "60" }
[endpoints.small]
model = "small"
[endpoints.embeddings]
model = "starter:embeddings"
"""
LONG = "a tale that is told token by token, " * 40
"""More than half a minute of ``slow``."""


def write_project(folder: Path) -> Path:
    """A project of parrots."""
    for name, context in {"parrot": 4096, "small": 32}.items():
        bundle: dict[str, Any] = {"schema": 1, "name": name, "task": "text-generation", "engine": "echo"}
        bundle |= {"files": {}, "model": {"context": context}, "defaults": {"chat_template": TEMPLATE}}
        bundle["source"] = {"repo": f"acme/{name}"}
        (folder / name).mkdir()
        (folder / name / "bundle.json").write_text(json.dumps(bundle))
    (folder / "firstlight.toml").write_text(PROJECT)
    return folder


def metric(server: Server, name: str, **labels: str) -> float:
    """The value of a metric, 0 where it has none yet."""
    text = server.ask("GET", "/metrics")[2].decode()
    wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
    found = re.search(rf"^{re.escape(name)}\{{{re.escape(wanted)}\}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def until(condition: Callable[[], Any]) -> None:
    """Return when the condition holds; a test that waits in vain fails."""
    last = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < last, "this never came"


class Ending:
    """What became of an endpoint's invocations since this was made.

    Args:
        server: the server.
        endpoint: the endpoint's name.
    """

    def __init__(self, server: Server, endpoint: str) -> None:
        self._server = server
        self._endpoint = endpoint
        self._before = self._now()

    def wait(self, **expected: int) -> int:
        """Wait until that many more invocations have ended like that; return how many tokens were generated."""
        until(lambda: all(self._more()[status] >= count for status, count in expected.items()))
        more = self._more()
        assert {status: more[status] for status in expected} == expected
        return more["tokens"]

    def _more(self) -> dict[str, int]:
        return {name: count - self._before[name] for name, count in self._now().items()}

    def _now(self) -> dict[str, int]:
        name, endpoint = "firstlight_invocations_total", self._endpoint
        found = {
            status: int(metric(self._server, name, endpoint=endpoint, status=status))
            for status in ("ok", "error", "cancelled")
        }
        tokens = metric(self._server, "firstlight_tokens_total", endpoint=endpoint, kind="generated")
        return {**found, "tokens": int(tokens)}
