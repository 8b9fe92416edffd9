"""Versions and aliases as verbs change them: through the server that serves the project, else in its data folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from firstlight.cli import client, wiring
from firstlight.runtime.errors import EndpointNotFound

if TYPE_CHECKING:
    from firstlight.invoke.types import WorkerSpec
    from firstlight.project import Project
    from firstlight.versions.registry import Registry
    from firstlight.versions.types import Alias

_ROOT = "/2015-03-31/functions"
_PATIENCE_S = 600.0
"""Seconds for one answer: a large bundle may have to be copied."""


@dataclass(frozen=True, slots=True)
class Made:
    """A version, as the verbs show it."""

    endpoint: str
    number: str
    code_sha256: str
    description: str


class Functions(Protocol):
    """Versions and aliases, wherever they are kept."""

    def versions(self, endpoint: str) -> list[Made]: ...

    def publish(self, endpoint: str, description: str) -> Made: ...

    def aliases(self, endpoint: str) -> list[Alias]: ...

    def set_alias(self, alias: Alias) -> Alias:
        """Make it, or put it in the place of the one of that name."""

    def delete_alias(self, endpoint: str, name: str) -> None: ...


def of(project: Project, url: str | None, token: str | None, prepared: bool = False) -> Functions:
    """The functions of a project.

    Args:
        url, token: of a server, where one is named.
        prepared: whether models are to be resolved, as publishing asks for.
    """
    if url or os.environ.get("FIRSTLIGHT_URL") or client.noted(project.data_dir):
        return Remote(client.Server.find(url, token, project.data_dir, os.environ))
    return Here(project, prepared)


class Remote:
    """Those of a running server, by Lambda's own API."""

    def __init__(self, server: client.Server) -> None:
        self._server = server

    def versions(self, endpoint: str) -> list[Made]:
        told = self._pages(f"{_path(endpoint)}/versions", "Versions")
        return [_made(endpoint, version) for version in told if version["Version"] != "$LATEST"]

    def publish(self, endpoint: str, description: str) -> Made:
        return _made(endpoint, self._ask("POST", f"{_path(endpoint)}/versions", {"Description": description}))

    def aliases(self, endpoint: str) -> list[Alias]:
        return [_alias(endpoint, told) for told in self._pages(f"{_path(endpoint)}/aliases", "Aliases")]

    def set_alias(self, alias: Alias) -> Alias:
        told = {
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RoutingConfig": {"AdditionalVersionWeights": dict(alias.weights)},
        }
        path = f"{_path(alias.endpoint)}/aliases"
        if any(there.name == alias.name for there in self.aliases(alias.endpoint)):
            return _alias(alias.endpoint, self._ask("PUT", f"{path}/{quote(alias.name, safe='')}", told))
        return _alias(alias.endpoint, self._ask("POST", path, {"Name": alias.name, **told}))

    def delete_alias(self, endpoint: str, name: str) -> None:
        if all(there.name != name for there in self.aliases(endpoint)):
            raise _no_alias(endpoint, name)
        self._ask("DELETE", f"{_path(endpoint)}/aliases/{quote(name, safe='')}")

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        marker = ""
        while True:
            told = self._ask("GET", path + (f"?Marker={quote(marker, safe='')}" if marker else ""))
            found += told[key]
            marker = told.get("NextMarker") or ""
            if not marker:
                return found

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return client.asked(self._server, method, path, document, _PATIENCE_S)


class Here:
    """Those in the project's data folder, where no server runs; one that is started later serves them."""

    def __init__(self, project: Project, prepared: bool) -> None:
        self._project = project
        self._prepared = prepared

    def versions(self, endpoint: str) -> list[Made]:
        return [
            Made(endpoint, str(version.number), version.code_sha256, version.description)
            for version in self._registry(endpoint).versions(endpoint)
        ]

    def publish(self, endpoint: str, description: str) -> Made:
        version = self._registry(endpoint).publish(endpoint, description)
        return Made(endpoint, str(version.number), version.code_sha256, version.description)

    def aliases(self, endpoint: str) -> list[Alias]:
        return self._registry(endpoint).aliases(endpoint)

    def set_alias(self, alias: Alias) -> Alias:
        registry = self._registry(alias.endpoint)
        if any(there.name == alias.name for there in registry.aliases(alias.endpoint)):
            return registry.update_alias(alias)
        return registry.create_alias(alias)

    def delete_alias(self, endpoint: str, name: str) -> None:
        registry = self._registry(endpoint)
        registry.alias(endpoint, name)
        registry.delete_alias(endpoint, name)

    def _registry(self, endpoint: str) -> Registry:
        """The registry; of models only the one that is asked for is resolved."""
        known = wiring.endpoint_of(self._project, endpoint)
        return wiring.new_registry_of(self._project, self._specs(known.name))

    def _specs(self, endpoint: str) -> Mapping[str, WorkerSpec]:
        from firstlight.cli import output, preparing
        from firstlight.invoke.types import WorkerSpec

        if not self._prepared:
            return {name: WorkerSpec(name) for name in self._project.endpoints}
        wanted = {
            name: found
            for name, found in self._project.endpoints.items()
            if found.script is not None or name == endpoint
        }
        return preparing.prepare(replace(self._project, endpoints=wanted), output.note).specs


def _no_alias(endpoint: str, name: str) -> EndpointNotFound:
    return EndpointNotFound(
        f"{endpoint} has no alias {name!r}", "`firstlight alias list` shows those there are"
    )


def _path(endpoint: str) -> str:
    return f"{_ROOT}/{quote(endpoint, safe='')}"


def _made(endpoint: str, told: Mapping[str, Any]) -> Made:
    return Made(endpoint, str(told["Version"]), str(told["CodeSha256"]), str(told.get("Description", "")))


def _alias(endpoint: str, told: Mapping[str, Any]) -> Alias:
    from firstlight.versions.types import Alias

    weights = (told.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return Alias(
        endpoint,
        str(told["Name"]),
        str(told["FunctionVersion"]),
        {str(version): float(share) for version, share in weights.items()},
        str(told.get("Description", "")),
        str(told.get("RevisionId", "")),
    )
