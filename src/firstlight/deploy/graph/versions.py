"""Published versions of a function, and which of them its alias leads to.

A version's logical id carries a hash of the function's code and configuration: changed code is a new resource, and
what did not change is left alone. Those that stay are taken from the deployed template as they are there, as
CloudFormation cannot change a version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from firstlight.deploy.cloudformation import read
from firstlight.deploy.graph.site import Site, counted
from firstlight.deploy.types import Att, Ref, Resource, Value
from firstlight.project.names import LIVE

_NOT_PUBLISHED = ("ReservedConcurrentExecutions", "Tags")
"""Properties of a function that are not a part of its versions."""


def published(site: Site, function: Resource, head: str, *, provisioned: int = 0) -> tuple[Resource, ...]:
    """The versions of a function that stay, the one that its present code is, and the alias ``live``.

    Args:
        function: as it is to be.
        head: what the logical ids begin with: ``Mood``.
        provisioned: workers that are kept ready for the alias.
    """
    newest = f"{head}Version{fingerprint(function)}"
    live = _live(site, head)
    earlier = [_kept(site, function, version) for version in _staying(site, function, newest, live)]
    present = Resource(
        newest,
        "AWS::Lambda::Version",
        {"FunctionName": Ref(function.id), "Description": _description(function)},
        function.part,
        "code and configuration as they are now, for good",
    )
    leads_to = newest if site.switch or live is None else live
    alias: dict[str, Value] = {
        "FunctionName": Ref(function.id),
        "FunctionVersion": Att(leads_to, "Version"),
        "Name": LIVE,
        # What moves is said in plain text too: not every reader of change sets looks into references.
        "Description": leads_to,
    }
    if provisioned:
        alias["ProvisionedConcurrencyConfig"] = {"ProvisionedConcurrentExecutions": provisioned}
    return (
        *earlier,
        present,
        Resource(
            f"{head}Alias",
            "AWS::Lambda::Alias",
            alias,
            function.part,
            f"{LIVE}, the name that callers use{_ready(provisioned)}",
        ),
    )


def _ready(provisioned: int) -> str:
    return f"; {counted(provisioned, 'worker')} kept ready" if provisioned else ""


def fingerprint(function: Resource) -> str:
    """Ten hex digits of all that a published version is made of."""
    kept = {key: value for key, value in function.properties.items() if key not in _NOT_PUBLISHED}
    text = json.dumps(kept, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _live(site: Site, head: str) -> str | None:
    alias = _template(site).get(f"{head}Alias", {}).get("Properties", {})
    leads_to = read(alias.get("FunctionVersion"))
    return leads_to.resource if isinstance(leads_to, Att) else None


def _staying(site: Site, function: Resource, newest: str, live: str | None) -> tuple[str, ...]:
    """Before the alias moves nothing goes; after it, what it led to before stays for going back."""
    if site.deployed is None:
        return ()
    template = _template(site)
    everything = [version for versions in site.deployed.versions.values() for version in versions]
    others = tuple(
        version
        for version in everything
        if version != newest
        and read(template.get(version, {}).get("Properties", {}).get("FunctionName")) == Ref(function.id)
    )
    if not site.switch:
        return others
    return others[-1:] if live == newest else tuple(version for version in others if version == live)


def _kept(site: Site, function: Resource, version: str) -> Resource:
    return Resource(
        version,
        "AWS::Lambda::Version",
        read(_template(site)[version]["Properties"]),
        function.part,
        "an earlier version, to go back to",
    )


def _template(site: Site) -> Mapping[str, Any]:
    template: Mapping[str, Any] = site.deployed.template if site.deployed else {}
    resources: Mapping[str, Any] = template.get("Resources", {})
    return resources


def _description(function: Resource) -> str:
    code = function.properties.get("Code")
    if not isinstance(code, Mapping):
        return "firstlight"
    return str(code.get("ImageUri") or code.get("S3Key") or "firstlight").rpartition("/")[2][-256:]


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: asdict(value)}
    raise TypeError(f"{type(value).__name__} cannot be in a template")
