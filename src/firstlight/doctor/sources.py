"""What the source of a script says without being run: what it imports, and what it does that Lambda refuses."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_GUARDS = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})
_SHARED_MEMORY = frozenset(
    {
        *("Pool", "Lock", "RLock", "Queue", "SimpleQueue", "JoinableQueue", "Semaphore", "BoundedSemaphore"),
        *(
            "Event",
            "Condition",
            "Barrier",
            "Value",
            "Array",
            "Manager",
            "ProcessPoolExecutor",
            "SharedMemory",
        ),
    }
)
_MODULES = ("multiprocessing", "concurrent.futures")


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a script.

    Attributes:
        module: the first part of its name, such as ``nltk``.
        line: in the source.
        optional: an ``except ImportError`` stands around it.
        inside: it is in a function, and made only when that is called.
    """

    module: str
    line: int
    optional: bool
    inside: bool


def parsed(script: Path) -> ast.Module:
    """The source of a script.

    Raises:
        SyntaxError: it is no Python.
        OSError: it cannot be read.
    """
    try:
        return ast.parse(script.read_bytes(), str(script))
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error)) from error


def imports(tree: ast.Module) -> Iterator[Import]:
    """Every absolute import, the first of each module."""
    seen: set[str] = set()
    for found in _imports(tree, False, False):
        if found.module not in seen:
            seen.add(found.module)
            yield found


def _imports(node: ast.AST, optional: bool, inside: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import():
                yield from (
                    Import(alias.name.partition(".")[0], child.lineno, optional, inside)
                    for alias in child.names
                )
            case ast.ImportFrom(level=0, module=str(name)):
                yield Import(name.partition(".")[0], child.lineno, optional, inside)
            case ast.Try():
                guarded = optional or any(_guards(handler) for handler in child.handlers)
                yield from _imports(ast.Module(child.body, []), guarded, inside)
                for handler in child.handlers:
                    yield from _imports(handler, optional, inside)
                yield from _imports(ast.Module([*child.orelse, *child.finalbody], []), optional, inside)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(child, optional, True)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                continue
            case _:
                yield from _imports(child, optional, inside)


def _guards(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in _GUARDS) for kind in kinds)


def is_there(module: str, folders: tuple[Path, ...]) -> bool:
    """Whether a module can be imported: of the library, installed, or a file in one of the folders."""
    if module in sys.stdlib_module_names or module in sys.builtin_module_names:
        return True
    for folder in folders:
        if (folder / f"{module}.py").is_file() or (folder / module).is_dir():
            return True
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def is_local(module: str, folders: tuple[Path, ...]) -> bool:
    """Whether a module is a file or folder of the project."""
    return any((folder / f"{module}.py").is_file() or (folder / module).is_dir() for folder in folders)


def shared_memory(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What the source uses that needs /dev/shm, and the line."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            firsts = (alias.name.partition(".")[0] for alias in node.names if alias.asname is None)
            names |= {first: first for first in firsts}
            names |= {alias.asname: alias.name for alias in node.names if alias.asname is not None}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_MODULES):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func, names)
            if called.startswith(_MODULES) and called.rpartition(".")[2] in _SHARED_MEMORY:
                yield called, node.lineno


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value, names)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def object_bodies(tree: ast.Module) -> Iterator[int]:
    """Lines of answers for API Gateway (they have a ``statusCode``) whose ``body`` is plainly no string."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Dict):
            continue
        fields = {
            key.value: value
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
        body = fields.get("body")
        if "statusCode" in fields and isinstance(
            body, ast.Dict | ast.List | ast.ListComp | ast.DictComp | ast.Subscript
        ):
            yield node.lineno
