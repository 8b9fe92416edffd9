"""``firstlight init``: the files a project begins with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from firstlight.cli import output
from firstlight.project import FILE
from firstlight.project.discovery import slug
from firstlight.runtime.errors import ProjectError

_TOML = """\
# What `firstlight serve` serves. Every setting: docs/project-file.md
name = "{name}"

[endpoints.sentiment]
model = "starter:sentiment"    # a starter, a model folder, or a bundle
# memory = 1769                # MB
# timeout = 30                 # seconds
# route = "/mood"              # an extra HTTP path

# Scripts in inference/ that have a handler are endpoints too, without being named here.
"""
_SCRIPT = '''\
"""An endpoint: its name is that of the file."""


def handler(event, context):
    name = event.get("name", "world")
    return {"greeting": f"Hello, {name}!"}
'''
_IGNORE = """\
.firstlight/
__pycache__/
.env
"""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@output.json_option
def init(folder: Path, as_json: bool) -> None:
    """Begin a project in FOLDER (default: this one). Files that are there stay as they are."""
    if (folder / FILE).exists():
        raise ProjectError(
            f"{folder / FILE} is already there", "change it, or begin the project in another folder"
        )
    name = slug(folder.absolute().name)
    contents = {FILE: _TOML.format(name=name), "inference/hello.py": _SCRIPT, ".gitignore": _IGNORE}
    written = [path for path, text in contents.items() if _write(folder / path, text)]
    kept = [path for path in contents if path not in written]
    if as_json:
        output.json_line({"folder": str(folder.absolute()), "name": name, "written": written, "kept": kept})
        return
    for path in contents:
        click.echo(f"{'wrote' if path in written else 'kept '} {folder / path}")
    step = "" if folder.absolute() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    output.note(f"\nNext: {step}firstlight serve --reload")


def _write(file: Path, text: str) -> bool:
    """Write a file unless it is there; whether it was written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        if file.exists():
            return False
        raise ProjectError(f"{file.parent} is not a folder", "choose another folder") from None
    except OSError as error:
        raise ProjectError(f"{file} cannot be written: {error.strerror}", "choose another folder") from error
    return True
