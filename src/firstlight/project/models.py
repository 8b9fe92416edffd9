"""Endpoints made of a model that is named on the command line, without a project file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from firstlight.project.types import DEFAULT_MEMORY, Endpoint, Project

_MOST_MEMORY = 10_240
_FILES = (".gguf", ".onnx", ".bin")
_BESIDES_MB = 512
"""What a worker needs besides weights it has mapped: caches of a generation, buffers, the interpreter."""


def is_model(text: str) -> bool:
    """Whether a word names a model rather than an endpoint: a starter, a hub id, a path or a file of weights."""
    return ":" in text or "/" in text or text.startswith((".", "~")) or text.endswith(_FILES)


def endpoint_of_model(model: str) -> Endpoint:
    """An endpoint with a name of its own and the memory its weights ask for.

    Args:
        model: as in ``Endpoint.model``; a path is one from the current folder.
    """
    path = Path(model).expanduser()
    name = model.partition("@")[0].rpartition(":")[2].rstrip("/").rpartition("/")[2]
    if path.exists():
        name, model = path.resolve().name, str(path.resolve())
    for ending in _FILES:
        name = name.removesuffix(ending)
    clean = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:64] or "model"
    size = path.stat().st_size / 1e6 if path.is_file() else 0
    memory = min(max(DEFAULT_MEMORY, round(size * 1.2) + _BESIDES_MB), _MOST_MEMORY)
    return Endpoint(clean, model=model, memory=memory)


def with_models(project: Project, models: Iterable[str]) -> Project:
    """The project with an endpoint for each of the models and no other."""
    endpoints: dict[str, Endpoint] = {}
    for model in models:
        endpoint = endpoint_of_model(model)
        name, number = endpoint.name, 2
        while endpoint.name in endpoints:
            endpoint = replace(endpoint, name=f"{name[:60]}-{number}")
            number += 1
        endpoints[endpoint.name] = endpoint
    return replace(project, endpoints=endpoints)
