"""A project as JSON, for a gateway far from its files: what it serves, and nothing that is secret or this machine's.

Left out are environment variables, the folder, and the state of a server. Which HTTP front a route has stays, who may
use it does not: whoever reaches such a gateway was let in before.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firstlight.project.types import Asynchronous, Endpoint, Front, Project, RecordPolicy
from firstlight.runtime.errors import ProjectError

SCHEMA = 1
_LEFT_OUT = frozenset({"env", "provisioned", "snap_start", "package", "allow_pickle", "trust_remote_code"})


def written(project: Project) -> bytes:
    """The description, the same for the same project on every machine."""
    told = {
        "schema": SCHEMA,
        "name": project.name,
        "stage": project.stage,
        "records": asdict(project.records),
        "endpoints": [_endpoint(project, endpoint) for endpoint in project.endpoints.values()],
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def read(raw: bytes) -> Project:
    """The project that a description tells of.

    Raises:
        ProjectError: it is none of this version's.
    """
    try:
        told = json.loads(raw)
        if told["schema"] != SCHEMA:
            raise ValueError(f"schema {told['schema']}")
        endpoints = [_read(entry) for entry in told["endpoints"]]
        return Project(
            name=told["name"],
            root=None,
            stage=told["stage"],
            endpoints={endpoint.name: endpoint for endpoint in endpoints},
            records=RecordPolicy(**told["records"]),
            data_dir=Path("/tmp/firstlight"),  # noqa: S108 - the only folder that can be written on Lambda
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"the description of the project cannot be read: {error}", "deploy again"
        ) from error


def _endpoint(project: Project, endpoint: Endpoint) -> dict[str, Any]:
    told = {name: value for name, value in asdict(endpoint).items() if name not in _LEFT_OUT}
    told["front"]["auth"] = "none"
    if endpoint.script is not None:
        root = project.root
        inside = root is not None and endpoint.script.is_relative_to(root)
        told["script"] = (
            endpoint.script.relative_to(root).as_posix() if root and inside else endpoint.script.name
        )
        told["model"] = None
    elif not _is_public(endpoint.model or ""):
        told["model"] = Path(endpoint.model or "").name
    # What is not written down depends on the machine that the project was read on.
    told["concurrency"] = 1 if endpoint.reserved is None else endpoint.reserved
    return told


def _is_public(model: str) -> bool:
    """Whether a model is named by what everybody knows it by, and not by a path."""
    return model.startswith(("hf:", "starter:"))


def _read(told: dict[str, Any]) -> Endpoint:
    return Endpoint(
        **{
            **told,
            "script": Path(told["script"]) if told["script"] else None,
            "asynchronous": Asynchronous(**told["asynchronous"]),
            "front": Front(**told["front"]),
        }
    )
