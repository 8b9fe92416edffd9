"""What the tests against real parts share: a daemon, a registry, a base image, an emulator (each in tests/parts)."""

from __future__ import annotations

from parts.base import arm_base, base
from parts.daemon import daemon
from parts.emulator import emulator, enforcing, local_emulator
from parts.functions import functions
from parts.managed import managed_runtime
from parts.registry import encrypted, registry, tokens
from parts.rie import lambda_client, rie

__all__ = [
    "arm_base",
    "base",
    "daemon",
    "emulator",
    "encrypted",
    "enforcing",
    "functions",
    "lambda_client",
    "local_emulator",
    "managed_runtime",
    "registry",
    "rie",
    "tokens",
]
