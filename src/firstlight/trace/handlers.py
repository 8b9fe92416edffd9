"""Whether a script has a handler, told from its text: running it would already be the run that is watched."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from firstlight.trace.types import TraceError

_HANDLERS = frozenset(
    {
        *("handler", "lambda_handler", "EndpointHandler"),
        *("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"),
    }
)


def names(path: Path) -> frozenset[str]:
    """The names of handlers, or of parts of them, that a script defines or imports at its top level.

    Raises:
        TraceError: it cannot be read.
        SyntaxError, ValueError: it is not Python.
    """
    try:
        return _HANDLERS & set(_bound(ast.parse(path.read_bytes(), str(path)).body))
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror}", "check the path") from error


def is_plain(path: Path) -> bool:
    """Whether a script has no handler, so that it is run to its end; what is not Python is for the run to say."""
    try:
        return not names(path)
    except (SyntaxError, ValueError):
        return False


def _bound(statements: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that statements of a module bind, also within ``if``, ``try`` and ``with``."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        else:
            for block in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(node, block, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _bound(handler.body)
