"""The part of a server that knows versions: the registry of the project, and the pool that follows it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from firstlight.project import Asynchronous

if TYPE_CHECKING:
    from firstlight.cli.preparing import Prepared
    from firstlight.invoke.pool import PoolInvoker
    from firstlight.invoke.types import WorkerSpec
    from firstlight.versions.registry import Registry


class Published:
    """The versions of a project that is served, through its reloads.

    Args:
        prepared: the project as it is served first.

    Attributes:
        registry: its versions, aliases and settings.
    """

    def __init__(self, prepared: Prepared) -> None:
        from firstlight.versions.registry import Registry

        self._prepared = prepared
        self._pool: PoolInvoker | None = None
        self.registry: Registry = Registry(prepared.project.data_dir, self._specs, self._asynchronous)

    def followed_by(self, pool: PoolInvoker) -> None:
        """Have a pool serve what is published, from the next change on; called on the pool's event loop."""
        self._pool = pool
        loop, here = asyncio.get_running_loop(), threading.get_ident()

        def changed() -> None:
            if threading.get_ident() == here:
                self._serve()
            else:
                loop.call_soon_threadsafe(self._serve)

        self.registry.on_change(changed)

    def take_over(self, prepared: Prepared) -> None:
        """Serve another state of the project; what was published stays as it was."""
        self._prepared = prepared
        self._serve()

    def _serve(self) -> None:
        if self._pool is not None:
            self._pool.replace(self.registry.pools())

    def _specs(self) -> Mapping[str, WorkerSpec]:
        return self._prepared.specs

    def _asynchronous(self) -> Mapping[str, Asynchronous]:
        endpoints = self._prepared.project.endpoints
        return {name: endpoint.asynchronous for name, endpoint in endpoints.items()}
