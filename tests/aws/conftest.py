"""What the tests against real parts share: a daemon, a registry, a base image, an emulator (each in tests/parts)."""

from __future__ import annotations
