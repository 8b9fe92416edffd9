"""Endpoints described as Lambda functions, for ListFunctions and GetFunction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firstlight.gateway.catalogue import Catalogue, Entry
from firstlight.invoke.types import LATEST, function_arn
from firstlight.runtime.errors import InvalidInput

__all__ = ["Entry", "configuration", "described", "listed"]

PAGE = 50
"""Functions in one ListFunctions answer (Lambda API reference)."""


def configuration(entry: Entry) -> dict[str, Any]:
    """The FunctionConfiguration of an endpoint; environment variables stay out, they may hold secrets."""
    endpoint = entry.endpoint
    return {
        "FunctionName": entry.name,
        "FunctionArn": function_arn(entry.name),
        "Description": entry.task or (endpoint.script.name if endpoint.script else ""),
        "MemorySize": endpoint.memory,
        "Timeout": max(1, round(endpoint.timeout)),
        "Version": LATEST,
        "PackageType": "Image",
        "Architectures": ["x86_64"],
        "State": "Failed" if entry.problem else "Active",
        **({"StateReason": entry.problem, "StateReasonCode": "InternalError"} if entry.problem else {}),
        "LastUpdateStatus": "Successful",
        "TracingConfig": {"Mode": "PassThrough"},
        "EphemeralStorage": {"Size": 512},
    }


def described(entry: Entry) -> dict[str, Any]:
    """The GetFunction answer."""
    return {
        "Configuration": configuration(entry),
        "Code": {"RepositoryType": "ECR"},
        "Concurrency": {"ReservedConcurrentExecutions": entry.endpoint.concurrency},
    }


def listed(catalogue: Catalogue, query: Mapping[str, str]) -> dict[str, Any]:
    """The ListFunctions answer; ``Marker`` is the name of the last function of the page before."""
    limit = query.get("MaxItems", str(PAGE))
    if not limit.isdecimal() or not 1 <= int(limit[:6]) <= 10_000:
        raise InvalidInput(f"MaxItems is {limit[:20]!r}, and has to be a number from 1 to 10000")
    names = list(catalogue.entries)
    marker = query.get("Marker", "")
    start = names.index(marker) + 1 if marker in catalogue.entries else 0
    page = names[start : start + min(int(limit), PAGE)]
    more = start + len(page) < len(names)
    answer: dict[str, Any] = {"Functions": [configuration(catalogue.entries[name]) for name in page]}
    if more and page:
        answer["NextMarker"] = page[-1]
    return answer
