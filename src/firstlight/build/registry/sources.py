"""Whom a registry takes one for: the environment, the files that ``docker login`` writes, an account of AWS.

Every source names the host it is for; nothing is ever sent to another one.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.registry.credentials import Credentials
from firstlight.runtime.errors import ProjectError

_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/")
_PROGRAM_S = 30.0
_HINT = "docker login writes such files; DOCKER_CONFIG names the folder of another one"


def credentials(
    host: str, session: Any = None, environment: Mapping[str, str] | None = None
) -> Credentials | None:
    """What is known for a registry; None where nothing is, and it is asked as anybody.

    Args:
        host: of a reference: ``ghcr.io``, ``localhost:5000``, ``123456789012.dkr.ecr.eu-west-1.amazonaws.com``.
        session: gives clients of AWS (``client(name)``); None takes what boto3 finds.
        environment: instead of that of the process.

    Raises:
        ProjectError: what there is cannot be read, or AWS gives no token.
        MissingExtra: the registry is ECR, nothing else is known for it, and boto3 is not installed.
    """
    from firstlight.build.registry import ecr

    environment = os.environ if environment is None else environment
    if found := _of_environment(host, environment) or _of_files(host, environment):
        return found
    return ecr.credentials(host, session) if ecr.region(host) else None


def _of_environment(host: str, environment: Mapping[str, str]) -> Credentials | None:
    if environment.get("FIRSTLIGHT_REGISTRY_HOST") == host:
        user = environment.get("FIRSTLIGHT_REGISTRY_USER", "")
        password = environment.get("FIRSTLIGHT_REGISTRY_PASSWORD", "")
        return Credentials(user, password, source="FIRSTLIGHT_REGISTRY_USER")
    if said := environment.get("DOCKER_AUTH_CONFIG"):
        return _of_config(host, _read(said, "DOCKER_AUTH_CONFIG"), "DOCKER_AUTH_CONFIG")
    return None


def _of_files(host: str, environment: Mapping[str, str]) -> Credentials | None:
    """Docker's file, then those of podman and skopeo (containers-auth.json(5))."""
    home = Path(environment.get("HOME") or Path.home())
    places = [Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    if file := environment.get("REGISTRY_AUTH_FILE"):
        places.insert(0, Path(file))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        places.append(Path(runtime) / "containers" / "auth.json")
    places.append(Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json")
    for place in places:
        try:
            text = place.read_text()
        except OSError:
            continue
        if found := _of_config(host, _read(text, str(place)), str(place)):
            return found
    return None


def _read(text: str, source: str) -> Mapping[str, Any]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ProjectError(f"{source} is not JSON: {error}", _HINT) from error
    if not isinstance(config, dict):
        raise ProjectError(f"{source} is not an object of JSON", _HINT)
    return config


def _of_config(host: str, config: Mapping[str, Any], source: str) -> Credentials | None:
    names = _HUB if host in _HUB else (host,)
    programs = config.get("credHelpers")
    for name in names:
        if isinstance(programs, dict) and isinstance(program := programs.get(name), str):
            return _of_program(program, name, source)
    if found := _of_entries(names, config.get("auths"), source):
        return found
    if isinstance(store := config.get("credsStore"), str) and store:
        server = _HUB[-1] if host in _HUB else host
        return _of_program(store, server, source, asked=False)
    return None


def _of_entries(names: tuple[str, ...], entries: object, source: str) -> Credentials | None:
    """Of ``auths``: keys are hosts, or addresses as old versions wrote them."""
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        plain = re.sub(r"^https?://", "", key).partition("/")[0]
        ours = (key in names or plain in names) and isinstance(entry, dict)
        if ours and (found := _of_entry(entry, f"{source}, {key}")):
            return found
    return None


def _of_entry(entry: Mapping[str, Any], source: str) -> Credentials | None:
    refresh = str(entry.get("identitytoken") or "")
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if said := entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(said), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ProjectError(f"{source}: auth is not base64 of user:password", _HINT) from error
    password = password.rstrip("\0")
    if user == "<token>":
        user, refresh = "", refresh or password
    return Credentials(user, password, refresh, source) if (user and password) or refresh else None


def _of_program(program: str, server: str, source: str, *, asked: bool = True) -> Credentials | None:
    """What a program like ``docker-credential-desktop`` has in its store.

    Args:
        asked: the file says that it has something for this very host.
    """
    name = f"docker-credential-{program}"
    try:
        done = subprocess.run(
            [name, "get"], input=server, capture_output=True, text=True, timeout=_PROGRAM_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if asked:
            raise ProjectError(f"{source} wants {name} for {server}, which fails: {error}", _HINT) from error
        return None
    if done.returncode:
        return None  # it has nothing for this host
    said = _read(done.stdout, name)
    user, secret = str(said.get("Username") or ""), str(said.get("Secret") or "")
    if user == "<token>":
        return Credentials(refresh=secret, source=name)
    return Credentials(user, secret, source=name) if secret else None
