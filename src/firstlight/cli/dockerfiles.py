"""``firstlight export dockerfile``: a folder that ``docker build`` takes, for each endpoint."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firstlight.cli import output
from firstlight.deploy import exports
from firstlight.project import Project

if TYPE_CHECKING:
    from firstlight.build.lock import Lock
    from firstlight.cli.packaging import Package


def write(project: Project, folder: Path, force: bool, as_json: bool) -> None:
    """Write a folder for each endpoint of a project, below ``folder``, and say so.

    Raises:
        FirstlightError: an image cannot be made, or a folder has files.
    """
    from firstlight.build.image import dockerfile

    names, files = [], []
    for package in _packages(project, as_json):
        if package.base is None:
            continue
        name = package.contents.endpoint
        snap_start = project.endpoints[name].snap_start
        texts = dockerfile.write(
            package.contents, package.base, folder / name, snap_start=snap_start, force=force
        )
        names.append(name)
        files += [f"{name}/{text}" for text in texts]
    exports.write({}, folder, form=exports.DOCKERFILE)
    following = [f"docker build --provenance=false --tag {name.lower()} {name}" for name in names]
    if as_json:
        document = {"format": exports.DOCKERFILE, "folder": str(folder), "files": files, "changed": files}
        output.json_line({**document, "next": following})
        return
    click.echo(f"{output.shown(str(folder))}: a folder for each of {', '.join(names)}")
    for line in (f"cd {output.shown(str(folder))}", *following):
        output.note(f"  {line}")


def _packages(project: Project, as_json: bool) -> list[Package]:
    """Every endpoint as an image, with a lock that has what they are made of."""
    from firstlight.build import lock as locks
    from firstlight.build.lock import building
    from firstlight.build.lock.wanted import wanted
    from firstlight.cli import locking, packaging, progress

    root = locking.root_here()
    asked = packaging.asked(project, packaging.Wishes(package="image"))
    with progress.shown(as_json) as shown, contextlib.redirect_stdout(sys.stderr):
        before = locks.read(root)
        built = building.build(wanted(root, os.environ, project.stage), root, before, shown)
        made = {one.wanted.name: one.made for one in built}
        packing = packaging.Packing(asked, made, building.settled(before, built), shown)
        packages = [packing.package(endpoint) for endpoint in asked.endpoints.values()]

    def change(now: Lock) -> Lock:
        return replace(building.settled(now, built), targets=packing.lock.targets)

    locking.laid_over(root, change)
    return packages
