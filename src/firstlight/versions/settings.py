"""Settings of functions that are no version's own: concurrency, workers kept ready, Event invocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from firstlight.invoke.types import LATEST
from firstlight.project.types import Asynchronous
from firstlight.versions import rules
from firstlight.versions.ledger import Ledger, without


class Settings(Ledger):
    """Reads and changes the settings of a project's functions."""

    def reserved(self, endpoint: str) -> int | None:
        """The concurrency an endpoint is limited to, None where the project's applies."""
        return self._known(endpoint).reserved

    def reserve(self, endpoint: str, count: int | None) -> None:
        """Limit an endpoint's concurrency; 0 turns it off, None gives the project's back.

        Raises:
            EndpointNotFound: there is no such endpoint.
            InvalidInput: fewer than are kept ready.
        """
        with self._change(endpoint) as change:
            if count is not None:
                rules.check_reserved(count, change.function)
            change.function = replace(change.function, reserved=count)

    def provisioned(self, endpoint: str) -> Mapping[str, int]:
        """Workers kept ready, by version or alias; the project's own number is not among them."""
        return self._known(endpoint).provisioned

    def provide(self, endpoint: str, qualifier: str, count: int | None) -> None:
        """Keep workers ready for a version or an alias; None keeps none.

        Raises:
            EndpointNotFound: there is no such endpoint, version or alias.
            InvalidInput: ``$LATEST``, or more than are reserved.
            Conflict: those of the version are kept ready by another qualifier.
        """
        with self._change(endpoint) as change:
            function = change.function
            left = without(function.provisioned, qualifier)
            if count is not None:
                rules.check_provided(endpoint, qualifier, count, replace(function, provisioned=left))
                left = {**left, qualifier: count}
            change.function = replace(function, provisioned=left)

    def asynchronous(self, endpoint: str, qualifier: str = LATEST) -> Asynchronous:
        """What becomes of Event invocations by a qualifier: what was set for it, else what the project says."""
        own = self._function(endpoint).asynchronous.get(qualifier)
        return own or self._asynchronous().get(endpoint) or Asynchronous()

    def asynchronous_set(self, endpoint: str) -> Mapping[str, Asynchronous]:
        """What was set by ``set_asynchronous``, by qualifier."""
        return self._known(endpoint).asynchronous

    def set_asynchronous(self, endpoint: str, qualifier: str, value: Asynchronous | None) -> None:
        """Say what becomes of Event invocations by a qualifier; None gives the project's words back.

        Raises:
            EndpointNotFound: there is no such endpoint, version or alias.
            InvalidInput: retries or age beyond what Lambda takes.
        """
        with self._change(endpoint) as change:
            left = without(change.function.asynchronous, qualifier)
            if value is not None:
                rules.check_asynchronous(endpoint, qualifier, value, change.function)
                left = {**left, qualifier: value}
            change.function = replace(change.function, asynchronous=left)
