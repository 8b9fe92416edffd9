"""The shape of the code, counted: sizes, names, and what a worker imports before it can answer."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
FOLDERS = sorted({path.parent for path in SOURCE.rglob("*.py")})
BANNED = {"manager", "helper", "helpers", "utils", "util", "service", "backend"}
FILE_LINES, FUNCTION_LINES = 300, 40

# Modules of a fresh `python -I -S` worker that has answered once. Bare `python -I -S` has 23.
WORKER_MODULES = 78


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring and decorators."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def words(name: str) -> set[str]:
    spaced = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return set(spaced.split("_"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(SOURCE)))
def test_files_and_functions_fit_and_names_say_what_things_are(folder: Path) -> None:
    too_long, banned = [], []
    for path in sorted(folder.glob("*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        if text.count("\n") > FILE_LINES:
            too_long.append(path.name)
        too_long += [f"{path.name}: {node.name}" for node in functions(tree) if length(node) > FUNCTION_LINES]
        banned += [f"{path.name}: {name}" for name in {path.stem, *named(tree)} if words(name) & BANNED]
    assert not too_long
    assert not banned


def named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


HEAVY = {
    "numpy",
    "onnxruntime",
    "tokenizers",
    "torch",
    "boto3",
    "asyncio",
    "typing",
    "dataclasses",
    "http.client",
    "re",
}
WORKER = """
import sys
sys.path[:0] = sys.argv[1].split(":")
from firstlight.runtime import entry, worker
entry.load({"FIRSTLIGHT_BUNDLE": sys.argv[2]})({"inputs": "what a lovely day"}, None)
print(*sorted(sys.modules))
"""


def test_what_a_worker_imports_has_a_budget() -> None:
    paths = ":".join([str(SOURCE), *(entry for entry in sys.path if entry.endswith("site-packages"))])
    bundle = str(SOURCE / "firstlight/starters/sentiment")
    command = [sys.executable, "-I", "-S", "-c", WORKER, paths, bundle]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(modules)
    assert len(modules) <= WORKER_MODULES, modules
