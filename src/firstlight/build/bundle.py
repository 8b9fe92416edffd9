"""Writes bundle.json: the same folder gives the same bytes, so a bundle can be told by its digest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import ConversionError

SCHEMA = 1
_MANIFEST = "bundle.json"
_NOT_LISTED = {_MANIFEST, "README.md", "NOTICE"}
_TABLES = ("wordpiece.bin", "pieces.bin")
_TARGET = "target.bin"


def add_tokenizer(model_dir: Path, folder: Path) -> None:
    """Copy tokenizer.json without the padding and truncation that were saved in it.

    A tokenizer that pads every text to 128 tokens costs six times the work for nothing; lengths are the task's part.
    """
    origin = model_dir / "tokenizer.json"
    try:
        tokenizer = json.loads(origin.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        raise ConversionError(f"{model_dir} has no tokenizer.json", hint) from None
    except ValueError as error:
        raise ConversionError(f"{origin} is not JSON: {error}") from error
    tokenizer["padding"] = tokenizer["truncation"] = None
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")


def write(folder: Path, meta: Mapping[str, Any]) -> Bundle:
    """Add the tokenizer's tables where it has some, list the files, write bundle.json and open the result.

    Args:
        folder: holds the graph, its weights and tokenizer.json.
        meta: name, task, engine, precision, model, labels, defaults, source, parity; ``tokenizer`` is found here
            unless it is given.
    """
    manifest = {"schema": SCHEMA, **meta}
    manifest["tokenizer"] = _tokenizer(folder, manifest.get("tokenizer"))
    manifest["files"] = {name: _fingerprint(folder / name) for name in _names(folder)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / _MANIFEST).write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        if file.is_file():
            _readable(file)
    return Bundle.open(str(folder), verify="sizes")


def link_or_copy(file: Path, place: Path) -> None:
    """A hard link where the file systems allow it."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def _tokenizer(folder: Path, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What bundle.json says of the tokenizer, with tables written for what can be mapped instead of parsed."""
    file = folder / "tokenizer.json"
    found = dict(given) if given is not None else {"kind": "tokenizers"} if file.is_file() else {}
    if found.get("kind") != "tokenizers":
        return found
    from firstlight.build import piece_table, wordpiece_table

    for former in (*_TABLES, _TARGET):
        (folder / former).unlink(missing_ok=True)
    found["file"] = file.name
    if "target" in found:
        listed = folder / found["target"]
        piece_table.write_tokens(listed, folder / _TARGET)
        listed.unlink()
        found["target"] = _TARGET
    if given is None and wordpiece_table.write_table(file, folder / _TABLES[0]):
        return found | {"kind": "wordpiece", "table": _TABLES[0]}
    kind = piece_table.write_table(file, folder / _TABLES[1])
    return found if kind is None else found | {"kind": kind, "table": _TABLES[1]}


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.is_file() and file.name not in _NOT_LISTED)


def _fingerprint(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"size": file.stat().st_size, "sha256": digest}


def _readable(file: Path) -> None:
    # Lambda runs as another user than the one who built. A file that is linked belongs to its owner and stays as it is.
    if file.stat().st_nlink == 1:
        file.chmod(0o644)
