"""Endpoints that need no configuration: scripts found by reading them, never by importing them.

Found are ``inference/*.py``, ``handler.py`` (a Hugging Face ``EndpointHandler``, or a plain ``handler``),
``code/inference.py`` (SageMaker's ``model_fn`` and friends), and the variables HF_MODEL_ID, HF_TASK and
HF_REVISION of Hugging Face's containers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from firstlight.project.checks import NAME
from firstlight.runtime.errors import ProjectError

ENTRY_POINTS = frozenset(
    {"handler", "lambda_handler", "EndpointHandler", "model_fn", "predict_fn", "transform_fn"}
)
_BY_TEXT = re.compile(rf"^(?:async )?(?:def|class) (?:{'|'.join(sorted(ENTRY_POINTS))})\b", re.MULTILINE)
_MAX_SCRIPT_BYTES = 4 << 20


def slug(text: str, fallback: str = "project") -> str:
    """A name made of any text: what a name cannot hold becomes ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:64].strip("-") or fallback


def _bound(nodes: list[ast.stmt]) -> Iterator[str]:
    """Names that statements bind at the top of a module, in branches too."""
    for node in nodes:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name for alias in node.names)
            case ast.Assign():
                yield from (
                    t.id for target in node.targets for t in ast.walk(target) if isinstance(t, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If() | ast.Try():
                yield from _bound(node.body)
                yield from _bound(node.orelse)


def has_handler(script: Path) -> bool:
    """Whether a file looks as if it has a handler of any kind.

    A file that does not parse counts when a line of it defines one: its endpoint then answers with the
    syntax error, which is better than an endpoint that is missing without a word.
    """
    try:
        if script.stat().st_size > _MAX_SCRIPT_BYTES:
            return False
        source = script.read_bytes()
    except OSError as error:
        raise ProjectError(f"{script} cannot be read: {error.strerror}", "check its permissions") from error
    try:
        names = set(_bound(ast.parse(source).body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return bool(_BY_TEXT.search(source.decode("utf-8", "replace")))
    return bool(names & ENTRY_POINTS)


def scripts(root: Path, project_name: str) -> dict[str, Path]:
    """Scripts under ``root`` that have a handler, by the name of the endpoint each becomes.

    Raises:
        ProjectError: a file in ``inference/`` has a handler and a name that no endpoint can have.
    """
    found: dict[str, Path] = {}
    for script in sorted((root / "inference").glob("*.py")):
        if script.name.startswith(("_", ".")) or not script.is_file() or not has_handler(script):
            continue
        if not NAME.fullmatch(script.stem):
            hint = "rename it with 1 to 64 letters, digits, - and _"
            raise ProjectError(f"{script}: {script.stem[:80]!r} cannot be the name of an endpoint", hint)
        found[script.stem] = script
    for script in (root / "handler.py", root / "code" / "inference.py"):
        if script.is_file() and has_handler(script):
            found[project_name if project_name not in found else script.stem] = script
    return found


def from_variables(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The settings of the endpoint that HF_MODEL_ID, HF_TASK and HF_REVISION (HF_MODEL_REVISION) describe."""
    model = env.get("HF_MODEL_ID", "").strip()
    if not model:
        return {}
    settings = {"model": model}
    if not Path(model).exists() and ":" not in model:
        revision = env.get("HF_REVISION") or env.get("HF_MODEL_REVISION")
        settings["model"] = f"hf:{model}@{revision}" if revision else f"hf:{model}"
    if task := env.get("HF_TASK", "").strip():
        settings["task"] = task
    return {slug(Path(model).name, "model"): settings}
