"""``firstlight engines``: the libraries that run weights here, and a quicker one for language models."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import click

from firstlight.cli import output
from firstlight.runtime.errors import FirstlightError

_PACKAGES = {"onnx": "onnxruntime", "ctranslate2": "ctranslate2"}


@click.group(invoke_without_command=True)
@output.json_option
@click.pass_context
def engines(context: click.Context, as_json: bool) -> None:
    """Show which libraries run the weights on this machine."""
    if context.invoked_subcommand is not None:
        return
    found = [*(_packaged(name, package) for name, package in _PACKAGES.items()), _llama()]
    if as_json:
        output.json_line(found)
        return
    rows = [(str(one["engine"]), str(one["version"] or "-"), str(one["from"])) for one in found]
    output.table(("ENGINE", "LIBRARY", "FROM"), rows)


@engines.command()
@click.argument("engine", type=click.Choice(["llama"]))
@click.option(
    "--file", type=click.Path(path_type=Path), help="The package as a file, where npm is not at hand."
)
@output.json_option
def add(engine: str, file: Path | None, as_json: bool) -> None:
    """Fetch the library of ENGINE that has kernels for many kinds of CPU."""
    from firstlight.build import llama_library

    folder = llama_library.install(file)
    if as_json:
        output.json_line({"engine": engine, "path": str(folder)})
    else:
        click.echo(f"{engine} is in the cache now: it is used by every worker that starts from here on")


def _packaged(engine: str, package: str) -> dict[str, Any]:
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return {"engine": engine, "version": None, "from": f"not installed: pip install {package}"}
    return {"engine": engine, "version": version, "from": package}


def _llama() -> dict[str, Any]:
    from firstlight.runtime.engines.llama import facts

    try:
        found = facts.installed()
    except FirstlightError as error:
        return {"engine": "llama", "version": None, "from": f"{error.message}: {error.hint}"}
    kernels = f", {found['variant']} kernels" if found["variant"] else ""
    return {"engine": "llama", **found, "from": f"{found['origin']}{kernels}"}
