"""A function of a few small files, and a base of nothing, for tests of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from firstlight.build.pack.types import Base, Blob, Component, Contents, File, Piece, Target

TARGET = Target("arm64", "3.13", (2, 34))
ARM_LIBRARY = b"\x7fELF\x02\x01\x01" + bytes(11) + b"\xb7\x00" + bytes(100)
INTEL_LIBRARY = b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x3e\x00" + bytes(100)


def file(path: str, content: bytes | Path = b"text", *, executable: bool = False) -> File:
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return File(path, content, size, executable)


def contents(*more: File, environment: Mapping[str, str] | None = None) -> Contents:
    """A function; more files are the user's."""
    pieces = (
        Piece("wheels", (file(".firstlight/lib/engine/core.so", ARM_LIBRARY),)),
        Piece(
            "runtime",
            (
                file(".firstlight/src/firstlight/__init__.py", b"x = 1\n"),
                file(".firstlight/start", b"#!/bin/sh\n", executable=True),
            ),
        ),
        *((Piece("project", more),) if more else ()),
    )
    return Contents(
        "mood",
        TARGET,
        pieces,
        environment or {"HOME": "/tmp", "FIRSTLIGHT_BUNDLE": "/var/task/.firstlight/bundle"},
        "firstlight.runtime.lambda_function.handler",
        (".firstlight/src/firstlight/runtime/start.py",),
        (Component("library", "engine", "1.0"),),
    )


def base(**changed: object) -> Base:
    """A base of one layer that a registry has."""
    layer = Blob("application/vnd.docker.image.rootfs.diff.tar.gzip", "sha256:" + "a" * 64, 1000)
    made = Base(
        reference="registry.example/python@sha256:" + "b" * 64,
        config={
            "architecture": "arm64",
            "os": "linux",
            "variant": "v8",
            "config": {
                "Env": ["PATH=/usr/bin", "LANG=C", "HOME=/root"],
                "Cmd": ["sh"],
                "Entrypoint": ["/entry.sh"],
                "Labels": {"maker": "them"},
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "c" * 64]},
            "history": [
                {"created_by": "COPY / /"},
                {"created_by": "ENV HOME", "empty_layer": True},
            ],
        },
        layers=(layer,),
        python="/var/lang/bin/python3.13",
        target=TARGET,
        origin="registry.example/python",
    )
    return replace(made, **changed)  # type: ignore[arg-type]
