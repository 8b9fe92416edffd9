"""What all pools of an invoker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firstlight.invoke import scaling
from firstlight.invoke.logs import LogSink
from firstlight.invoke.processes import Launcher
from firstlight.invoke.types import WorkerSpec


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pools of an invoker share.

    Args:
        launcher_for: which launcher starts the workers of a spec.
        socket_path: makes the path of the next worker's socket.
        log_sink: where the workers' log lines go.
    """

    launcher_for: Callable[[WorkerSpec], Launcher]
    socket_path: Callable[[], Path]
    log_sink: LogSink | None = None
    idle_s: float = scaling.IDLE_S
    queue_limit: int = scaling.QUEUE_LIMIT
