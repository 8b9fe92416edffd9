"""Who gets how many workers: what the project asks for, as far as the account's quota goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from firstlight.deploy.types import Account, Deployed
from firstlight.project.types import Endpoint

_FLOOR = 100
"""Workers that AWS keeps for functions that reserve none; all that a new account has, 10, where it is less."""


def granted(
    endpoints: Iterable[Endpoint], account: Account, deployed: Deployed | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """What endpoints that ask for workers get, in their order, and what they do not get.

    Returns:
        Endpoint -> workers, for those that ask and get them; one sentence for each that does not.
    """
    left = account.unreserved + _held(deployed) - min(_FLOOR, account.concurrency)
    given: dict[str, int] = {}
    notes = []
    for endpoint in endpoints:
        asked = _asked(endpoint)
        if asked is None:
            continue
        if asked > max(0, left):
            notes.append(_refused(endpoint, asked, max(0, left), account))
            continue
        given[endpoint.name] = asked
        left -= asked
    return given, tuple(notes)


def _asked(endpoint: Endpoint) -> int | None:
    if endpoint.reserved is not None:
        return endpoint.reserved
    return endpoint.provisioned or None


def _held(deployed: Deployed | None) -> int:
    """What the stack itself has reserved: it is given back by an update before it is taken again."""
    resources: Mapping[str, Any] = (deployed.template if deployed else {}).get("Resources", {})  # type: ignore[assignment]
    return sum(_held_by(resource.get("Properties", {})) for resource in resources.values())


def _held_by(properties: Mapping[str, Any]) -> int:
    provisioned = properties.get("ProvisionedConcurrencyConfig", {})
    return int(properties.get("ReservedConcurrentExecutions", 0)) or int(
        provisioned.get("ProvisionedConcurrentExecutions", 0)
    )


def _refused(endpoint: Endpoint, asked: int, left: int, account: Account) -> str:
    what = "reserved" if endpoint.reserved is not None else "provisioned"
    return (
        f"{endpoint.name}: {asked} {what} workers are left out, as the account's quota of {account.concurrency}"
        f" at once has {left} to give away; nothing but that quota limits what it may cost"
        " (ask for more in Service Quotas, quota L-B99A9384)"
    )
