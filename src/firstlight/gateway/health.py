"""Whether the server runs, in the forms that are asked for. None of it counts as activity of an endpoint."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute, Route

from firstlight import __version__
from firstlight.gateway import metrics
from firstlight.gateway.asgi import Answer, Call, Wire, json_answer
from firstlight.gateway.core import Gateway
from firstlight.gateway.huggingface import explain

_OK = b'{"status":"READY"}'
_NO_STORE = (b"cache-control", b"no-store")


class Health:
    """``/health`` with the endpoints, ``/livez``, ``/readyz`` and ``/ping`` without, ``/metrics`` for Prometheus."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        short = [
            Route(path, Wire(self.alive, explain), methods=["GET"]) for path in ("/livez", "/readyz", "/ping")
        ]
        return [
            *short,
            Route("/health", Wire(self.health, explain), methods=["GET"]),
            Route("/metrics", Wire(self.metrics, explain), methods=["GET"]),
        ]

    async def alive(self, _call: Call) -> Answer:
        """The server answers, so it lives; workers start when they are needed, so it is ready too."""
        return Answer(200, _OK, [(b"content-type", b"application/json"), _NO_STORE])

    async def health(self, _call: Call) -> Answer:
        """The state of the server and of each endpoint."""
        pools = self.gateway.pools()
        endpoints: dict[str, Any] = {}
        for entry in self.gateway.catalogue:
            pool = pools.get(entry.name, {})
            endpoints[entry.name] = {
                "status": _status(pool, entry.problem),
                "task": entry.task,
                **({"problem": entry.problem} if entry.problem else {}),
                "workers": {key: pool.get(key, 0) for key in ("starting", "idle", "busy")},
                "queued": pool.get("queued", 0),
            }
        status = "READY" if not any(entry.problem for entry in self.gateway.catalogue) else "DEGRADED"
        return json_answer(
            {"status": status, "version": __version__, "endpoints": endpoints}, headers=[_NO_STORE]
        )

    async def metrics(self, _call: Call) -> Answer:
        """Counters and gauges in Prometheus' text format."""
        text = self.gateway.metrics.text(self.gateway.pools())
        return Answer(200, text.encode(), [(b"content-type", metrics.CONTENT_TYPE), _NO_STORE])


def _status(pool: dict[str, Any] | Any, problem: str) -> str:
    """One word: Cog's names, and ASLEEP for an endpoint that is scaled to zero."""
    if problem:
        return "SETUP_FAILED"
    if pool.get("idle"):
        return "READY"
    if pool.get("busy"):
        return "BUSY"
    return "STARTING" if pool.get("starting") else "ASLEEP"
