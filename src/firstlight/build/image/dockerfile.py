"""An image as a folder that ``docker build`` takes, for those who would rather have Docker make it.

Nothing is run while it is built, so an image for another architecture needs no emulation: the files are copied as they
are, a layer for each piece, what changes least often first.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from firstlight.build.image import making
from firstlight.build.pack.types import TASK_ROOT, Base, Contents
from firstlight.runtime.errors import Conflict, FirstlightError

_README = """\
# {endpoint}

The function `{endpoint}` as a folder for Docker, written by `firstlight export dockerfile`.

    docker build --platform {platform} --provenance=false --tag {tag} .
    docker run --publish 8080:8080 --env FIRSTLIGHT_TOKEN=a-secret --read-only --tmpfs /tmp {tag}
    curl -H 'Authorization: Bearer a-secret' \\
      http://127.0.0.1:8080/2015-03-31/functions/function/invocations -d '{{"inputs": "I love it"}}'

`--provenance=false` is for Lambda, which takes one manifest and no index. The same image is a Lambda function, and an
HTTP server everywhere else; `firstlight build` makes it without Docker.

| folder | what is in it |
|---|---|
{folders}
"""
_WHAT = {
    "wheels": "the libraries that run the model, and those of requirements.txt",
    "server": "the HTTP server, for where there is no Lambda",
    "runtime": "what answers invocations",
    "caches": "what the script's libraries look for, traced",
    "bundle": "the model",
    "project": "your own files",
}


def write(
    contents: Contents, base: Base, folder: Path, *, snap_start: bool = False, force: bool = False
) -> list[str]:
    """Write the folder of an endpoint.

    Args:
        base: named in the Dockerfile by its digest.
        force: write over a folder that is there.

    Returns:
        the files that people read, below the folder.

    Raises:
        Conflict: the folder has files.
        FirstlightError: the base has no name that Docker knows, or the folder cannot be written.
    """
    if not base.origin:
        hint = "name an image with --base or in [deploy]; a folder or a tar file is no name for Docker"
        raise FirstlightError(f"{base.reference} cannot stand in a Dockerfile", hint)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise Conflict(f"{folder} has files", "give another folder with --out, or --force")
    try:
        for piece in contents.pieces:
            shutil.rmtree(folder / piece.name, ignore_errors=True)
            for file in piece.files:
                place = folder / piece.name / file.path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.source if isinstance(file.source, bytes) else file.source.read_bytes())
                place.chmod(0o755 if file.executable else 0o644)
        texts = {
            "Dockerfile": text(contents, base, snap_start=snap_start),
            "README.md": _readme(contents),
            ".dockerignore": "README.md\n",
        }
        for name, content in texts.items():
            (folder / name).write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FirstlightError(
            f"{folder} cannot be written: {error.strerror or error}", "make room there"
        ) from error
    return sorted(texts)


def text(contents: Contents, base: Base, *, snap_start: bool = False) -> str:
    """The Dockerfile."""
    return "\n".join(_lines(contents, base, snap_start)) + "\n"


def _lines(contents: Contents, base: Base, snap_start: bool) -> Iterator[str]:
    yield f"# {contents.endpoint}: a function for AWS Lambda, and an HTTP server where there is none."
    yield f"FROM --platform={contents.target.platform} {base.reference}"
    if snap_start:
        yield "# Lambda may take snapshots of it (SnapStart)."
        yield f'LABEL {making.SNAP_START}="Allow"'
    for piece in contents.pieces:
        yield f"# {_WHAT.get(piece.name, piece.name)}"
        yield f"COPY --chown=0:0 {piece.name}/ {TASK_ROOT}/"
    environment = {**contents.environment, "FIRSTLIGHT_ENDPOINT": contents.endpoint}
    for name in sorted(environment):
        value = json.dumps(environment[name], ensure_ascii=False).replace("$", "\\$")
        yield f"ENV {name}={value}"
    yield f"WORKDIR {TASK_ROOT}"
    yield f"EXPOSE {making.PORT}"
    yield "# Whoever runs it where the platform does not say; Lambda does."
    yield f"USER {making.NOBODY}"
    yield f"ENTRYPOINT {json.dumps(making.entry_point(contents, base))}"
    yield "CMD []"


def _readme(contents: Contents) -> str:
    rows = [
        f"| {piece.name} | {_WHAT.get(piece.name, piece.name)} ({piece.size / 1e6:.1f} MB) |"
        for piece in contents.pieces
    ]
    return _README.format(
        endpoint=contents.endpoint,
        tag=contents.endpoint.lower(),
        platform=contents.target.platform,
        folders="\n".join(rows),
    )
