"""``firstlight bundle``: makes a bundle of a model, shows what one is made of, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from firstlight.cli import output


class _MakeByDefault(click.Group):
    """``firstlight bundle MODEL`` is ``firstlight bundle make MODEL``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from firstlight.project.models import is_model

        if args and args[0] not in self.commands and (is_model(args[0]) or Path(args[0]).is_dir()):
            args = ["make", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_MakeByDefault)
def bundle() -> None:
    """Make a bundle of a model, look into one, or check its files."""


@bundle.command()
@click.argument("model")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="Folder to write it to.")
@click.option("--task", help="The task it is made for, where the model does not say.")
@click.option("--quantize", help="What the weights are made into, such as int8 or q4_k_m.")
@click.option("--allow-pickle", is_flag=True, help="Read weights in pickle format; no code in them is run.")
@click.option("--trust-remote-code", is_flag=True, help="Run code of the model's repository to convert it.")
@output.json_option
def make(
    model: str,
    out: Path | None,
    task: str | None,
    quantize: str | None,
    allow_pickle: bool,
    trust_remote_code: bool,
    as_json: bool,
) -> None:
    """Make a bundle of MODEL: a model folder, a GGUF or ONNX file, hf:owner/name, an old ggml file.

    Without -o it stays in the cache, where `firstlight serve` finds it.
    """
    from firstlight.build import kept, resolve
    from firstlight.build.types import Wish
    from firstlight.cli import progress
    from firstlight.runtime.bundle import Bundle

    wish = Wish(model, task, quantize, allow_pickle, trust_remote_code)
    with progress.shown(as_json) as shown:
        place = resolve.make(wish, Path.cwd(), progress=shown).place
    if out is not None:
        kept.copy(place, out)
        place = out
    opened = Bundle.open(str(place))
    if as_json:
        output.json_line({"path": opened.path, "digest": opened.digest, "precision": opened.precision})
        return
    for note in opened.parity.get("notes", ()):
        output.warn(note)
    click.echo(f"{output.shown(opened.path)}: {opened.task}, {opened.engine}, {opened.precision}")


@bundle.command()
@click.argument("path")
@output.json_option
def inspect(path: str, as_json: bool) -> None:
    """Show task, engine, source and files of the bundle at PATH (a folder, or starter:NAME)."""
    from firstlight.runtime.bundle import Bundle

    opened = Bundle.open(str(_folder(path)), verify="sizes")
    described = _described(opened)
    if as_json:
        output.json_line(described)
        return
    for key in ("name", "task", "engine", "precision", "digest", "path"):
        click.echo(f"{key:10} {described[key]}")
    for key in ("source", "parity", "defaults"):
        for name, value in described[key].items():
            click.echo(f"{key:10} {name} = {output.encodable(output.printable(str(value)))}")
    if opened.labels:
        click.echo(f"{'labels':10} {output.encodable(output.printable(', '.join(opened.labels)))}")
    click.echo(f"{'size':10} {described['bytes'] / 1e6:.1f} MB")
    output.table(("FILE", "BYTES", "SHA-256"), _file_rows(opened.files))


@bundle.command()
@click.argument("path")
@output.json_option
def verify(path: str, as_json: bool) -> None:
    """Compare every file of the bundle at PATH with the size and SHA-256 in its bundle.json."""
    from firstlight.runtime.bundle import Bundle

    opened = Bundle.open(str(_folder(path)), verify="hashes")
    if as_json:
        output.json_line(
            {"path": opened.path, "digest": opened.digest, "files": len(opened.files), "ok": True}
        )
    else:
        click.echo(f"ok: {len(opened.files)} files of {opened.name} match, digest {opened.digest}")


def _folder(path: str) -> Path:
    if path.startswith("starter:"):
        from firstlight import starters

        return starters.path(path.removeprefix("starter:"))
    return Path(path)


def _described(opened: Any) -> dict[str, Any]:
    names = (
        "path",
        "name",
        "task",
        "engine",
        "precision",
        "digest",
        "labels",
        "defaults",
        "source",
        "parity",
        "files",
    )
    described = {name: getattr(opened, name) for name in names}
    described["bytes"] = sum(entry["size"] for entry in opened.files.values())
    return described


def _file_rows(files: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(name, str(entry["size"]), entry["sha256"]) for name, entry in sorted(files.items())]
